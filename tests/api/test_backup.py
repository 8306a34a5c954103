"""A backup brings back what was there: calls, sums, alerts, and what waits in the journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PREPARED = """
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from builders import NOON, costing, unpriced
from spans import request, span
from taximeter_alerts.state import State
from taximeter_collector.journal import Journal
from taximeter_collector.store import Store
from taximeter_collector.writer import frame
data = Path(sys.argv[1])
data.mkdir()
State(f"sqlite:///{data / 'state.db'}").close()
with closing(Store(f"chdb://{data / 'store'}")) as store:
    rows = [
        costing("1.25", ts=NOON - timedelta(days=day), feature=f"f{day % 3}") for day in range(40)
    ]
    store.add([*rows, unpriced()], token="a", book_version="b", now=NOON)
    store.refresh()
    store.add([costing("0.000000000001")], token="b", book_version="b", now=NOON)
journal = Journal(data / "journal", max_bytes=10**6)
journal.append(frame(NOON, request(span()).SerializeToString())).result(5)
journal.close()
"""
LOOKED_AT = """
import json, sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from taximeter_collector.store import Dimension, Period, Store
data = Path(sys.argv[1])
year = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
with closing(Store(f"chdb://{data / 'store'}")) as store:
    by_feature = [(row.key, str(row.cost), row.calls, row.unpriced_calls)
                  for row in store.spend(year, [Dimension.FEATURE])]
    hours_changed = store.refresh()
    print(json.dumps([by_feature, hours_changed, str(store.spend(year)[0].cost)]))
print(json.dumps(sorted(path.name for path in (data / "journal").iterdir())))
"""


def run(*arguments: object, data: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parents[1]
    command = ["-c", code, str(data)] if code else ["-m", "taximeter_api"]
    return subprocess.run(
        [sys.executable, *command, *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here), *sys.path]),
            "TAXIMETER_SERVER_DATA_DIR": str(data),
            "TAXIMETER_SERVER_PORT": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup") / "data"
    prepared = run(data=folder, code=PREPARED)
    assert prepared.returncode == 0, prepared.stderr
    return folder


def test_what_is_restored_is_what_was_there(data: Path, tmp_path: Path) -> None:
    written = run("backup", data=data)
    assert written.returncode == 0, written.stderr
    path = Path(written.stdout.partition(": ")[0])
    new = tmp_path / "new"

    restored = run("restore", path, data=new)

    assert restored.returncode == 0, restored.stderr
    # 40 calls of $1.25, one without a price and one of a millionth of a millionth
    assert "42 calls, $50.00" in written.stdout
    before, after = (run(data=folder, code=LOOKED_AT) for folder in (data, new))
    assert before.stdout == after.stdout
    (features, hours_changed, total), journal = map(json.loads, after.stdout.splitlines())
    assert (len(features), hours_changed, total) == (4, 1, "50.000000000001")
    assert len(journal) == 1
    assert (new / "state.db").read_bytes()[:6] == b"SQLite"
    assert list((data / "backups").iterdir()) == [path]


@pytest.fixture(scope="module")
def whole(data: Path) -> Path:
    said = run("backup", data=data).stdout
    return Path(said.partition(": ")[0])


@pytest.fixture(scope="module")
def old(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a backup as they were before it held digests."""
    path = tmp_path_factory.mktemp("old") / "old.tar"
    with tarfile.open(whole) as of, tarfile.open(path, "w") as to:
        for member in of:
            if member.name != "SHA256SUMS":
                to.addfile(member, of.extractfile(member) if member.isfile() else None)
    return path


def damaged(path: Path, member: str, to: Path, *, at: int = 0) -> Path:
    """Flip one bit of what the backup holds of a member, at a place in it or in its middle."""
    with tarfile.open(path) as tar:
        found = next(one for one in tar if one.isfile() and one.name.startswith(member))
    content = bytearray(path.read_bytes())
    content[found.offset_data + (at or found.size // 2)] ^= 1
    to.write_bytes(content)
    return to


@pytest.mark.parametrize("member", ["SHA256SUMS", "journal", "manifest.json", "state.db", "tables"])
def test_a_flipped_bit_of_a_backup_is_noticed_and_nothing_is_left(
    whole: Path, member: str, tmp_path: Path
) -> None:
    path = damaged(whole, member, tmp_path / "damaged.tar")

    said = run("restore", path, data=tmp_path / "new")

    assert said.returncode == 2
    assert said.stderr == f"taximeter: {path} is damaged: it is not what was written\n"
    assert list((tmp_path / "new").iterdir()) == []


def test_a_backup_without_digests_is_restored(old: Path, tmp_path: Path) -> None:
    said = run("restore", old, data=tmp_path / "new")

    assert (said.returncode, "42 calls, $50.00" in said.stdout) == (0, True), said.stderr
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "journal",
        "state.db",
        "store",
    ]


@pytest.mark.parametrize(
    ("member", "at", "reason"),
    [
        ("tables/calls", 30, "its tables can't be read: "),
        ("state.db", 100, "its state.db is damaged: "),
    ],
)
def test_what_an_old_backup_can_t_give_back_leaves_nothing(
    old: Path, member: str, at: int, reason: str, tmp_path: Path
) -> None:
    path = damaged(old, member, tmp_path / "damaged.tar", at=at)

    said = run("restore", path, data=tmp_path / "new")

    assert said.returncode == 2
    assert f"taximeter: {path}: {reason}" in said.stderr
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_is_restored_over_data_or_from_what_is_no_backup(
    data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.tar"
    other.write_bytes(b"no tar")
    new = tmp_path / "new"

    nowhere = run("restore", tmp_path / "missing.tar", data=new)
    assert nowhere.returncode == 2
    assert "missing.tar: No such file or directory" in nowhere.stderr
    assert not new.exists()
    refused = run("restore", other, data=data)
    unreadable = run("restore", other, data=new)

    assert (refused.returncode, unreadable.returncode) == (2, 2)
    assert f"{data} is not empty: restore into a new data folder" in refused.stderr
    assert unreadable.stderr.startswith(f"taximeter: {other} is not a backup")
    assert unreadable.stderr.count("\n") == 1
    assert not list(new.iterdir())


def test_nothing_is_copied_from_a_store_that_is_not_there(tmp_path: Path) -> None:
    new = tmp_path / "new"

    refused = run("copy", "clickhouse://a:b@127.0.0.1:1", data=new)

    assert refused.returncode == 2
    assert f"there is no store {new / 'store'}" in refused.stderr
    assert not new.exists()
