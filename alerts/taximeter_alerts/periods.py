"""Budget periods: calendar months of an IANA zone, half-open, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from taximeter_collector.store import Period


def month_at(moment: datetime, zone: ZoneInfo) -> Period:
    """Return the month that `moment` falls in, as the zone's calendar has it."""
    local = moment.astimezone(zone)
    following = (local.year + local.month // 12, local.month % 12 + 1)
    return Period(_first_of(local.year, local.month, zone), _first_of(*following, zone))


def _first_of(year: int, month: int, zone: ZoneInfo) -> datetime:
    # Both ends are made the same way, so that months tile whatever the zone's clock does.
    return datetime(year, month, 1, tzinfo=zone).astimezone(UTC)
