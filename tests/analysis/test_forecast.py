from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from taximeter_alerts.periods import month_at
from taximeter_analysis.forecast import Burst, ahead, burst_of, forecast_of, profile_of, reached_at

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)  # a Monday
NOVEMBER = month_at(NOON, ZoneInfo("UTC"))


def weeks(count: int, *, weekday: str = "10", weekend: str = "2") -> dict[date, Decimal]:
    """Build the whole days before NOON, the working ones dearer than the others."""
    days = [NOON.date() - timedelta(days=back) for back in range(1, count * 7 + 1)]
    return {day: Decimal(weekend if day.weekday() >= 5 else weekday) for day in days}


def by_hour(days: dict[date, Decimal]) -> dict[datetime, Decimal]:
    """Build hours, each with a 24th of its day."""
    return {
        datetime(day.year, day.month, day.day, hour, tzinfo=UTC): usd / 24
        for day, usd in days.items()
        for hour in range(24)
    }


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
    forecast = forecast_of(by_hour(weeks(20)), Decimal(100), NOON, NOVEMBER, Decimal(105))

    assert forecast is not None
    assert forecast.total == pytest.approx(Decimal(213), abs=Decimal("0.01"))
    assert forecast.error == pytest.approx(0, abs=0.001)
    assert forecast.low == pytest.approx(forecast.total, rel=Decimal("0.001"))
    assert forecast.reached_at == datetime(2026, 11, 17, tzinfo=UTC)


def test_with_too_few_past_forecasts_there_is_no_range() -> None:
    forecast = forecast_of(by_hour(weeks(4)), Decimal(100), NOON, NOVEMBER)

    assert forecast is not None
    assert (forecast.low, forecast.reached_at) == (None, None)


def test_a_range_holds_what_the_last_two_months_cost_beyond_their_forecast_as_of_this_day() -> None:
    night = NOVEMBER.end - timedelta(days=6)
    history = {}
    for back in range(1, 115):
        day = night.date() - timedelta(days=back)
        is_late = (day + timedelta(days=3)).month != day.month
        history[day] = Decimal(90 if is_late else 10)

    forecast = forecast_of(by_hour(history), Decimal(240), night, NOVEMBER)

    # As of 25 October 240 were spent, 60 were expected, and 300 came.
    assert forecast is not None
    assert forecast.total == pytest.approx(Decimal(300), abs=Decimal("0.5"))
    assert forecast.high == pytest.approx(Decimal(540), abs=Decimal(1))


def burst(*hours: int, usd: str = "5", whole_weeks: int = 20) -> dict[datetime, Decimal]:
    """Build weeks until NOON, with so much more in hours of the last day; 1 is the last."""
    usual = by_hour(weeks(whole_weeks) | {NOON.date(): Decimal(10)})
    known = {hour: cost for hour, cost in usual.items() if hour < NOON}
    for back in hours:
        known[NOON - timedelta(hours=back)] += Decimal(usd)
    return known


@pytest.mark.parametrize(
    ("known", "usd", "usd_an_hour"),
    [
        (burst(1, 2), 10, 10 / 3),
        (burst(*range(1, 11)), 50, 5),
        (burst(*range(1, 25)), 120, 5),
        (burst(*range(1, 11), whole_weeks=2), 50, 5),
    ],
)
def test_a_burst_is_what_the_last_day_cost_beyond_the_usual(
    known: dict[datetime, Decimal], usd: float, usd_an_hour: float
) -> None:
    found = burst_of(known, NOON)

    assert found is not None
    assert (found.usd, found.usd_an_hour) == pytest.approx((usd, usd_an_hour), rel=0.05)


@pytest.mark.parametrize(
    "known",
    [burst(), burst(4, 5, 6), burst(1, usd="0.01"), burst(*range(1, 11), usd="-0.4"), {}],
    ids=["usual", "over", "small", "quiet", "nothing"],
)
def test_what_is_usual_or_over_is_no_burst(known: dict[datetime, Decimal]) -> None:
    found = burst_of(known, NOON)

    assert found is None or found.usd < 0.02


def test_a_burst_is_expected_to_last_half_as_long_again_and_may_last_24_times() -> None:
    quiet = forecast_of(burst(), Decimal(100), NOON, NOVEMBER)
    loud = forecast_of(burst(*range(1, 11)), Decimal(150), NOON, NOVEMBER, Decimal(165))

    assert quiet is not None
    assert loud is not None
    assert loud.high is not None
    # $5 an hour for 10 hours: 5 hours more are $25; 240 hours more are $1,200.
    assert loud.total - quiet.total == pytest.approx(Decimal(75), abs=Decimal("0.5"))
    assert loud.high - quiet.total == pytest.approx(Decimal(1250), abs=Decimal(12))
    assert loud.low == pytest.approx(quiet.total + 50, abs=Decimal("0.5"))
    # Until 17:00 there are $25 of the burst and $2.08 of the usual: $15 are there at 14:46.
    assert loud.reached_at is not None
    assert loud.reached_at.hour == 14


def test_a_burst_ends_with_the_period_at_the_latest() -> None:
    evening = NOVEMBER.end - timedelta(hours=2)
    loop = Burst(usd=240, usd_an_hour=10)

    assert loop.lasted == timedelta(days=1)
    assert loop.further(24, NOVEMBER.end - evening) == Decimal(20)


def test_a_burst_has_an_upper_end_before_there_are_past_forecasts() -> None:
    forecast = forecast_of(burst(*range(1, 11), whole_weeks=2), Decimal(150), NOON, NOVEMBER)

    assert forecast is not None
    assert forecast.low is None
    assert forecast.high is not None
    assert forecast.high > 1000


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
