"""One virtual environment for each peer, built once and counted on the way."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from peers import Peer

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "peers"
SENDING = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
UV = str(Path(sys.executable).with_name("uv"))


class Environment:
    """A ready environment, and how many distributions the peer brought to `openai` alone."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.python = folder / "bin" / "python"
        counts = json.loads((folder / "counts.json").read_text())
        self.added: int = counts["installed"] - counts["bare"]
        self.added_to_send: int = counts["sending"] - counts["bare"]
        self.versions: dict[str, str] = counts["versions"]


def environment_of(peer: Peer) -> Environment:
    source = _source() if peer.requirement.startswith(".") else ""
    key = f"{sys.version}{peer.requirement}{peer.openai}{source}"
    folder = CACHE / f"env-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if not (folder / "counts.json").exists():
        _build(peer, folder)
    return Environment(folder)


def _build(peer: Peer, folder: Path) -> None:
    print(f"building the environment of {peer.name}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    _run(UV, "venv", "--quiet", "--python", sys.executable, folder)
    openai, wanted_by_peer = f"openai=={peer.openai}", peer.requirement.split()
    counts = {}
    for stage, wanted in (
        ("bare", [openai]),
        ("installed", [openai, *wanted_by_peer]),
        ("sending", [openai, *wanted_by_peer, *SENDING]),
    ):
        _run(UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *wanted)
        counts[stage] = len(_installed(folder))
    (folder / "counts.json").write_text(json.dumps({**counts, "versions": _installed(folder)}))


def _installed(folder: Path) -> dict[str, str]:
    listed = _run(UV, "pip", "list", "--format", "json", "--python", folder / "bin" / "python")
    return {one["name"]: one["version"] for one in json.loads(listed)}


def _run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=True, text=True, capture_output=True
    )
    return done.stdout


def _source() -> str:
    """Fingerprint our own checkout: an edit makes a new environment."""
    files = sorted((ROOT / "instrumentation").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
