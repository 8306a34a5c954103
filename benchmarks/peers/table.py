"""The table for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from environments import Environment
from peers import PEERS, Peer

HEAD = """\
| | openai | bill right | without copies of answers | app untouched | prompts kept \
| a call, us | a chunk, us | set-up, ms | distributions (with exporter) |
|---|---|--:|--:|--:|---|--:|--:|--:|--:|"""
Found = Callable[[Peer, Environment, str], list[Any]]


def table(environments: dict[str, Environment], found: Found, check: str) -> str:
    peers = [(peer, environments[peer.name]) for peer in PEERS]
    checks = {peer: found(peer, environment, check)[0] for peer, environment in peers}
    rows = [row(peer, environment, found, checks[peer]) for peer, environment in peers]
    wrong = [f"- {peer.name}: {misses(checks[peer])}" for peer in PEERS]
    python = platform.python_version()
    head = f"{datetime.now(UTC):%Y-%m-%d}, Python {python}, {os.cpu_count()} cores"
    bare = ", ".join(f"{bare_us(peers, found, unit):.0f} us a {unit}" for unit in ("call", "chunk"))
    installed = [f"- {peer.name}: {installs(peer)}" for peer in PEERS]
    blocks = ([head], [f"Bare client: {bare}."], [HEAD, *rows], installed, wrong)
    return "\n\n".join("\n".join(block) for block in blocks)


def row(peer: Peer, environment: Environment, found: Found, checks: list[dict[str, Any]]) -> str:
    marks = (
        [not one["faults"] for one in checks],
        [not one["faults_without_copies"] for one in checks],
        [one["unharmed"] for one in checks],
    )
    cells = [
        peer.name,
        peer.openai,
        *(f"{sum(mark)} of {len(mark)}" for mark in marks),
        "yes" if any(one["text"] for one in checks) else "no",
        f"{added_us(peer, environment, found, 'call'):.0f}",
        f"{added_us(peer, environment, found, 'chunk'):.1f}",
        f"{median(found(peer, environment, 'start')):.0f}",
        f"{environment.added} ({environment.added_to_send})",
    ]
    return f"| {' | '.join(cells)} |"


def rounds(peer: Peer, environment: Environment, found: Found, unit: str) -> list[list[float]]:
    return [pair for generation in found(peer, environment, "speed") for pair in generation[unit]]


def added_us(peer: Peer, environment: Environment, found: Found, unit: str) -> float:
    return median(metered - bare for bare, metered in rounds(peer, environment, found, unit))


def bare_us(peers: list[tuple[Peer, Environment]], found: Found, unit: str) -> float:
    return median(bare for one in peers for bare, _ in rounds(*one, found, unit))


def installs(peer: Peer) -> str:
    return f"`{peer.requirement}`{peer.note and ': '}{peer.note}"


def misses(checks: list[dict[str, Any]]) -> str:
    told = [
        f"{one['situation']} ({', '.join(reasons)})"
        for one in checks
        if (reasons := [*one["faults"], *([] if one["unharmed"] else ["app affected"])])
    ]
    return "; ".join(told) or "nothing"
