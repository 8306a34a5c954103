from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from api.test_cli import taximeter
from taximeter_api.app import make_data_folder
from taximeter_api.checks import files
from taximeter_collector.settings import SettingsError, read_settings


def test_migrations_are_pending_until_they_are_applied(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")

    pending = taximeter("migrate", "--check", DATA_DIR=folder)
    untouched = not (tmp_path / "data").exists()
    applied = taximeter("migrate", DATA_DIR=folder)
    again = taximeter("migrate", DATA_DIR=folder)
    checked = taximeter("migrate", "--check", DATA_DIR=folder)

    assert (pending.returncode, untouched) == (1, True)
    assert "state: pending 1, 2, 3\n" in pending.stdout
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


def test_a_folder_that_can_not_be_written_is_named_by_serve_and_doctor() -> None:
    # Not below a folder of root alone, since the test may be root's.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        settings = read_settings({"TAXIMETER_SERVER_DATA_DIR": folder})
        with as_nobody(), pytest.raises(SettingsError) as refused:
            make_data_folder(settings)
        with as_nobody():
            found = next(files.disk(settings))

    assert str(refused.value) == (
        f"TAXIMETER_SERVER_DATA_DIR={folder}: it can't be written; give a folder to write to"
    )
    assert found == (
        "data",
        f"{folder} can't be written",
        "give it to the service's user, or mount it to be written",
    )


@contextmanager
def as_nobody() -> Iterator[None]:
    """Act as a user whom permissions bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_database_out_of_reach_is_no_answer(tmp_path: Path) -> None:
    refused = taximeter(
        "migrate", "--check", DATA_DIR=str(tmp_path), STORE="clickhouse://default@127.0.0.1:9"
    )

    assert refused.returncode == 2
    assert "does not answer" in refused.stderr
