from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from taximeter_alerts.periods import month_at


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
