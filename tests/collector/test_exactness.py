"""Whatever happens in whatever order, a sum is the sum over the calls, in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taximeter_collector.store.store
from builders import NOON, costing, unpriced
from stores import empty
from taximeter_collector.store import Dimension, Period, Scope, Store

START = datetime(2026, 10, 30, 22, tzinfo=UTC)
MOMENTS = [START + timedelta(hours=hours, minutes=59) for hours in (0, 1, 2, 25, 26, 50, 300)]
"""When the calls were made, by the number of the call: it never changes."""
PERIODS = [
    Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    Period(datetime(2026, 10, 31, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
    Period(datetime(2026, 10, 30, 23, 59, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC)),
]
QUESTIONS = [
    (period, by) for period in PERIODS for by in ((), ("feature",), ("user",), ("user", "feature"))
]
TOKENS = count()


class Told(NamedTuple):
    """What an app, a re-pricing or a second collector says of a call."""

    number: int
    feature: str
    user: str
    cents: int | None


told = st.builds(
    Told,
    st.integers(0, len(MOMENTS) - 1),
    st.sampled_from(["search", "chat"]),
    st.sampled_from(["ada", "bob", ""]),
    st.none() | st.integers(0, 99),
)


class Upset(NamedTuple):
    """What happens to a refresh at an insert: it dies, or another process refreshes."""

    table: str
    insert: int
    dies: bool


upset = st.builds(
    Upset,
    st.sampled_from(["hours_done", "days_done", "user_days_done"]),
    st.integers(1, 2),
    st.booleans(),
)
# What is told, told again, refreshed or upset, each by one of two processes.
steps = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(told, min_size=1, max_size=4)
        | st.sampled_from(["repeat", "all", "an hour"])
        | upset,
    ),
    min_size=3,
    max_size=12,
)


def add(store: Store, several: list[Told], token: str) -> None:
    rows = []
    for one in several:
        fields: dict[str, Any] = {
            "call_id": f"call-{one.number}",
            "ts": MOMENTS[one.number],
            "feature": one.feature,
            "user_id": one.user,
        }
        priced = one.cents is not None
        rows.append(costing(f"{one.cents}e-2", **fields) if priced else unpriced(**fields))
    # Of one call told twice in one segment either may stand, so a segment tells it once.
    store.add(rows, token=token, book_version="b", now=NOON)


class Died(BaseException):
    """The process ended here."""


@contextmanager
def upsetting(store: Store, by: Upset, other: Store) -> Iterator[None]:
    inserts = count(1)

    def insert(into: str, *args: Any, **more: Any) -> None:
        if into == by.table and next(inserts) == by.insert:
            if by.dies:
                raise Died
            other.refresh()
        original(into, *args, **more)

    original = store._connection.insert
    with patch.object(store._connection, "insert", insert), suppress(Died):
        yield


def refresh(store: Store, how: str | Upset, other: Store) -> None:
    if isinstance(how, Upset):
        with upsetting(store, how, other):
            store.refresh()
    elif how == "an hour":
        with patch.object(taximeter_collector.store.store, "HOURS_A_REFRESH", 1):
            store.refresh()
    else:
        store.refresh()


def other_process(store: Store) -> Store:
    """Return another store on the same engine: its numbers, marks and locks are its own."""
    connection = copy(store._connection)
    with patch.object(taximeter_collector.store.store, "Connection", return_value=connection):
        return Store(store.url)


Sums = dict[tuple[str, ...], tuple[Decimal, int, int]]


def wanted(calls: dict[int, Told], period: Period, by: tuple[str, ...]) -> Sums:
    sums: Sums = defaultdict(lambda: (Decimal(0), 0, 0))
    for one in calls.values():
        if period.start <= MOMENTS[one.number] < period.end:
            key = tuple(getattr(one, name) for name in by)
            cost, number, unknown = sums[key]
            cents = Decimal(one.cents or 0) / 100
            sums[key] = (cost + cents, number + 1, unknown + (one.cents is None))
    return dict(sums)


def said(store: Store, period: Period, by: tuple[str, ...]) -> Sums:
    rows = store.spend(period, [Dimension[name.upper()] for name in by])
    return {row.key: (row.cost, row.calls, row.unpriced_calls) for row in rows if row.calls}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_every_sum_is_that_of_the_calls_at_every_moment(
    store: Store, script: list[tuple[bool, list[Told] | str | Upset]]
) -> None:
    empty(store)
    stores = store, other_process(store)
    calls: dict[int, Told] = {}
    added: tuple[list[Told], str] | None = None
    for number, (by_the_other, step) in enumerate(script):
        one, other = stores[by_the_other], stores[not by_the_other]
        if isinstance(step, list):
            once = list({one.number: one for one in step}.values())
            added = once, f"exact-{next(TOKENS)}"
            add(one, *added)
            calls |= {one.number: one for one in once}
        elif step != "repeat":
            refresh(one, step, other)
        elif added:
            add(one, *added)
        question = QUESTIONS[number % len(QUESTIONS)]
        assert said(store, *question) == wanted(calls, *question)
    for _ in range(2):
        for question in QUESTIONS:
            assert said(store, *question) == wanted(calls, *question)
        store.refresh()
    assert store.refresh() == 0
    scopes = {
        "ada": Scope({Dimension.USER: ("ada",)}),
        "chat": Scope({Dimension.FEATURE: ("chat", "nothing")}),
    }
    of_users, of_features = (wanted(calls, PERIODS[1], (by,)) for by in ("user", "feature"))
    spent = store.spent(PERIODS[1], scopes)
    assert spent["ada"].cost == of_users.get(("ada",), (0,))[0]
    assert spent["chat"].cost == of_features.get(("chat",), (0,))[0]
