"""Sums read with open hours and days written into the views are what the views themselves tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from builders import NOON, costing
from taximeter_collector.store import Dimension, Period, Store, unsettled

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
DAY = timedelta(days=1)
YESTERDAY = NOON - DAY
TOKENS = count()
VIEWS = (
    "spend_by_hour",
    "spend_by_day",
    "users_by_day",
    "user_totals_by_day",
    "dearest_users_by_day",
    "outcomes_by_hour",
    "latency_by_hour",
    "latency_by_day",
    "distinct_users_by_day",
)


def add(store: Store, usd: str, ts: datetime, user: str = "ada") -> None:
    rows = [costing(usd, ts=ts, user_id=user)]
    store.add(rows, token=f"unsettled-{next(TOKENS)}", book_version="b1", now=NOON)


def spent(store: Store) -> Decimal:
    return store.spend(NOVEMBER)[0].cost


def folded(store: Store, sql: str, period: Period = NOVEMBER) -> str:
    return store._connection.folding.folded(sql, period)[0]


def test_the_views_of_the_schema_are_all_known(store: Store) -> None:
    rows = store._connection.read(unsettled.VIEWS).result_rows

    assert sorted(name for name, _ in rows) == sorted(VIEWS)
    for name, text in rows:
        assert "open_" not in folded(store, f"select 1 from taximeter.{name}"), text


@pytest.mark.parametrize("view", VIEWS)
def test_a_folded_view_tells_what_the_view_tells(store: Store, view: str) -> None:
    sql = f"select * apply(x -> toString(x)) from taximeter.{view} order by all"

    def both() -> tuple[Any, Any]:
        connection = store._connection
        return (
            connection.read(sql).result_rows,
            connection.read_sums(sql, {}, NOVEMBER).result_rows,
        )

    for usd, ts, user in (("1", YESTERDAY, "ada"), ("2", NOON, "bob"), ("3", NOON, "ada")):
        add(store, usd, ts, user)
        told, told_folded = both()
        assert told == told_folded
        store.refresh()
        told, told_folded = both()
        assert told == told_folded
        assert told


def test_a_period_without_open_hours_is_planned_for_none(store: Store) -> None:
    sql = "select sum(cost) from taximeter.spend_by_day"
    add(store, "1", YESTERDAY)
    store.refresh()
    add(store, "2", NOON)
    midnight = NOON.replace(hour=0)

    before, today = Period(midnight - 9 * DAY, midnight), Period(midnight, midnight + DAY)

    assert "UNION ALL" not in folded(store, sql, before)
    assert folded(store, sql, today).count("UNION ALL") == 2


def test_sums_that_are_replaced_meanwhile_are_asked_for_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "1", YESTERDAY)
    store.refresh()
    assert spent(store) == 1
    asked, read = [], store._connection.read

    def read_late(sql: str, *rest: Any) -> Any:
        asked.append(sql)
        if len(asked) == 1:
            add(store, "2", NOON)
            store.refresh()
        return read(sql, *rest)

    monkeypatch.setattr(store._connection, "read", read_late)

    assert spent(store) == 3
    assert len([sql for sql in asked if "cost_sum" in sql]) == 2


def test_calls_of_an_hour_that_is_open_already_disturb_nobody(store: Store) -> None:
    add(store, "1", NOON)
    _, changes = store._connection.folding.folded("select 1", NOVEMBER)

    add(store, "2", NOON)
    of_known_hours = store._connection.folding.is_unchanged(changes)
    add(store, "4", YESTERDAY)

    assert of_known_hours
    assert not store._connection.folding.is_unchanged(changes)
    assert spent(store) == 7


def test_where_very_much_is_open_the_engine_finds_it(store: Store) -> None:
    sql = "select sum(cost) from taximeter.spend_by_day"
    for hour in range(unsettled.MOST):
        add(store, "1", NOVEMBER.start + hour * timedelta(hours=1))

    assert folded(store, sql) == sql
    assert store.spend(NOVEMBER, [Dimension.USER])[0].cost == unsettled.MOST
