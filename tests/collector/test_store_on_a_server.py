from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import taximeter_collector.store.store
import taximeter_collector.writer
from builders import NOON, costing, unpriced
from clickhouse import running
from spans import request, span
from stores import empty
from taximeter_api.demo.processes import free_port
from taximeter_collector.calls import Loss
from taximeter_collector.journal import Journal, JournalFull
from taximeter_collector.prices import PriceBook, shipped_text
from taximeter_collector.store import (
    Dimension,
    Period,
    Scope,
    Store,
    StoreError,
    StoreUnavailable,
    schema,
)
from taximeter_collector.store.columns import columns_of
from taximeter_collector.store.connection import Connection
from taximeter_collector.store.rollups import DAYS, HOURS
from taximeter_collector.writer import Writer, frame

YEAR = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
PATIENCE_S = 180

Server = tuple[subprocess.Popen[bytes], str]


def test_a_server_answers_like_the_embedded_engine(
    clickhouse: Server,
) -> None:
    process, url = clickhouse
    store = Store(url)
    rows = [costing("1.5", feature="a", user_id="ada"), costing("2", feature="b"), unpriced()]

    store.add(rows, token="one", book_version="b1", now=NOON)
    store.add(rows, token="one", book_version="b1", now=NOON)
    before = store.spend(NOVEMBER, [Dimension.FEATURE])
    store.refresh()

    assert [(row.key, f"{row.cost:.1f}") for row in before] == [
        (("b",), "2.0"),
        (("a",), "1.5"),
        (("search",), "0.0"),
    ]
    assert store.spend(NOVEMBER, [Dimension.FEATURE]) == before
    scopes = {"ada": Scope({Dimension.USER: ("ada",)}), "everyone": Scope()}
    assert {name: row.calls for name, row in store.spent(NOVEMBER, scopes).items()} == {
        "ada": 1,
        "everyone": 3,
    }
    assert store.last_call_at() == NOON

    process.kill()
    process.wait(PATIENCE_S)
    with pytest.raises(StoreUnavailable):
        store.spend(NOVEMBER)
    store.close()


def test_a_store_of_the_first_program_goes_on_with_its_rollups(
    clickhouse: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taximeter_collector.store.store, "MOST_SECONDS", 0)
    connection = Connection(clickhouse[1])
    first = list(schema._migrations())
    with patch.object(schema, "_migrations", lambda: (one for one in first if one[0] < 8)):
        schema.migrate(connection)
    columns = columns_of([costing("2.5", team="web")], revision=1, book_version="b", now=NOON)
    connection.insert("calls", columns)
    hour, day = NOON.replace(minute=0), NOON.date()
    connection.insert("dirty_hours", {"hour": [hour], "seq": [1]})
    for table in ("spend_hourly", "latency_hourly"):
        connection.command(HOURS.refill(table), {"version": 2, "moments": [hour]})
    connection.insert("hours_done", {"hour": [hour], "seq": [1], "version": [2]})
    connection.command(DAYS.refill("spend_daily"), {"version": 3, "moments": [day]})
    connection.insert("days_done", {"day": [day], "hours_version": [2], "version": [3]})
    connection.close()

    store = Store(clickhouse[1])
    assert store.spend(NOVEMBER)[0].cost == Decimal("2.5")
    assert store.refresh() == 1
    empty(store, "calls")
    assert store.spend(NOVEMBER)[0].cost == Decimal("2.5")
    for rollup in ("latency_by_hour", "latency_by_day", "outcomes_by_hour", "users_by_day"):
        teams = store._connection.read(f"select team from taximeter.{rollup}").result_rows
        assert teams == [("web",)], rollup
    users = store._connection.read("select sum(cost) from taximeter.user_totals_by_day")
    assert users.result_rows == [(Decimal("2.5"),)]
    assert (store.quality(NOVEMBER).calls, store.traffic(NOVEMBER).calls) == (1, 1)
    store.add([costing("1")], token="one", book_version="b", now=NOON)
    assert store.refresh() == 1
    assert store.spend(NOVEMBER)[0].cost == 1
    store.close()


def test_an_embedded_store_is_copied_and_a_second_time_only_what_is_new(
    clickhouse: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taximeter_collector.store.store, "MOST_SECONDS", 0)
    rows = [
        costing("1.25", ts=NOON - timedelta(days=days), user_id=f"u{days}", tags={"a": "b"})
        for days in range(0, 30, 3)
    ]
    store.add([*rows, unpriced()], token="a", book_version="b", now=NOON)
    store.refresh()
    store.add_losses([Loss(told_at=NOON, told_by="x", service="s", spans=3)])
    # Its calls have aged out; its sums have not.
    old = costing("7", ts=NOON - timedelta(days=90))
    store.add([old], token="old", book_version="b", now=NOON)
    store.refresh()
    store._connection.alter("calls", "delete where cost = 7", settings={"mutations_sync": 2})
    target = Store(clickhouse[1])

    first = list(store.copy_to(target))
    store.add([costing("0.5", call_id="later")], token="later", book_version="b", now=NOON)
    second = list(store.copy_to(target))

    assert sum(week.sent for week in first) == 11
    assert sum(week.sent for week in second) == 3  # the whole hour of the new call
    for _ in range(2):
        for by in ([], [Dimension.DAY], [Dimension.USER]):
            assert target.spend(YEAR, by) == store.spend(YEAR, by)
        target.refresh()
    assert target.lost_spans(NOVEMBER) == {"s": 3}
    assert target.spend(YEAR)[0].cost == Decimal(20)
    target.add([costing("9")], token="other", book_version="b", now=NOON)
    with pytest.raises(StoreError, match="other calls in 1 hours"):
        list(store.copy_to(target))
    target.close()


def test_a_copy_that_died_is_finished_by_the_next(
    clickhouse: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taximeter_collector.store.store, "MOST_SECONDS", 0)
    rows = [costing("1", ts=NOON + timedelta(hours=hour)) for hour in range(4)]
    store.add(rows, token="a", book_version="b", now=NOON)
    with closing(Store(clickhouse[1])) as target:
        send, sent = target._connection.send, count()

        def send_or_die(*what: Any) -> None:
            if next(sent) == 2:
                raise StoreUnavailable("killed")
            send(*what)

        monkeypatch.setattr(target._connection, "send", send_or_die)
        with pytest.raises(StoreUnavailable):
            list(store.copy_to(target))
    with closing(Store(clickhouse[1])) as target:
        assert [week.sent for week in store.copy_to(target)] == [2]
        for _ in range(2):
            assert target.spend(NOVEMBER) == store.spend(NOVEMBER)
            target.refresh()


def test_calls_wait_in_the_journal_while_the_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taximeter_collector.writer, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(taximeter_collector.writer, "LAST_RETRY_S", 0.2)
    bodies = [
        request(
            *(
                span({"gen_ai.response.id": f"chatcmpl-{number}-{one}"}, start=datetime.now(UTC))
                for one in range(50)
            ),
            scope="taximeter",
        ).SerializeToString()
        for number in range(12)
    ]
    port = free_port()
    journal = Journal(tmp_path / "journal", max_bytes=130_000)
    with running(tmp_path / "server", port=port) as (server, url):
        store = Store(url)
        writer = Writer(journal, store, lambda: PriceBook(shipped_text()))
        writer.start()
        journal.append(frame(datetime.now(UTC), bodies[0])).result(60)
        wait_until(lambda: journal.size == 0)
        server.kill()
        server.wait(PATIENCE_S)

    acknowledged = 1
    with suppress(JournalFull):
        for body in bodies[1:]:
            journal.append(frame(datetime.now(UTC), body)).result(60)
            acknowledged += 1
    wait_until(lambda: writer.trouble == "the store does not answer (Connection refused)")
    size = journal.size

    with running(tmp_path / "server", port=port):
        wait_until(lambda: journal.size == 0)
        day = timedelta(days=1)
        now = datetime.now(UTC)
        (total,) = store.spend(Period(now - day, now + day))
        journal.close()
        writer.close()
        store.close()

    assert size > 100_000
    assert 2 < acknowledged < 12
    assert (total.calls, total.unpriced_calls) == (50 * acknowledged, 0)


def wait_until(it_is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not it_is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_refresh_ends_an_hour_while_rows_of_another_process_may_come(
    clickhouse: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = clickhouse
    writer, refresher = Store(url), Store(url)
    insert = writer._connection.insert

    def inserted(*args: Any, **more: Any) -> None:
        assert refresher.refresh() == 0
        insert(*args, **more)

    monkeypatch.setattr(writer._connection, "insert", inserted)
    writer.add([costing("1")], token="one", book_version="b", now=NOON)
    assert refresher.spend(NOVEMBER)[0].cost == 1
    refresher._connection.command(
        "alter table taximeter.dirty_hours update settled_at = now64(3) where true",
        settings={"mutations_sync": 1},
    )
    assert refresher.refresh() == 1
    assert writer.refresh() == 0
    assert writer.spend(NOVEMBER)[0].cost == 1
    writer.close()
    refresher.close()
