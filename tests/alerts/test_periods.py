from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from builders import budget
from taximeter_alerts.periods import Recurrence, month_at, name_of


@pytest.mark.parametrize(
    ("moment", "zone", "start", "end"),
    [
        ("2026-11-30T23:59:59.999", "UTC", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("2026-12-01T00:00:00", "UTC", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("2026-11-30T23:30", "Europe/Berlin", "2026-11-30T23:00", "2026-12-31T23:00"),
        ("2026-03-15T00:00", "Europe/Berlin", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("2026-11-15T00:00", "Asia/Kolkata", "2026-10-31T18:30", "2026-11-30T18:30"),
        ("2026-11-15T00:00", "America/Los_Angeles", "2026-11-01T07:00", "2026-12-01T08:00"),
    ],
)
def test_a_month_is_the_zones_own(moment: str, zone: str, start: str, end: str) -> None:
    period = month_at(datetime.fromisoformat(moment).replace(tzinfo=UTC), ZoneInfo(zone))

    assert period.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert period.end == datetime.fromisoformat(end).replace(tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Africa/Cairo", "Asia/Beirut", "America/Asuncion"])
def test_months_tile_the_year_without_gap_or_overlap(zone: str) -> None:
    moment = datetime(2026, 1, 15, tzinfo=UTC)
    months = [month_at(moment + timedelta(days=30.4 * n), ZoneInfo(zone)) for n in range(12)]

    assert all(before.end == after.start for before, after in pairwise(months))


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Africa/Cairo",
    "America/Asuncion",
    "Asia/Beirut",
    "Australia/Lord_Howe",
]
WRITTEN = ["day", "week", "week from sunday", "month", "month from 15", "quarter", "year"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("written", WRITTEN)
def test_every_five_minutes_of_a_year_lie_in_one_period_and_periods_tile(
    zone: str, written: str
) -> None:
    recurrence, of_zone = Recurrence.parse(written), ZoneInfo(zone)
    moment, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 3, tzinfo=UTC)
    period = recurrence.at(moment, of_zone)
    while moment < end:
        assert period.start <= moment < period.end
        assert recurrence.at(moment, of_zone) == period
        moment += timedelta(minutes=5)
        if moment >= period.end:
            following = recurrence.at(moment, of_zone)
            assert following.start == period.end
            period = following


@pytest.mark.parametrize("written", WRITTEN)
def test_a_recurrence_is_written_as_it_is_read(written: str) -> None:
    assert str(Recurrence.parse(written)) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        "fortnight",
        "week from noon",
        "month from 29",
        "month from 0",
        "day from 3",
        "0 days",
        "400 days",
    ],
)
def test_a_period_that_is_not_understood_is_told_the_accepted_ones(written: str) -> None:
    with pytest.raises(ValueError, match="give day, week, week from sunday, month"):
        Recurrence.parse(written)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("day", "16 November 2026"),
        ("week", "16 to 22 November 2026"),
        ("week from wednesday", "11 to 17 November 2026"),
        ("month", "November 2026"),
        ("month from 15", "15 November to 14 December 2026"),
        ("quarter", "Q4 2026"),
        ("year", "2026"),
    ],
)
def test_a_period_has_the_name_that_people_give_it(written: str, name: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    noon = datetime(2026, 11, 16, 12, tzinfo=UTC)

    assert name_of(Recurrence.parse(written).at(noon, zone), zone) == name


def test_the_last_days_end_with_today_in_the_zone() -> None:
    zone = ZoneInfo("Europe/Berlin")
    period = Recurrence.parse("30 days").at(datetime(2026, 11, 15, 23, 30, tzinfo=UTC), zone)

    assert period.start == datetime(2026, 10, 17, 22, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 16, 23, tzinfo=UTC)
    assert name_of(period, zone) == "18 October to 16 November 2026"
    assert str(Recurrence.parse("30 days")) == "30 days"


@pytest.mark.parametrize("zone", ZONES)
def test_a_rolling_budget_knows_every_day_that_it_shares_alerts_with(zone: str) -> None:
    rolling = budget(period=Recurrence.parse("300 days"), zone=ZoneInfo(zone))
    starts = rolling.starts_alike(rolling.period_at(datetime(2026, 12, 20, 12, tzinfo=UTC)))

    assert len(set(starts)) == 300
