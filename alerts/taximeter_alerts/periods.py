"""Budget periods by the calendar of an IANA zone: half-open, in UTC, without gap or overlap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from taximeter_collector.store import Period

WEEKDAYS: Final = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
WRITTEN: Final = re.compile(r"(day|week|month|quarter|year)(?: from ([a-z]+|\d{1,2}))?")
ROLLING: Final = re.compile(r"([1-9]\d{0,2}) days")
ACCEPTED: Final = (
    "give day, week, week from sunday, month, month from 15 (1 to 28), quarter, year, "
    "or the last days with today as 30 days (up to 366)"
)
LONGEST_ROLLING: Final = 366
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often a budget begins anew."""

    unit: str = "month"
    begins: int = 1
    """The first day: of a week from 0, Monday, of a month from 1."""
    rolling_days: int = 0
    """Of a period that moves on every midnight; 0 for the others."""

    @classmethod
    def parse(cls, text: str) -> Recurrence:
        """Read it as people write it; raises ValueError."""
        rolling = ROLLING.fullmatch(text)
        if rolling and int(rolling[1]) <= LONGEST_ROLLING:
            return cls("days", rolling_days=int(rolling[1]))
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(ACCEPTED)
        unit, begins = found.groups()
        if unit == "week" and (begins or WEEKDAYS[0]) in WEEKDAYS:
            return cls(unit, WEEKDAYS.index(begins or WEEKDAYS[0]))
        if unit == "month" and begins and begins.isdigit() and 1 <= int(begins) <= 28:
            return cls(unit, int(begins))
        if begins or unit == "week":
            raise ValueError(ACCEPTED)
        return cls(unit)

    def __str__(self) -> str:
        if self.rolling_days:
            return f"{self.rolling_days} days"
        if self.unit == "week" and self.begins:
            return f"week from {WEEKDAYS[self.begins]}"
        return f"month from {self.begins}" if self.begins > 1 else self.unit

    def at(self, moment: datetime, zone: ZoneInfo) -> Period:
        """Return the period that `moment` falls in."""
        day = moment.astimezone(zone).date()
        if self.rolling_days:
            first = day - (self.rolling_days - 1) * DAY
            return Period(_midnight(first, zone), _midnight(day + DAY, zone))
        first = self._first(day)
        # Both ends are made the same way, so that periods tile whatever the zone's clock does.
        return Period(_midnight(first, zone), _midnight(self._next(first), zone))

    def _first(self, day: date) -> date:
        if self.unit == "day":
            return day
        if self.unit == "week":
            return day - (day.weekday() - self.begins) % 7 * DAY
        months = MONTHS[self.unit]
        begun = day - (self.begins - 1) * DAY
        return date(begun.year, begun.month - (begun.month - 1) % months, self.begins)

    def _next(self, first: date) -> date:
        if self.unit in ("day", "week"):
            return first + (DAY if self.unit == "day" else 7 * DAY)
        months = first.year * 12 + first.month - 1 + MONTHS[self.unit]
        return date(months // 12, months % 12 + 1, self.begins)


MONTH: Final = Recurrence()


def month_at(moment: datetime, zone: ZoneInfo) -> Period:
    """Return the calendar month that `moment` falls in."""
    return MONTH.at(moment, zone)


def name_of(period: Period, zone: ZoneInfo) -> str:
    """Return what people call it, like `November 2026`, `Q4 2026` or `16 to 22 November 2026`."""
    first = period.start.astimezone(zone).date()
    last = (period.end - timedelta(microseconds=1)).astimezone(zone).date()
    names = {
        month_at(period.start, zone): f"{first:%B %Y}",
        Recurrence("quarter").at(period.start, zone): f"Q{(first.month + 2) // 3} {first.year}",
        Recurrence("year").at(period.start, zone): str(first.year),
        Recurrence("day").at(period.start, zone): f"{first.day} {first:%B %Y}",
    }
    if period in names:
        return names[period]
    begin = str(first.day)
    if first.month != last.month:
        begin += f" {first:%B}" if first.year == last.year else f" {first:%B %Y}"
    return f"{begin} to {last.day} {last:%B %Y}"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
