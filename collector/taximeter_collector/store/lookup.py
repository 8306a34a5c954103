"""Single calls, found by what a person has of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from typing import Any

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.scope import HOUR, Period, floor

NOT_MERGED = 20
"""So many earlier revisions are expected among the newest rows."""
MOST_AT_ONCE = 1_000
"""Rows: their ids are bound in the next question, and a server limits a request's length."""
MORE_EACH_TIME = 10
DAY = "toDate(toStartOfHour(ts))"
"""As the table is sorted: days are found by the primary key."""

AFTER = """
and ts <= {after_ts:DateTime64(3, 'UTC')}
and (ts, call_id) < ({after_ts:DateTime64(3, 'UTC')}, {after_id:String})
"""
NEWEST_REVISIONS = """
select toStartOfHour(ts) as hour, call_id, max(revision)
from taximeter.calls
where (toStartOfHour(ts), call_id) in {keys:Array(Tuple(DateTime('UTC'), String))}
group by hour, call_id
"""

Place = tuple[datetime, str]
"""Where a call stands in a list: its `ts` and its `call_id`."""


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

    @property
    def place(self) -> Place:
        return self.ts, self.call_id


COLUMNS = [field.name for field in fields(FoundCall)]


def of_users(
    connection: Connection,
    users: Sequence[str],
    period: Period,
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
    after: Place | None = None,
) -> list[FoundCall]:
    """Return calls that meet a condition, as of these users, the newest first.

    Only the users' days are read.
    """
    first, last = period.start.date(), (after[0] if after else period.end).date()
    days = [one for one in _days_of(connection, users) if first <= one[0] <= last]
    found: list[FoundCall] = []
    expected = limit
    while days and len(found) < limit:
        some = _newest(days, expected)
        found += newest_calls(
            connection,
            f"{DAY} in {{days:Array(Date)}} and {condition}",
            {**bound, "days": [day for day, _ in some]},
            limit - len(found),
            after,
        )
        days = days[len(some) :]
        # Few of them meet the condition: look through many more at once.
        expected *= MORE_EACH_TIME
    return found


def _days_of(connection: Connection, users: Sequence[str]) -> list[tuple[date, int]]:
    """Return each day that may have calls of users, the newest first, and about how many."""
    # First the open days: one that is closed meanwhile is among both.
    open_days = connection.read("select day from taximeter.open_user_days").result_rows
    rows = connection.read(
        """
        select day, max(calls)
        from taximeter.user_totals_daily
        where user_id in {users:Array(String)}
        group by day
        """,
        {"users": users},
    ).result_rows
    days = dict.fromkeys((day for (day,) in open_days), 0)
    days.update((day, calls) for day, calls in rows)
    return sorted(days.items(), reverse=True)


def _newest(days: Sequence[tuple[date, int]], calls: int) -> Sequence[tuple[date, int]]:
    """Return as many of the days as have about so many calls."""
    counts = accumulate(count for _, count in days)
    last = next((place for place, count in enumerate(counts) if count >= calls), len(days))
    return days[: last + 1]


def newest_calls(
    connection: Connection,
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
    after: Place | None = None,
) -> list[FoundCall]:
    """Return the calls whose newest revision meets a condition, the newest first."""
    found: dict[tuple[datetime, str], FoundCall] = {}
    while len(found) < limit:
        asked = min(limit - len(found) + NOT_MERGED, MOST_AT_ONCE)
        rows = _rows(connection, condition, bound, asked, after)
        newest = _newest_revisions(connection, [call for _, call in rows])
        for revision, call in rows:
            key = floor(call.ts, HOUR), call.call_id
            if revision == newest.get(key):
                found.setdefault(key, call)
        if len(rows) < asked:
            break
        after = rows[-1][1].place
    return list(found.values())[:limit]


def _rows(
    connection: Connection,
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
    after: Place | None,
) -> list[tuple[int, FoundCall]]:
    """Return revisions that meet a condition, with the calls as each says, the newest first."""
    place = {"after_ts": after[0], "after_id": after[1]} if after else {}
    # Read backwards as the table is sorted, and neither merged nor made distinct by the engine:
    # both would read whole hours.
    rows = connection.read(
        f"""
        select revision, {", ".join(COLUMNS)}
        from taximeter.calls
        where {condition}
            {AFTER if after else ""}
        order by toStartOfHour(ts) desc, ts desc, call_id desc, revision desc
        limit {{rows:UInt32}}
        """,  # noqa: S608 names of ours
        {**bound, **place, "rows": limit},
    ).result_rows
    return [(revision, FoundCall(*more)) for revision, *more in rows]


def _newest_revisions(
    connection: Connection, calls: Sequence[FoundCall]
) -> dict[tuple[datetime, str], int]:
    """Return the newest revision of each call, by its hour and id."""
    # As tuples, which the primary key finds: of hours and ids apart it would read whole hours.
    keys = sorted({(floor(call.ts, HOUR), call.call_id) for call in calls})
    rows = connection.read(NEWEST_REVISIONS, {"keys": keys}).result_rows if calls else ()
    return {(hour, call_id): revision for hour, call_id, revision in rows}
