"""Single calls, found by what a person has of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from typing import Any

from taximeter_collector.store.connection import Connection

NOT_MERGED = 20
"""So many earlier revisions may be among the newest rows."""


class Clue(StrEnum):
    """What a call can be found by; the value is the column."""

    RESPONSE_ID = "call_id"
    REQUEST_ID = "request_id"
    TRACE_ID = "trace_id"
    USER = "user_id"

    @property
    def outside_name(self) -> str:
        """What people call it, like `response_id`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FoundCall:
    """What is said of a call in a list; names and units are those of `Call` and `Priced`."""

    ts: datetime
    call_id: str
    trace_id: str
    span_id: str
    request_id: str
    environment: str
    service: str
    feature: str
    team: str
    user_id: str
    operation: str
    model: str
    service_tier: str
    finish_reason: str
    error_type: str
    http_status: int | None
    attempts: int | None
    duration_ms: int
    ttft_ms: int | None
    usage_source: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost: Decimal | None
    cost_status: str
    cost_reason: str
    tags: Mapping[str, str]


COLUMNS = [field.name for field in fields(FoundCall)]


def find(connection: Connection, clue: Clue, value: str, limit: int) -> list[FoundCall]:
    """Return the calls, the newest first, at most `limit`."""
    if clue is not Clue.USER:
        return _found(connection, clue, value, limit)
    found: list[FoundCall] = []
    days = _days_of(connection, value)
    while days and len(found) < limit:
        some = _newest(days, limit - len(found))
        found += _found(connection, clue, value, limit - len(found), [day for day, _ in some])
        days = days[len(some) :]
    return found


def _days_of(connection: Connection, user: str) -> list[tuple[date, int]]:
    """Return each day that may have calls of a user, the newest first, and about how many."""
    # First the open days: one that is closed meanwhile is among both.
    open_days = connection.read("select day from taximeter.open_user_days").result_rows
    rows = connection.read(
        """
        select day, max(calls)
        from taximeter.user_totals_daily
        where user_id = {user:String}
        group by day
        """,
        {"user": user},
    ).result_rows
    days = dict.fromkeys((day for (day,) in open_days), 0)
    days.update((day, calls) for day, calls in rows)
    return sorted(days.items(), reverse=True)


def _newest(days: Sequence[tuple[date, int]], calls: int) -> Sequence[tuple[date, int]]:
    """Return as many of the days as have about so many calls."""
    counts = accumulate(count for _, count in days)
    last = next((place for place, count in enumerate(counts) if count >= calls), len(days))
    return days[: last + 1]


def _found(
    connection: Connection, clue: Clue, value: str, limit: int, days: Sequence[date] = ()
) -> list[FoundCall]:
    """Return the newest calls, of some days or any."""
    # Read backwards as the table is sorted, and not merged, which would read whole hours.
    rows = connection.read(
        f"""
        select revision, {", ".join(COLUMNS)}
        from taximeter.calls
        where {clue} = {{value:String}}
            {"and toDate(toStartOfHour(ts)) in {days:Array(Date)}" if days else ""}
        order by toStartOfHour(ts) desc, ts desc
        limit {{rows:UInt32}}
        """,  # noqa: S608 names of ours
        {"value": value, "rows": limit + NOT_MERGED, "days": list(days)},
    ).result_rows
    return newest_revisions(rows)[:limit]


def newest_revisions(rows: Iterable[Sequence[Any]]) -> list[FoundCall]:
    """Return each call once, from rows of a revision and the columns."""
    newest: dict[str, tuple[int, FoundCall]] = {}
    for revision, ts, *others in rows:
        call = FoundCall(ts.replace(tzinfo=UTC), *others)
        if revision >= newest.get(call.call_id, (0, call))[0]:
            newest[call.call_id] = revision, call
    return [call for _, call in newest.values()]
