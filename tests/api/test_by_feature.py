from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from taximeter_api.by_feature import change_of, courses, rise_of
from taximeter_collector.store import SpendRow

TOMORROW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


def days(feature: str, *usd: str, calls: int = 10, unpriced_calls: int = 0) -> list[SpendRow]:
    """Build a row for each day, the last one today's."""
    row = SpendRow.nothing()._replace(calls=calls, unpriced_calls=unpriced_calls, key=(feature,))
    return [
        row._replace(cost=Decimal(one), at=TOMORROW - (len(usd) - place) * DAY)
        for place, one in enumerate(usd)
    ]


@pytest.mark.parametrize(
    ("before", "now", "rises"),
    [("10", "15", True), ("10", "14.99", False), ("0.1", "0.2", False), ("0", "15", False)],
)
def test_a_feature_has_risen_when_it_costs_half_as_much_again(
    before: str, now: str, *, rises: bool
) -> None:
    rise = rise_of(courses(days("chat", *[before] * 7, *[now] * 7, "1000"), TOMORROW))

    assert (rise is not None) == rises


def test_two_weeks_of_whole_days_are_compared() -> None:
    daily = days("chat", "1000", *["2"] * 7, *["3"] * 7, "500")

    chat = courses([*daily, *days("search", "7", "1")], TOMORROW)["chat"]

    assert (chat.before.cost, chat.now.cost) == (Decimal(14), Decimal(21))
    assert (chat.days[TOMORROW - 16 * DAY], chat.days[TOMORROW - DAY]) == (
        Decimal(1000),
        Decimal(500),
    )


def test_a_week_that_was_not_all_metered_is_not_compared_with() -> None:
    metered = days("chat", *["10"] * 13, "10")
    new = days("search", *["10"] * 3, "10")

    found = courses([*days("chat", *["10"] * 14, "10"), *new], TOMORROW)

    assert courses(metered, TOMORROW)["chat"].before.cost == 0
    assert (found["chat"].before.cost, found["search"].before.cost) == (Decimal(70), Decimal(0))


def test_the_feature_that_rose_by_most_dollars_is_told() -> None:
    daily = [
        *days("small", *["1"] * 7, *["9"] * 7, "0"),
        *days("large", *["20"] * 7, *["40"] * 7, "0"),
    ]

    rise = rise_of(courses(daily, TOMORROW))

    assert rise is not None
    assert (rise.feature, rise.usd) == ("large", Decimal(140))
    assert (rise.before.calls, rise.now.calls) == (70, 70)


def test_what_rose_by_little_of_all_spend_is_not_told() -> None:
    daily = [
        *days("small", *["1"] * 7, *["2"] * 7, "0"),
        *days("large", *["99"] * 7, *["99"] * 7, "0"),
    ]

    assert rise_of(courses(daily, TOMORROW)) is None


def test_of_unknown_costs_no_rise_is_told() -> None:
    daily = days("chat", *["10"] * 7, *["20"] * 7, "0", unpriced_calls=1)

    assert rise_of(courses(daily, TOMORROW)) is None
    assert rise_of(courses([], TOMORROW)) is None


@pytest.mark.parametrize(
    ("now", "before", "change"),
    [
        (("3", 0), ("2", 0), 0.5),
        (("3", 0), ("0", 0), None),
        (("3", 1), ("2", 0), None),
        (("3", 0), ("2", 1), None),
    ],
)
def test_a_change_is_told_of_what_is_known(
    now: tuple[str, int], before: tuple[str, int], change: float | None
) -> None:
    rows = [
        SpendRow.nothing()._replace(cost=Decimal(usd), unpriced_calls=calls)
        for usd, calls in (now, before)
    ]

    assert change_of(*rows) == change
