from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from builders import NOON, budget
from taximeter_alerts.alert import Alert, AlertKey
from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import crossed, due, key_of
from taximeter_alerts.spending import Spending
from taximeter_collector.store import SpendRow


def spending(usd: str, of: Budget | None = None, at: datetime = NOON) -> Spending:
    of = of or budget()
    return Spending(of, of.period_at(at), SpendRow.nothing()._replace(cost=Decimal(usd)))


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
    raised = due(spending("9.10"), set(), NOON)

    assert raised is not None
    assert (raised.key.percent, raised.also_passed, raised.next_threshold) == (90, (50, 75), 100)


def keys_of(one: Spending, alert: Alert | None) -> set[AlertKey]:
    assert alert is not None
    return {key_of(one, percent) for percent in (alert.key.percent, *alert.also_passed)}


def test_an_alert_is_raised_once_and_the_next_threshold_again() -> None:
    first = spending("5.10")
    raised = keys_of(first, due(first, set(), NOON))

    assert due(spending("7.40"), raised, NOON) is None
    second = due(spending("7.50"), raised, NOON)
    assert second is not None
    assert (second.key.percent, second.also_passed) == (75, ())


def test_a_threshold_added_below_one_already_raised_is_no_news() -> None:
    raised = {key_of(spending("8"), 75)}
    edited = replace(budget(), thresholds=(60, 75))

    assert due(spending("7.60", edited), raised, NOON) is None


def test_another_amount_is_another_alert() -> None:
    raised = {key_of(spending("6", budget("10")), 50)}

    assert due(spending("6", budget("10.00")), raised, NOON) is None
    assert due(spending("6", budget("11")), raised, NOON) is not None


def test_a_new_month_begins_anew() -> None:
    raised = {key_of(spending("6"), 50)}
    december = NOON.replace(month=12)

    assert due(spending("6", at=december), raised, december) is not None


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({}, ""),
        (
            {"feature": ["chat", "a&b"], "team": "web"},
            "&feature=chat&feature=a%26b&team=web",
        ),
        ({"feature": {"not": "chat"}}, None),
        ({"tags": {"tier": "pro"}}, None),
        ({"team": "web", "tags": {"tier": {"not": "pro"}}}, None),
    ],
)
def test_an_alert_links_to_exactly_its_calls_or_to_none(
    scope: dict[str, object], words: str | None
) -> None:
    raised = due(spending("5.10", budget(scope=scope)), set(), NOON)

    november = "?from=2026-11-01T00%3A00%3A00%2B00%3A00&to=2026-12-01T00%3A00%3A00%2B00%3A00"
    assert raised is not None
    assert raised.calls == ("" if words is None else november + words)
