from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from builders import NOON, budget
from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import Alert, crossed, due, key_of
from taximeter_collector.store import SpendRow


def spent(usd: str, *, unpriced_calls: int = 0) -> SpendRow:
    zero = Decimal(0)
    return SpendRow(
        cost=Decimal(usd),
        estimated_cost=zero,
        cost_input=zero,
        cost_cached_input=zero,
        cost_cache_write=zero,
        cost_output=zero,
        calls=1,
        errors=0,
        unpriced_calls=unpriced_calls,
        estimated_calls=0,
        input_tokens=0,
        cached_input_tokens=0,
        cache_write_tokens=0,
        output_tokens=0,
        reasoning_tokens=0,
    )


@pytest.mark.parametrize(
    ("usd", "percents"),
    [
        ("0", []),
        ("4.999999999999", []),
        ("5.00", [50]),
        ("7.499999999999", [50]),
        ("7.50", [50, 75]),
        ("10.01", [50, 75, 90, 100]),
    ],
)
def test_a_threshold_is_crossed_when_it_is_reached(usd: str, percents: list[int]) -> None:
    assert crossed(budget("10.00"), Decimal(usd)) == percents


def test_a_budget_of_zero_is_crossed_by_the_first_cent_and_not_by_nothing() -> None:
    assert crossed(budget("0"), Decimal(0)) == []
    assert crossed(budget("0"), Decimal("0.01")) == [50, 75, 90, 100]


def test_several_thresholds_at_once_make_one_alert_that_names_the_lower_ones() -> None:
    raised = due(budget(), budget().period_at(NOON), spent("9.10"), set(), NOON)

    assert raised is not None
    assert (raised.key.percent, raised.also_passed, raised.next_threshold) == (90, (50, 75), 100)


def keys_of(one: Alert | None, of: Budget) -> set[object]:
    assert one is not None
    percents = [one.key.percent, *one.also_passed]
    return {key_of(of, one.period, percent) for percent in percents}


def test_an_alert_is_raised_once_and_the_next_threshold_again() -> None:
    first = due(budget(), budget().period_at(NOON), spent("5.10"), set(), NOON)
    raised = keys_of(first, budget())

    assert due(budget(), budget().period_at(NOON), spent("7.40"), raised, NOON) is None  # type: ignore[arg-type]
    second = due(budget(), budget().period_at(NOON), spent("7.50"), raised, NOON)  # type: ignore[arg-type]
    assert second is not None
    assert (second.key.percent, second.also_passed) == (75, ())


def test_a_threshold_added_below_one_already_raised_is_no_news() -> None:
    raised = {key_of(budget(), budget().period_at(NOON), 75)}
    edited = replace(budget(), thresholds=(60, 75))

    assert due(edited, edited.period_at(NOON), spent("7.60"), raised, NOON) is None


def test_another_amount_is_another_alert() -> None:
    raised = {key_of(budget("10"), budget("10").period_at(NOON), 50)}

    assert due(budget("10.00"), budget("10.00").period_at(NOON), spent("6"), raised, NOON) is None
    assert due(budget("11"), budget("11").period_at(NOON), spent("6"), raised, NOON) is not None


def test_a_new_month_begins_anew() -> None:
    raised = {key_of(budget(), budget().period_at(NOON), 50)}
    december = NOON.replace(month=12)

    assert due(budget(), budget().period_at(december), spent("6"), raised, december) is not None
