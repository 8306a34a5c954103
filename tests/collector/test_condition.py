from __future__ import annotations

import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from builders import costing
from taximeter_collector.store import Store, condition_of
from taximeter_collector.store import condition as condition_module


def test_a_store_that_is_not_made_yet_is_not_made_by_looking(tmp_path: Path) -> None:
    assert condition_of(f"chdb://{tmp_path}/store") is None
    assert list(tmp_path.iterdir()) == []


def test_a_server_tells_its_clock_its_disks_and_what_it_lacks(
    clickhouse: tuple[subprocess.Popen[bytes], str],
) -> None:
    _, url = clickhouse

    empty = condition_of(url)
    with closing(Store(url)):
        ready = condition_of(url)

    assert empty is not None
    assert ready is not None
    assert empty.pending[0] == "0001_calls"
    assert ready.pending == ()
    assert abs(ready.clock - datetime.now(UTC)) < timedelta(seconds=30)
    ((_, free, total),) = ready.disks
    assert 0 < free <= total
    assert (ready.crowded, ready.stuck, ready.broken, ready.read_only) == ((), (), (), ())
    assert ready.endless_logs == ()


def test_crowded_tables_stuck_changes_and_endless_logs_are_named(
    clickhouse: tuple[subprocess.Popen[bytes], str],
) -> None:
    _, url = clickhouse
    now = datetime.now(UTC)
    with closing(Store(url)) as store, closing(clickhouse_connect.get_client(dsn=url)) as client:
        store.add([costing("1", ts=now)], token="one", book_version="b", now=now)
        for table, end in (("query_log", ""), ("part_log", "ttl day + interval 7 day delete")):
            client.command(f"create table system.{table} (day Date) order by day {end}")
        with pytest.raises(DatabaseError):
            client.command("alter table taximeter.calls delete where throwIf(1)")

        with patch.object(condition_module, "MOST_PARTS", 0):
            found = store.condition()

    assert ("calls", 1) in {(table, parts) for table, _, parts in found.crowded}
    ((table, reason),) = found.stuck
    assert table == "calls"
    assert "throwIf" in reason
    assert found.endless_logs == (("query_log", 0),)
