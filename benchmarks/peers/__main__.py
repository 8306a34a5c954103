"""Taximeter beside its peers: `make bench-peers`; what is done is kept, so it may be interrupted.

Each peer has an environment of its own and, in it, a bare twin: two processes that take turns
within each round, so that noise meets both alike. Loopback and in-process traffic only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from environments import CACHE, Environment, environment_of
from peers import PEERS, Peer
from table import table

GENERATIONS = 3
ROUNDS = 9
STARTS = 7
WORKER = str(Path(__file__).with_name("worker.py"))
KEPT = CACHE / "results.jsonl"
TIMEOUT_S = 300


def main() -> None:
    environments = {peer.name: environment_of(peer) for peer in PEERS}
    results = Results()
    for peer in PEERS:
        results.once(peer, environments[peer.name], f"check {situations()}", checked)
    for number in range(GENERATIONS):
        for peer, found in timed_together(environments, results, number):
            results.add(peer, environments[peer.name], f"speed {number}", found)
    for number in range(STARTS):
        for peer in PEERS:
            results.once(peer, environments[peer.name], f"start {number}", started)
    print(table(environments, results.of, f"check {situations()}"))


class Results:
    """What was measured, one line each, by peer, environment and step."""

    def __init__(self) -> None:
        lines = KEPT.read_text().splitlines() if KEPT.exists() else []
        self._found = {tuple(one["key"]): one["found"] for one in map(json.loads, lines)}

    def once(
        self, peer: Peer, environment: Environment, step: str, measure: Callable[..., Any]
    ) -> None:
        if not self.has(peer, environment, step):
            print(f"{peer.name}: {step}", file=sys.stderr)
            self.add(peer, environment, step, measure(peer, environment))

    def has(self, peer: Peer, environment: Environment, step: str) -> bool:
        return (peer.name, environment.name, step) in self._found

    def add(self, peer: Peer, environment: Environment, step: str, found: Any) -> None:
        key = (peer.name, environment.name, step)
        self._found[key] = found
        with KEPT.open("a") as kept:
            kept.write(json.dumps({"key": key, "found": found}) + "\n")

    def of(self, peer: Peer, environment: Environment, kind: str) -> list[Any]:
        """Give what was found in all steps of a kind, or in the one step of that name."""
        return [
            found
            for (name, built, step), found in self._found.items()
            if (name, built) == (peer.name, environment.name) and kind in {step, step.split()[0]}
        ]


def situations() -> str:
    """Fingerprint what is checked: an edit is checked anew."""
    names = ("fake.py", "situations.py", "reading.py", "worker.py", "meters.py")
    texts = [Path(__file__).with_name(name).read_bytes() for name in names]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def checked(peer: Peer, environment: Environment) -> list[dict[str, Any]]:
    bare, metered = (lines_of(environment, "check", meter) for meter in ("bare", peer.name))
    return [
        {**one, "unharmed": (one["saw"], one["sent"]) == (twin["saw"], twin["sent"])}
        for one, twin in zip(metered, bare, strict=True)
    ]


def started(peer: Peer, environment: Environment) -> float:
    (bare,), (metered,) = (lines_of(environment, "start", meter) for meter in ("bare", peer.name))
    return float(metered - bare)


def lines_of(environment: Environment, task: str, meter: str) -> list[Any]:
    done = subprocess.run(
        [environment.python, WORKER, task, meter],
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def timed_together(
    environments: dict[str, Environment], results: Results, number: int
) -> Iterator[tuple[Peer, dict[str, list[list[float]]]]]:
    """Give [bare, metered] microseconds of each round, for those peers that lack them."""
    step = f"speed {number}"
    peers = [one for one in PEERS if not results.has(one, environments[one.name], step)]
    if peers:
        print(f"speed: generation {number + 1} of {GENERATIONS}", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        twins = {
            peer: [
                stack.enter_context(worker(environments[peer.name], meter))
                for meter in ("bare", peer.name)
            ]
            for peer in peers
        }
        found: dict[Peer, dict[str, list[list[float]]]] = {
            peer: {"call": [], "chunk": []} for peer in peers
        }
        for turn in range(ROUNDS + 1):
            for peer, pair in twins.items():
                for unit, rounds in found[peer].items():
                    taken = [ask(process, unit) for process in pair]
                    if turn:  # the first warms up
                        rounds.append(taken)
    yield from found.items()


@contextlib.contextmanager
def worker(environment: Environment, meter: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [environment.python, WORKER, "speed", meter],
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen[str], unit: str) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(unit + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def surroundings() -> dict[str, str]:
    prefixes = ("TAXIMETER_", "OTEL_", "PYTHON")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    return {**kept, "PYTHONHASHSEED": "0"}


if __name__ == "__main__":
    main()
