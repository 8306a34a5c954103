"""What people may ask for: periods and scopes, from the words of a request or a command."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException

from taximeter_alerts.periods import month_at
from taximeter_alerts.scope_words import DIMENSIONS
from taximeter_collector.labels import label
from taximeter_collector.refusal import Refusal
from taximeter_collector.store import Dimension, Period, Scope


class Refused(Refusal, HTTPException):
    """What is asked for can't be done; the message says why, and what to ask for instead."""

    def __init__(self, message: str, *, status: int = 422) -> None:
        super().__init__(status, message)

    def __str__(self) -> str:
        return self.detail


def period_of(start: str, end: str, now: datetime) -> Period:
    """Read a period; without words it is the current month in UTC, so far."""
    month = month_at(now, ZoneInfo("UTC"))
    period = Period(
        moment_of("from", start) if start else month.start, moment_of("to", end) if end else now
    )
    if period.start >= period.end and not start:
        raise Refused(f"to={end}: give from, too: without it, it is {month.start:%Y-%m-%d}")
    if period.start >= period.end:
        raise Refused(f"from={start}: give a time before to={end or 'now'}")
    return period


def moment_of(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{field}={text!r}: give an ISO date or time like 2026-11-01 or 2026-11-01T12:00Z"
        ) from None
    if not 1970 < moment.year < 2105:
        raise Refused(f"{field}={text!r}: give a year from 1971 to 2104")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def tomorrow(now: datetime) -> datetime:
    """Return when the day after this one begins."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def month_of(text: str, now: datetime) -> date:
    """Return the first day of a month that has begun; "" is the current one."""
    try:
        month = date.fromisoformat(f"{text or f'{now:%Y-%m}'}-01")
    except ValueError:
        raise Refused(f"month={text!r}: give a month like 2026-11") from None
    if month > now.date():
        raise Refused(f"month={text!r}: give a month that has begun")
    return month


def is_csv(form: str) -> bool:
    """Tell whether a table is asked for as a file and not as a page."""
    if form not in ("", "csv"):
        raise Refused(f"format={form!r}: give csv, or leave it out for the page")
    return form == "csv"


def dimension_of(field: str, name: str) -> Dimension:
    known = {dimension.outside_name: dimension for dimension in Dimension}
    if name not in known:
        raise Refused(f"{field}={name!r}: give some of {', '.join(known)}")
    return known[name]


def scope_of(pairs: Iterable[tuple[str, str]]) -> Scope:
    """Read a scope from dimensions and values; a dimension may come several times."""
    values: dict[Dimension, tuple[str, ...]] = {}
    for name, value in pairs:
        dimension = DIMENSIONS.get(name)
        if dimension is None:
            known = ", ".join(DIMENSIONS)
            raise Refused(
                f"filter={name!r}: give some of {known}; narrow the time with from and to"
            )
        values[dimension] = (*values.get(dimension, ()), label(value))
    return Scope(values)
