"""The comparison with peers, our own part of it: `make bench-peers` runs the whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "benchmarks" / "peers" / "worker.py"


def checked(meter: str) -> list[dict[str, Any]]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TAXIMETER_")}
    done = subprocess.run(
        [sys.executable, str(WORKER), "check", meter],
        env=kept,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def bare() -> list[dict[str, Any]]:
    return checked("bare")


@pytest.mark.parametrize("meter", ["taximeter", "taximeter-given"])
def test_the_meter_is_right_in_every_situation_of_the_comparison(
    meter: str, bare: list[dict[str, Any]]
) -> None:
    metered = checked(meter)

    assert len(metered) == len(bare) >= 45
    assert [one["situation"] for one in metered if one["faults_without_copies"]] == []
    assert [one["situation"] for one in metered if one["text"]] == []
    assert [(one["saw"], one["sent"]) for one in metered] == [
        (one["saw"], one["sent"]) for one in bare
    ]


def test_the_document_says_what_is_found(bare: list[dict[str, Any]]) -> None:
    document = (ROOT / "docs" / "comparison.md").read_text()

    (row,) = re.findall(r"^\| taximeter [\d.]+ \|[^|]*\|(.*)$", document, re.MULTILINE)

    right, without_copies, untouched, kept, *_ = (cell.strip() for cell in row.split("|"))
    every = f"{len(bare)} of {len(bare)}"
    assert (right, without_copies, untouched, kept) == (every, every, every, "no")
