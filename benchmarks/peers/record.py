"""Record the spans that each peer sends, for the collector's tests of their dialects.

    python benchmarks/peers/record.py

Writes `tests/data/dialects/PEER.json`: the package and its version, and for each situation the
spans as OpenTelemetry's SDK prints them beside what the call's bill says.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from environments import ROOT, Environment, environment_of
from peers import PEERS, Peer

OUT = ROOT / "tests" / "data" / "dialects"
SITUATIONS = (
    "chat",
    "chat, tools",
    "chat, Azure",
    "stream with usage",
    "stream without usage",
    "400",
    "response",
    "response stream",
    "embedding",
)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for peer in PEERS:
        if not peer.name.startswith("taximeter"):
            environment = environment_of(peer)
            found = [one for one in recorded(peer, environment) if one["situation"] in SITUATIONS]
            packages = [name.partition("==")[0] for name in peer.requirement.split()]
            versions = {name: environment.versions[name] for name in [*packages, "openai"]}
            text = json.dumps({"versions": versions, "calls": found}, indent=1)
            (OUT / f"{peer.name}.json").write_text(f"{text}\n")


def recorded(peer: Peer, environment: Environment) -> list[dict[str, Any]]:
    worker = Path(__file__).with_name("worker.py")
    ended = subprocess.run(
        [environment.python, worker, "record", peer.name],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        check=True,
        timeout=300,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


if __name__ == "__main__":
    main()
