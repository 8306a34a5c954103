from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, costing
from stores import empty
from taximeter_collector.store import Dimension, Period, Scope, Store, dearest

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
DAYS = 3
LISTED = 1_000
USERS = 1_200
TOKENS = count()
Day = Mapping[str, int]


def fill(store: Store, cost_of: Mapping[str, int]) -> None:
    """Add a call a day for each user, who costs more each day, and one of nobody, the dearest."""
    rows = [
        costing(str(cost + day), user_id=user, ts=NOON - day * timedelta(days=1))
        for day in range(DAYS)
        for user, cost in [*cost_of.items(), ("", 1_000_000)]
    ]
    store.add(rows, token=f"dearest-{next(TOKENS)}", book_version="b1", now=NOON)


def names(store: Store, scope: Scope, least: int | None = None) -> list[str] | None:
    known = None if least is None else Decimal(least)
    limit = 5 if least is None else None
    return dearest.names(store._connection, NOVEMBER, scope, limit, known)


FEW_ARE_DEAR = {f"user-{number}": 100_000 // (number + 1) for number in range(USERS)}
ALL_ALIKE = {f"user-{number}": 1 for number in range(USERS)}
SOMEBODY = Scope(without={Dimension.USER: ("",)})


@pytest.mark.parametrize("scope", [Scope(), SOMEBODY])
def test_the_dearest_of_many_are_found_in_the_lists_of_days(store: Store, scope: Scope) -> None:
    fill(store, FEW_ARE_DEAR)
    everybody = store.spend(NOVEMBER, [Dimension.USER], scope)
    from_rows = names(store, scope)
    store.refresh()
    empty(store, "calls")

    found, dear = names(store, scope), names(store, scope, least=30_000)

    assert found is not None
    assert {row.key[0] for row in everybody[:5]} <= set(found)
    assert len(found) < 20
    assert from_rows is not None
    assert set(from_rows) >= {row.key[0] for row in everybody[:5]}
    assert dear is not None
    assert {row.key[0] for row in everybody if row.cost >= 30_000} <= set(dear)
    assert store.spend(NOVEMBER, [Dimension.USER], scope, limit=5) == everybody[:5]
    assert store.spend(NOVEMBER, [Dimension.USER], scope, least=Decimal(30_000)) == [
        row for row in everybody if row.cost >= 30_000
    ]


def test_where_many_cost_alike_all_are_summed(store: Store) -> None:
    fill(store, ALL_ALIKE)
    everybody = store.spend(NOVEMBER, [Dimension.USER])
    store.refresh()

    assert names(store, Scope()) is None
    assert names(store, Scope(), least=2) is None
    assert store.spend(NOVEMBER, [Dimension.USER], limit=5) == everybody[:5]
    assert store.spend(NOVEMBER, [Dimension.USER], least=Decimal(2)) == everybody


def test_a_part_of_a_day_has_no_lists(store: Store) -> None:
    fill(store, {"ada": 3, "bob": 2, "eve": 1})
    hours = Period(NOON - timedelta(hours=1), NOON + timedelta(hours=1))

    rows = store.spend(hours, [Dimension.USER], SOMEBODY, limit=2)

    assert [(row.key[0], f"{row.cost:.0f}") for row in rows] == [("ada", "3"), ("bob", "2")]
    assert store.dearest_users(hours, SOMEBODY, limit=2) == ["ada", "bob"]


def test_lists_know_nothing_of_features(store: Store) -> None:
    assert names(store, Scope({Dimension.FEATURE: ("search",)})) is None
    assert names(store, Scope(tags={"plan": ("free",)})) is None


def listed(days: Sequence[Day], length: int) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """Return what the engine makes of lists of so many users a day."""
    known: dict[str, int] = defaultdict(int)
    counted: dict[str, int] = defaultdict(int)
    unlisted = 0
    for day in days:
        ordered = sorted(day.items(), key=lambda one: -one[1])
        bound = ordered[length][1] if len(ordered) > length else 0
        unlisted += bound
        for user, cost in ordered[:length]:
            known[user] += cost
            counted[user] += bound
    rows = [
        (user, Decimal(cost), Decimal(cost + unlisted - counted[user]), Decimal(unlisted))
        for user, cost in known.items()
    ]
    return sorted(rows, key=lambda row: -row[2])


days = st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50)), max_size=4)


@given(days, st.integers(1, 4), st.none() | st.integers(1, 4), st.none() | st.integers(0, 60))
def test_nobody_who_is_dear_is_left_out(
    per_day: list[Day], length: int, limit: int | None, least: int | None
) -> None:
    cost_of: dict[str, int] = defaultdict(int)
    for day in per_day:
        for user, cost in day.items():
            cost_of[user] += cost
    enough = [cost for cost in cost_of.values() if cost >= (least or 0)]
    of_last = sorted(enough, reverse=True)[: limit or len(enough)][-1:] or [0]
    dear = {user for user, cost in cost_of.items() if cost in enough and cost >= of_last[0]}

    found = dearest._proven(
        listed(per_day, length), limit, None if least is None else Decimal(least)
    )

    if found is not None:
        assert dear <= set(found) or not dear
