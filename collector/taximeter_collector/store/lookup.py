"""Single calls, found by what a person has of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from typing import Any, TypeVar

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.scope import HOUR, Period, floor

NOT_MERGED = 20
"""So many earlier revisions are expected among the newest rows."""
MOST_AT_ONCE = 1_000
"""Rows: their ids are bound in the next question, and a server limits a request's length."""
MORE_EACH_TIME = 10
REVISIONS_EACH = 4
"""So many rows are looked at for a call: those priced anew are there several times until merged."""
DAY = "toDate(toStartOfHour(ts))"
"""As the table is sorted: days are found by the primary key."""

AFTER = """
and ts <= {after_ts:DateTime64(3, 'UTC')}
and (ts, call_id) < ({after_ts:DateTime64(3, 'UTC')}, {after_id:String})
"""

Place = tuple[datetime, str]
"""Where a call stands in a list: its `ts` and its `call_id`."""
Key = tuple[datetime, str]
"""What a call is known by in the store: its hour and its `call_id`."""
Found = TypeVar("Found", bound="ListedCall")


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
class ListedCall:
    """What a page's list shows of a call; names and units are those of `Call` and `Priced`.

    Of many calls that lie apart, each column takes as long to read as the whole look-up of one.
    """

    ts: datetime
    call_id: str
    feature: str
    model: str
    user_id: str
    cost: Decimal | None
    cost_reason: str
    input_tokens: int
    output_tokens: int
    duration_ms: int
    error_type: str
    finish_reason: str

    @property
    def place(self) -> Place:
        return self.ts, self.call_id


@dataclass(frozen=True, slots=True)
class FoundCall(ListedCall):
    """What is said of a call that was found."""

    trace_id: str
    span_id: str
    request_id: str
    environment: str
    service: str
    team: str
    prompt_name: str
    prompt_version: str
    operation: str
    service_tier: str
    http_status: int | None
    attempts: int | None
    ttft_ms: int | None
    usage_source: str
    cached_input_tokens: int
    reasoning_tokens: int
    cost_status: str
    tags: Mapping[str, str]


def of_users(
    connection: Connection,
    kind: type[Found],
    users: Sequence[str],
    period: Period,
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
    after: Place | None = None,
) -> list[Found]:
    """Return calls that meet a condition, as of these users, the newest first.

    Only the users' days are read.
    """
    first, last = period.start.date(), (after[0] if after else period.end).date()
    days = [one for one in _days_of(connection, users) if first <= one[0] <= last]
    found: list[Found] = []
    expected = limit
    while days and len(found) < limit:
        some = _newest(days, expected)
        found += newest_calls(
            connection,
            kind,
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
    kind: type[Found],
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
    after: Place | None = None,
) -> list[Found]:
    """Return the calls whose newest revision meets a condition, the newest first."""
    found: dict[Key, Found] = {}
    while len(found) < limit:
        asked = min(limit - len(found) + NOT_MERGED, MOST_AT_ONCE)
        candidates = _candidates(connection, condition, bound, asked, after)
        newest = _newest_revisions(connection, kind, {key for _, key, _ in candidates})
        for revision, key, _ in candidates:
            standing = newest.get(key)
            if standing and standing[0] == revision:
                found.setdefault(key, standing[1])
        if len(candidates) < asked:
            break
        *_, after = candidates[-1]
    return list(found.values())[:limit]


def dearest_calls(
    connection: Connection,
    kind: type[Found],
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
) -> list[Found]:
    """Return the calls of known cost whose newest revision meets a condition, the dearest first.

    Of calls that cost the same, any may be left out.
    """
    found: list[Found] = []
    # Merged by the engine only when too many of the dearest rows are of revisions that are gone:
    # it takes three times as long where rows are merged already, and ten where they are not.
    for table, asked in (
        ("calls", min(REVISIONS_EACH * limit, MOST_AT_ONCE)),
        ("calls final", limit),
    ):
        # No other column decides: the engine reads the rest of these rows alone.
        rows = connection.read(
            f"""
            select revision, toStartOfHour(ts), call_id
            from taximeter.{table}
            where cost is not null and {condition}
            order by cost desc
            limit {{rows:UInt32}}
            """,  # noqa: S608 names of ours
            {**bound, "rows": asked},
        ).result_rows
        candidates = {((hour, call_id), revision) for revision, hour, call_id in rows}
        newest = _newest_revisions(connection, kind, {key for key, _ in candidates})
        standing = {(key, revision): call for key, (revision, call) in newest.items()}
        found = [standing[one] for one in candidates & standing.keys()]
        if len(found) >= limit or len(rows) < asked:
            break
    return sorted(found, key=lambda call: (call.cost or 0, call.place), reverse=True)[:limit]


def _candidates(
    connection: Connection,
    condition: str,
    bound: Mapping[str, Any],
    limit: int,
    after: Place | None,
) -> list[tuple[int, Key, Place]]:
    """Return revisions that meet a condition, the newest call first."""
    place = {"after_ts": after[0], "after_id": after[1]} if after else {}
    # Read backwards as the table is sorted, and neither merged nor made distinct by the engine:
    # both would read whole hours. Where it looks through the indexes first, it remembers what met
    # the condition: a page that is asked for again takes a thirtieth.
    rows = connection.read(
        f"""
        select revision, ts, call_id
        from taximeter.calls
        where {condition}
            {AFTER if after else ""}
        order by toStartOfHour(ts) desc, ts desc, call_id desc, revision desc
        limit {{rows:UInt32}}
        settings use_skip_indexes_on_data_read = 0
        """,  # noqa: S608 names of ours
        {**bound, **place, "rows": limit},
    ).result_rows
    return [(revision, (floor(ts, HOUR), call_id), (ts, call_id)) for revision, ts, call_id in rows]


def _newest_revisions(
    connection: Connection, kind: type[Found], keys: Collection[Key]
) -> dict[Key, tuple[int, Found]]:
    """Return the newest revision of each call, and what it says."""
    # As tuples, which the primary key finds: of hours and ids apart it would read whole hours.
    rows = (
        connection.read(
            f"""
        select revision, {", ".join(field.name for field in fields(kind))}
        from taximeter.calls
        where (toStartOfHour(ts), call_id) in {{keys:Array(Tuple(DateTime('UTC'), String))}}
        order by revision
        """,  # noqa: S608 names of ours
            {"keys": sorted(keys)},
        ).result_rows
        if keys
        else ()
    )
    calls = [(revision, kind(*more)) for revision, *more in rows]
    return {(floor(call.ts, HOUR), call.call_id): (revision, call) for revision, call in calls}
