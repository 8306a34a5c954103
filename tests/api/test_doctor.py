from __future__ import annotations

import os
from pathlib import Path

from api.test_cli import taximeter
from taximeter_api.demo.processes import free_port


def test_what_is_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    journal = tmp_path / "data" / "journal"
    journal.mkdir(parents=True)
    old = journal / "1.journal"
    old.write_bytes(b"x" * 2_000_000)
    os.utime(old, (1, 1))
    (journal / "2.refused").write_text("a row")
    prices = tmp_path / "prices.yaml"
    prices.write_text("modles: {}\n")
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text("budgets: [{name: all, amount: 10}]\n")

    said = taximeter(
        "doctor",
        DATA_DIR=str(tmp_path / "data"),
        PORT=str(free_port()),
        PRICES=str(prices),
        BUDGETS=str(budgets),
        JOURNAL_MB="10",
    )

    assert said.returncode == 1
    assert "journal: 2.0 MB wait, the oldest for" in said.stdout
    assert "-> the store does not keep up" in said.stdout
    assert "set aside: 1 files of what can't be stored" in said.stdout
    assert "wrong prices: " in said.stdout
    assert f"ok    budgets: 1 in {budgets}" in said.stdout
    assert "-> start it: taximeter serve" in said.stdout
