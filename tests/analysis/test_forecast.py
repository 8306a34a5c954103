from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from taximeter_alerts.periods import month_at
from taximeter_analysis.forecast import ahead, forecast_of, profile_of, reached_at

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)  # a Monday
NOVEMBER = month_at(NOON, ZoneInfo("UTC"))


def weeks(count: int, *, weekday: str = "10", weekend: str = "2") -> dict[date, Decimal]:
    """Build the whole days before NOON, the working ones dearer than the others."""
    days = [NOON.date() - timedelta(days=back) for back in range(1, count * 7 + 1)]
    return {day: Decimal(weekend if day.weekday() >= 5 else weekday) for day in days}


def expected(history: dict[date, Decimal], day: date) -> float:
    profile = profile_of(history, NOON.date())
    assert profile is not None
    return profile.expected(day)


def test_a_day_is_expected_to_be_like_its_weekday() -> None:
    assert expected(weeks(4), date(2026, 11, 16)) == pytest.approx(10)
    assert expected(weeks(4), date(2026, 11, 21)) == pytest.approx(2)


def test_a_level_is_followed_in_about_a_week() -> None:
    history = weeks(8)
    for back in range(1, 8):
        history[NOON.date() - timedelta(days=back)] *= 2

    assert 15 < expected(history, NOON.date()) < 20


def test_one_day_far_off_counts_only_in_part() -> None:
    history = {day: usd * Decimal("1.1") if day.day % 2 else usd for day, usd in weeks(8).items()}
    usual = expected(history, NOON.date())
    history[NOON.date() - timedelta(days=1)] *= 1000

    assert expected(history, NOON.date()) < 1.5 * usual


def test_a_day_without_calls_counts_as_nothing_and_not_as_missing() -> None:
    history = weeks(1)
    for back in (1, 2, 3):
        del history[NOON.date() - timedelta(days=back)]

    assert expected(history, NOON.date()) == pytest.approx(40 / 7, rel=0.01)


def test_under_two_weeks_it_is_the_mean_day() -> None:
    assert expected(weeks(1), date(2026, 11, 21)) == pytest.approx((5 * 10 + 2 * 2) / 7)


def test_a_forecast_says_how_far_past_ones_were_off_and_when_the_limit_is_reached() -> None:
    forecast = forecast_of(weeks(20), Decimal(100), NOON, NOVEMBER, Decimal(105))

    assert forecast is not None
    assert forecast.total == pytest.approx(Decimal(213), abs=Decimal("0.01"))
    assert forecast.error == pytest.approx(0, abs=0.001)
    assert forecast.low == pytest.approx(forecast.total, rel=Decimal("0.001"))
    assert forecast.reached_at == datetime(2026, 11, 17, tzinfo=UTC)


def test_with_too_few_past_forecasts_there_is_no_range() -> None:
    forecast = forecast_of(weeks(4), Decimal(100), NOON, NOVEMBER)

    assert forecast is not None
    assert (forecast.low, forecast.reached_at) == (None, None)


@pytest.mark.parametrize("days", [0, 6])
def test_with_less_than_a_week_of_history_there_is_no_forecast(days: int) -> None:
    history = dict(sorted(weeks(4).items())[-days:]) if days else {}

    assert ahead(history, Decimal(5), NOON, NOVEMBER) == []


def test_the_rest_of_the_month_is_todays_rest_and_its_weekdays() -> None:
    points = ahead(weeks(4), Decimal(100), NOON, NOVEMBER)

    assert points[0] == (NOON, Decimal(100))
    assert points[1] == (datetime(2026, 11, 17, tzinfo=UTC), Decimal(105))
    # Half of the 16th, 10 more working days, 4 of weekends: 5 + 100 + 8
    assert points[-1] == (NOVEMBER.end, Decimal(213))


def test_a_forecast_ends_with_the_zones_month() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    month = month_at(NOON, zone)

    points = ahead(weeks(4), Decimal(0), NOON.astimezone(zone), month)

    assert points[-1][0] == month.end
    assert all(before < after for (before, _), (after, _) in pairwise(points))


@pytest.mark.parametrize(
    ("limit", "reached"),
    [
        ("102.5", datetime(2026, 11, 16, 18, tzinfo=UTC)),
        ("105", datetime(2026, 11, 17, tzinfo=UTC)),
        ("100", None),
        ("1000", None),
    ],
)
def test_a_limit_is_reached_between_two_points(limit: str, reached: datetime | None) -> None:
    points = ahead(weeks(4), Decimal(100), NOON, NOVEMBER)

    assert reached_at(points, Decimal(limit)) == reached
