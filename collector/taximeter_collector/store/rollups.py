"""Rollups, recomputed whole from the rows for the hours and days that changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from prometheus_client import Gauge

from taximeter_collector.store.connection import Connection

MARK = """
insert into taximeter.dirty_hours (hour, writer, seq, settled_at, shard)
select
    arrayJoin({hours:Array(DateTime('UTC'))}),
    {writer:String},
    {seq:UInt64},
    now64(3) + toIntervalSecond({seconds:UInt32}),
    arrayJoin(range({shards:UInt32}))
"""

SETTLED_HOURS = """
select hour, seq, version
from taximeter.open_hours
where settled_at <= now64(3) - toIntervalSecond({quiet_s:UInt32})
order by hour desc
limit {limit:UInt32}
"""

STALE_DAYS = """
select day, hours_version, version
from taximeter.stale_days
where day not in (select toDate(hour) from taximeter.open_hours)
"""

# Their rows are read whole: a few days at a time, and none that is still going on.
STALE_USER_DAYS = """
select day, hours_version, version
from taximeter.stale_user_days
where day not in (select toDate(hour) from taximeter.open_hours) and day < toDate(now('UTC'))
order by day desc
limit 7
"""

# Of an hour that has lost a part of its calls by age, the sums are right and the calls are not.
WHOLE_HOURS = """
select kept.hour
from (
    select toStartOfHour(ts) as hour, count() as calls
    from taximeter.calls final
    group by hour
) as kept
left join (
    select hour, sum(one.calls) as calls
    from taximeter.spend_by_hour as one
    group by hour
) as summed on summed.hour = kept.hour
where kept.calls >= summed.calls
"""

COUNTED = """
select
    (select count() from system.parts where database = {database:String} and active),
    (select count() from taximeter.open_hours)
"""

REFRESH = """
insert into taximeter.{table}
select *, {{version:UInt64}}
from taximeter.{view}
where {moment} in {{moments:Array({kind})}}
"""

PARTS: Final = Gauge("taximeter_store_parts", "Parts that the tables lie in, at the last refresh")
OPEN_HOURS: Final = Gauge("taximeter_open_hours", "Hours summed from calls, after the last refresh")


class Stale(NamedTuple):
    """An hour or day whose rollup is not what its rows say."""

    moment: datetime | date
    seen: int
    """What the rollup will have seen: the sum of the hour's marks or of the day's versions."""
    version: int
    """The newest that was begun, or 0."""


class Grain(NamedTuple):
    """Rollups that are made and noted together."""

    views: Mapping[str, str]
    """By the table of each rollup: what is to be in it, but the version."""
    done_table: str
    moment: str
    kind: str
    seen: str

    def refill(self, table: str) -> str:
        """Return the statement that sums moments anew into a rollup."""
        view, moment, kind = self.views[table], self.moment, self.kind
        return REFRESH.format(table=table, view=view, moment=moment, kind=kind)


HOURS: Final = Grain(
    {
        "spend_hourly": "spend_of_rows",
        "latency_hourly": "latency_of_rows",
        "outcomes_hourly": "outcomes_of_rows",
    },
    "hours_done",
    "hour",
    "DateTime('UTC')",
    "seq",
)
DAYS: Final = Grain(
    {"spend_daily": "spend_of_hours", "latency_daily": "latency_of_hours"},
    "days_done",
    "day",
    "Date",
    "hours_version",
)
USER_DAYS: Final = Grain(
    {
        "users_daily": "users_of_rows",
        "user_totals_daily": "user_totals_of_rows",
        "dearest_users_daily": "dearest_users_of_rows",
        "distinct_users_daily": "distinct_users_of_rows",
    },
    "user_days_done",
    "day",
    "Date",
    "hours_version",
)
GRAINS: Final = (HOURS, DAYS, USER_DAYS)
ROLLUPS: Final = {table: grain.moment for grain in GRAINS for table in grain.views}
NOTES: Final = {grain.done_table: grain.moment for grain in GRAINS}
"""The tables of sums and of the notes on them, with the columns of their moments."""


class Numbers:
    """Rising numbers, which tell the newer of two things: nanoseconds since 1970, or a later one.

    They go on from the largest in the store and from any other that was seen: processes that share
    one hardly ever draw the same, and a clock that was set back makes nothing new look old.
    """

    def __init__(self, connection: Connection) -> None:
        numbers = {"dirty_hours": "seq"} | dict.fromkeys((*NOTES, *ROLLUPS), "version")
        newest = " union all ".join(
            f"select max({number}) as newest from taximeter.{table}"  # noqa: S608 names of ours
            for table, number in numbers.items()
        )
        rows = connection.read(f"select max(newest) from ({newest})").result_rows  # noqa: S608
        self._last = int(rows[0][0])
        self._lock = threading.Lock()

    def next(self, beyond: int = 0) -> int:
        with self._lock:
            self._last = max(self._last + 1, beyond + 1, time.time_ns())
            return self._last


def observe(connection: Connection) -> None:
    """Tell the metrics what a refresh left."""
    ((parts, hours),) = connection.read(
        COUNTED, {"database": connection.shard_database}
    ).result_rows
    PARTS.set(parts)
    OPEN_HOURS.set(hours)


def mark(
    connection: Connection, hours: Sequence[datetime], writer: str, seq: int, seconds: int
) -> None:
    """Say that the writer changes rows of these hours, and for how many seconds."""
    bound = {"hours": hours, "writer": writer, "seq": seq, "seconds": seconds}
    try:
        connection.command(MARK, {**bound, "shards": connection.shards})
    finally:
        connection.folding.marked(hours)


def reopen(connection: Connection, writer: str) -> None:
    """Let hours be summed anew, on all shards, whose calls are all kept still.

    Meanwhile they are read from the calls. The same writer reopens an hour once.
    """
    hours = [hour for (hour,) in connection.read(WHOLE_HOURS).result_rows]
    mark(connection, hours, writer, seq=1, seconds=0)


def settled_hours(connection: Connection, *, limit: int, quiet_s: int) -> list[Stale]:
    """Return up to `limit` hours that changed, but not in the last seconds, the newest first."""
    return _stale(connection, SETTLED_HOURS, {"limit": limit, "quiet_s": quiet_s})


def refresh_hours(connection: Connection, numbers: Numbers, stale: Sequence[Stale]) -> None:
    """Recompute the hours whole; one that is marked meanwhile stays open."""
    _refresh(connection, numbers, HOURS, stale)


def refresh_days(connection: Connection, numbers: Numbers) -> None:
    """Recompute the days whose hours are all closed and newer than the day."""
    for sql, grain in ((STALE_DAYS, DAYS), (STALE_USER_DAYS, USER_DAYS)):
        _refresh(connection, numbers, grain, _stale(connection, sql, {}))


def _stale(connection: Connection, sql: str, bound: Mapping[str, Any]) -> list[Stale]:
    return [Stale(*row) for row in connection.read(_of_shard(connection, sql), bound).result_rows]


def _of_shard(connection: Connection, sql: str) -> str:
    """Name the tables of this server: each shard has rollups of its own calls."""
    return sql.replace(" taximeter.", f" {connection.shard_database}.")


def _refresh(
    connection: Connection, numbers: Numbers, grain: Grain, stale: Sequence[Stale]
) -> None:
    if not stale:
        return
    moments = [one.moment for one in stale]
    begun, version = numbers.next(beyond=max(one.version for one in stale)), numbers.next()
    _note(connection, grain, moments, begun, [0] * len(moments))
    for table in grain.views:
        bound = {"version": version, "moments": moments}
        connection.command(_of_shard(connection, grain.refill(table)), bound)
    _note(connection, grain, moments, version, [one.seen for one in stale])


def _note(
    connection: Connection,
    grain: Grain,
    moments: Sequence[datetime | date],
    version: int,
    seen: Sequence[int],
) -> None:
    notes = {grain.moment: moments, "version": [version] * len(moments), grain.seen: seen}
    try:
        connection.insert(grain.done_table, notes, database=connection.shard_database)
    finally:
        connection.folding.changed()
