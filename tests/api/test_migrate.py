from __future__ import annotations

import subprocess
from pathlib import Path

from api.test_cli import taximeter


def test_migrations_are_pending_until_they_are_applied(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")

    pending = taximeter("migrate", "--check", DATA_DIR=folder)
    untouched = not (tmp_path / "data").exists()
    applied = taximeter("migrate", DATA_DIR=folder)
    again = taximeter("migrate", DATA_DIR=folder)
    checked = taximeter("migrate", "--check", DATA_DIR=folder)

    assert (pending.returncode, untouched) == (1, True)
    assert "state: pending 1, 2" in pending.stdout
    assert "store: pending 0001_calls, 0002_reconciliations" in pending.stdout
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout == pending.stdout.replace("pending", "applied")
    for done in (again, checked):
        assert (done.returncode, done.stdout) == (0, "state: up to date\nstore: up to date\n")


def test_servers_are_migrated_before_any_service_starts(
    tmp_path: Path, clickhouse: tuple[subprocess.Popen[bytes], str], postgres_url: str
) -> None:
    shared = {"DATA_DIR": str(tmp_path), "STORE": clickhouse[1], "STATE": postgres_url}

    codes = [
        taximeter("migrate", *options, **shared).returncode
        for options in (("--check",), (), ("--check",))
    ]

    assert codes == [1, 0, 0]


def test_a_folder_that_can_not_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    refused = taximeter("migrate", DATA_DIR=str(tmp_path / "file" / "data"))

    assert refused.returncode == 2
    assert "TAXIMETER_SERVER_DATA_DIR=" in refused.stderr
    assert "give a folder to write to" in refused.stderr


def test_a_database_out_of_reach_is_no_answer(tmp_path: Path) -> None:
    refused = taximeter(
        "migrate", "--check", DATA_DIR=str(tmp_path), STORE="clickhouse://default@127.0.0.1:9"
    )

    assert refused.returncode == 2
    assert "does not answer" in refused.stderr
