from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest

import taximeter_collector.store.keeping
from builders import NOON, costing
from stores import empty, keep_for_ever
from taximeter_collector.store import Dimension, Period, Retention, Store, StoreError
from taximeter_collector.store.connection import Connection

EVER = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
DAY = timedelta(days=1)


@pytest.fixture
def keeping(store: Store) -> Iterator[Store]:
    yield store
    keep_for_ever(store)


def by_user(store: Store) -> dict[str, Decimal]:
    return {row.key[0]: row.cost for row in store.spend(EVER, [Dimension.USER])}


def test_the_ids_of_weeks_long_over_are_cleared_and_nothing_else_is(store: Store) -> None:
    moments = [NOON - days * DAY for days in (60, 30, 0)]
    named = {"trace_id": "t", "span_id": "s", "parent_span_id": "p", "request_id": "r"}
    rows = [
        costing("1", ts=ts, call_id=f"call-{number}", **named) for number, ts in enumerate(moments)
    ]
    store.add(rows, token="ids", book_version="b", now=NOON)
    monday = (moments[0] - moments[0].weekday() * DAY).date()

    assert store.clear_old_ids(Retention(ids=30), NOON) == [monday]
    assert store.clear_old_ids(Retention(ids=30), NOON) == []

    kept = store._connection.read(
        "select call_id, trace_id, span_id, parent_span_id, request_id "
        "from taximeter.calls final order by ts"
    ).result_rows
    assert kept == [
        ("call-0", "t", "", "", ""),
        ("call-1", "t", "s", "p", "r"),
        ("call-2", "t", "s", "p", "r"),
    ]
    assert store.spend(EVER)[0].cost == 3


def test_calls_that_are_kept_for_shorter_go_and_their_sums_stay(keeping: Store) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [costing("1", ts=today - 90 * DAY), costing("2", ts=today)]
    keeping.add(rows, token="kept", book_version="b", now=NOON)
    keeping.refresh()

    keeping.keep(Retention(calls=30))
    connection = keeping._connection
    connection.command(f"optimize table {connection.shard_database}.calls final")

    left = connection.read("select count() from taximeter.calls").result_rows
    assert left == [(1,)]
    assert keeping.spend(Period(today - 100 * DAY, today + DAY))[0].cost == 3


def test_a_retention_that_holds_already_changes_nothing(keeping: Store) -> None:
    keeping.keep(Retention())
    with patch.object(keeping._connection, "command") as command:
        keeping.keep(Retention())
    command.assert_not_called()


def test_a_user_of_whom_only_sums_are_kept_is_forgotten(store: Store) -> None:
    rows = [costing("3", user_id="ada"), costing("4", user_id="bob")]
    store.add(rows, token="sums", book_version="b", now=NOON)
    store.refresh()
    empty(store, "calls")
    assert by_user(store) == {"ada": 3, "bob": 4}

    assert store.forget("ada") == 0
    for _ in range(2):
        assert by_user(store) == {"bob": 4}
        store.refresh()
    assert store.spend(Period(NOON - DAY, NOON + DAY))[0].cost == 7
    assert store.forget("ada") is None


@pytest.mark.parametrize("refreshed", [False, True])
def test_a_user_is_forgotten_and_the_dollars_stay(store: Store, refreshed: bool) -> None:
    name = "o'brien \\ {x}@example.com"
    rows = [
        costing("1", user_id=name, session_id="his", tags={"tenant": "t1", "mail": name}),
        costing("2", user_id=name, ts=NOON - 40 * DAY),
        costing("4", user_id="ada", session_id="hers", tags={"asked_by": name, "tenant": "t2"}),
    ]
    store.add(rows, token="named", book_version="b", now=NOON)
    if refreshed:
        store.refresh()
    assert by_user(store) == {name: 3, "ada": 4}

    assert store.forget(name) == 3
    for _ in range(2):
        assert by_user(store) == {"": 3, "ada": 4}
        store.refresh()

    assert store.forget(name) is None
    kept = store._connection.read(
        "select user_id, session_id, tags from taximeter.calls final order by cost"
    ).result_rows
    assert kept == [("", "", {"tenant": "t1"}), ("", "", {}), ("ada", "hers", {"tenant": "t2"})]
    mutations = store._connection.read("select command from system.mutations").result_rows
    assert mutations
    assert "brien" not in str(mutations)


@pytest.mark.parametrize("dies_at", [1, 2])
def test_forgetting_that_died_is_finished_by_the_next(store: Store, dies_at: int) -> None:
    rows = [
        costing("1", user_id="bob"),
        costing("2", user_id="ada", ts=NOON - DAY),
        costing("4", user_id="bob", ts=NOON - DAY),
    ]
    store.add(rows, token="bob", book_version="b", now=NOON)
    store.refresh()
    statements = count(1)

    def command(self: Connection, *args: Any) -> None:
        if next(statements) == dies_at:
            raise StoreError("died")
        original(self, *args)

    original = Connection.command
    with patch.object(Connection, "command", command), pytest.raises(StoreError):
        store.forget("bob")
    assert sum(by_user(store).values()) == 7

    store.forget("bob")
    for _ in range(2):
        assert by_user(store) == {"": 5, "ada": 2}
        store.refresh()


def test_a_name_that_keeps_coming_in_is_not_said_to_be_forgotten(store: Store) -> None:
    numbers = count()

    def again(*args: Any) -> None:
        original(*args)
        token = f"again-{next(numbers)}"
        store.add([costing("1", user_id="bob")], token=token, book_version="b", now=NOON)

    store.add([costing("1", user_id="bob")], token="bob", book_version="b", now=NOON)
    original = taximeter_collector.store.keeping.forget
    again_while_forgetting = patch.object(taximeter_collector.store.keeping, "forget", again)
    with again_while_forgetting, pytest.raises(StoreError, match="still come in"):
        store.forget("bob")
