"""Rollups, recomputed whole from the rows for the hours and days that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from taximeter_collector.store.connection import Connection

OPEN_HOURS = """
select hour, seq
from taximeter.open_hours
order by hour desc
limit {limit:UInt32}
"""

STALE_DAYS = """
select day, hours_version
from taximeter.stale_days
where day not in (select toDate(hour) from taximeter.open_hours)
"""

# Their rows are read whole: a few days at a time, and none that is still going on.
STALE_USER_DAYS = """
select day, hours_version
from taximeter.stale_user_days
where day not in (select toDate(hour) from taximeter.open_hours) and day < toDate(now('UTC'))
order by day desc
limit 7
"""

REFRESH_HOURS = [
    """
    insert into taximeter.spend_hourly
    select *, {version:UInt64}
    from taximeter.spend_of_rows
    where hour in {hours:Array(DateTime('UTC'))}
    """,
    """
    insert into taximeter.latency_hourly
    select *, {version:UInt64}
    from taximeter.latency_of_rows
    where hour in {hours:Array(DateTime('UTC'))}
    """,
]

REFRESH_DAYS = """
insert into taximeter.spend_daily
select *, {version:UInt64}
from taximeter.spend_of_hours
where day in {days:Array(Date)}
"""

REFRESH_USER_DAYS = """
insert into taximeter.users_daily
select *, {version:UInt64}
from taximeter.users_of_rows
where day in {days:Array(Date)}
"""

Mark = tuple[datetime, int]


def open_hours(connection: Connection, *, limit: int) -> list[Mark]:
    """Return up to `limit` hours that changed, the newest first, with their marks."""
    return [(hour, seq) for hour, seq in connection.read(OPEN_HOURS, {"limit": limit}).result_rows]


def refresh_hours(
    connection: Connection, next_number: Callable[[], int], marks: Sequence[Mark]
) -> int:
    """Recompute the marked hours whole; a mark that is newer by then stays open."""
    if not marks:
        return 0
    hours = [hour for hour, _ in marks]
    version = next_number()
    for statement in REFRESH_HOURS:
        connection.command(statement, {"version": version, "hours": hours})
    done: dict[str, list[Any]] = {
        "hour": hours,
        "seq": [seq for _, seq in marks],
        "version": [version] * len(hours),
    }
    connection.insert("hours_done", done)
    return len(hours)


def refresh_days(connection: Connection, next_number: Callable[[], int]) -> None:
    """Recompute the days whose hours are all closed and newer than the day."""
    for stale_days, refresh, done_table in (
        (STALE_DAYS, REFRESH_DAYS, "days_done"),
        (STALE_USER_DAYS, REFRESH_USER_DAYS, "user_days_done"),
    ):
        stale = connection.read(stale_days).result_rows
        if not stale:
            continue
        days = [day for day, _ in stale]
        version = next_number()
        connection.command(refresh, {"version": version, "days": days})
        done = {
            "day": days,
            "hours_version": [hours_version for _, hours_version in stale],
            "version": [version] * len(days),
        }
        connection.insert(done_table, done)
