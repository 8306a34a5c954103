"""What is copied into the store for dashboards; what they show of it is tested with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest

from builders import NOON, budget, costing
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.mirroring import MeterState, Mirroring
from taximeter_alerts.periods import Recurrence
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.spending import spending_of
from taximeter_alerts.state import State
from taximeter_alerts.story import by_hour_of, course_of
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Store, StoreUnavailable

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Meter:
    """Counts as a process does: only ever more."""

    rejected: dict[str, int]

    def __init__(self) -> None:
        self.rejected = {}

    def __call__(self) -> MeterState:
        return MeterState(1.5, dict(self.rejected))


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def copying(store: Store, state: State, meter: Meter, tmp_path: Path) -> Mirroring:
    register = Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)
    return Mirroring(store, state, register, Savings(store, PriceBook.shipped), meter)


def test_rejected_spans_are_told_once(store: Store, copying: Mirroring, meter: Meter) -> None:
    for minute, late in enumerate((2, 2, 5)):
        meter.rejected["late"] = late
        copying.copy(NOON + minute * MINUTE)

    rows = store._connection.read("select rejected, lag_s from taximeter.meter_lines order by at")
    assert rows.result_rows == [({"late": 2}, 1.5), ({}, 1.5), ({"late": 3}, 1.5)]


def test_spans_that_were_rejected_while_the_store_was_away_are_told_later(
    store: Store, copying: Mirroring, meter: Meter
) -> None:
    meter.rejected["late"] = 2
    away = patch.object(Store, "keep_mirror", side_effect=StoreUnavailable("away"))
    with away, pytest.raises(StoreUnavailable):
        copying.copy(NOON)
    copying.copy(NOON + MINUTE)

    rows = store._connection.read("select rejected from taximeter.meter_lines")
    assert rows.result_rows == [({"late": 2},)]


def test_a_version_that_is_copied_again_stays_as_old_as_it_is(
    store: Store, copying: Mirroring
) -> None:
    for at in (NOON - HOUR, NOON):
        call = costing("1", ts=at, prompt_name="answer", prompt_version="7")
        store.add([call], token=f"mirroring/{at}", book_version="b", now=NOON)
        copying.copy(at)

    rows = store._connection.read("select min(first_at) from taximeter.prompt_versions")
    assert rows.result_rows == [(NOON - HOUR,)]


def test_where_nothing_is_found_any_more_no_finding_is_left(
    store: Store, copying: Mirroring
) -> None:
    calls = [
        costing("0.5", ts=NOON - HOUR, input_tokens=100, output_tokens=10, finish_reason="stop")
        for _ in range(40)
    ]
    store.add(calls, token="mirroring/found", book_version="b", now=NOON)
    copying.copy(NOON)
    later = NOON + timedelta(days=20)
    copying.copy(later)

    rows = store._connection.read(
        "select taken_at, countIf(kind != '') from taximeter.finding_lines "
        "group by taken_at order by taken_at"
    ).result_rows
    assert rows[0][1] > 0
    assert rows[-1] == (later, 0)


def test_the_course_of_the_user_who_spends_most_of_a_budget_for_each_is_told_by_the_day(
    store: Store, copying: Mirroring, tmp_path: Path
) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_text("budgets: [{name: Users, amount: 10, each: user, zone: Europe/Berlin}]")
    days = [NOON - day * timedelta(days=1) for day in (2, 1, 0)]
    calls = [costing("1.5", ts=at - HOUR, user_id="ada") for at in days]
    calls.append(costing("2", ts=NOON - HOUR, user_id="bob"))
    store.add(calls, token="mirroring/each", book_version="b", now=NOON)

    copying.copy(NOON)

    (value, course), *others = store._connection.read(
        "select value, course from taximeter.budget_lines"
    ).result_rows
    assert (value, others) == ("ada", [])
    assert [point["usd"] for point in course] == [
        Decimal(one) for one in ("0", "0", "1.5", "3", "4.5")
    ]
    assert [point["at"] for point in course][2:] == [
        at.replace(hour=23) - timedelta(days=1) for at in days[1:]
    ] + [NOON]


def test_the_course_of_a_long_period_begins_with_what_came_before_the_known_hours(
    store: Store,
) -> None:
    year = budget("100", period=Recurrence.parse("year"))
    calls = [costing("4", ts=datetime(2026, 2, 1, tzinfo=UTC)), costing("1", ts=NOON - HOUR)]
    store.add(calls, token="mirroring/year", book_version="b", now=NOON)

    (one,) = spending_of(store, [(year, year.period_at(NOON))])
    course = list(course_of(by_hour_of(store, one, NOON), one, NOON))

    assert course == [
        (datetime(2026, 1, 1, tzinfo=UTC), Decimal(0)),
        (NOON - HOUR, Decimal(4)),
        (NOON, Decimal(5)),
    ]
