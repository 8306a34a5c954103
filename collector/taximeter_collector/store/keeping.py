"""How long things are kept, and a user who must be forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from taximeter_collector.store.connection import Connected, Connection
from taximeter_collector.store.errors import StoreError
from taximeter_collector.store.rollups import ROLLUPS, Numbers

IDS: Final = ("request_id", "span_id", "parent_span_id")
INDEX_OF_IDS: Final = "request_ids"
REOPEN: Final = """
insert into taximeter.user_days_done (day, hours_version, version, shard)
select arrayJoin({days:Array(Date)}), 0, {version:UInt64}, arrayJoin(range({shards:UInt32}))
"""
# A day that has lost calls by age keeps its sums, which could not be made again.
WHOLE_DAYS: Final = """
select kept.day
from (
    select toDate(ts) as day, count() as calls
    from taximeter.calls final
    where day in {days:Array(Date)}
    group by day
) as kept
left join (
    select day, sum(one.calls) as calls
    from taximeter.user_totals_by_day as one
    where day in {days:Array(Date)}
    group by day
) as summed on summed.day = kept.day
where kept.calls >= summed.calls
"""
ROUNDS: Final = 3
"""Of forgetting: on a server another process may write the name again meanwhile."""
NAMED_AGAIN: Final = (
    "the user's calls still come in through another process: stop what sends them, then ask again"
)
WAITING: Final = {"mutations_sync": 2}
"""The change is there when the statement returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many days something is kept."""

    calls: int = 400
    ids: int = 30
    """The ids of requests and spans, a fourth of a call's bytes; whole weeks at a time."""
    rollups: int = 1095

    @property
    def how_late(self) -> timedelta:
        """How far back a call may lie when it comes."""
        return timedelta(days=self.calls)


class Keeping(Connected):
    def keep(self, retention: Retention) -> None:
        """Let the engine drop what is older, also of what it has."""
        # A day more than what is accepted: of an hour that can still change, nothing is missing.
        wanted = {"calls": f"toDateTime(ts) + toIntervalDay({retention.calls + 1})"}
        wanted |= {
            table: f"{moment} + toIntervalDay({retention.rollups})"
            for table, moment in ROLLUPS.items()
        }
        definitions = self._connection.read(
            "select name, create_table_query from system.tables where database = {database:String}",
            {"database": self._connection.shard_database},
        ).result_rows
        for table, definition in definitions:
            if table in wanted and f"TTL {wanted[table]} " not in definition:
                self._connection.alter(table, f"modify ttl {wanted[table]}")

    def clear_old_ids(self, retention: Retention, now: datetime) -> list[date]:
        """Clear the ids of weeks that ended long enough ago; return the Mondays of those weeks."""
        last = (now - timedelta(days=retention.ids + 7)).date()
        has_ids = " or ".join(f"{name} != ''" for name in IDS)
        rows = self._connection.read(
            f"""
            select distinct toMonday(ts) as monday
            from taximeter.calls
            where monday <= {{last:Date}} and ({has_ids})
            order by monday
            """,  # noqa: S608 names of ours
            {"last": last},
        ).result_rows
        for (monday,) in rows:
            for part in (f"index {INDEX_OF_IDS}", *(f"column {name}" for name in IDS)):
                self._connection.alter("calls", f"clear {part} in partition '{monday}'")
        return [monday for (monday,) in rows]


def calls_of(connection: Connection, user: str) -> tuple[int, list[date]]:
    """Return how many stored calls name the user, and the days that do in any table."""
    rows = connection.read(
        """
        select count() as calls, toDate(ts) as day
        from taximeter.calls
        where user_id = {user:String} or has(mapValues(tags), {user:String})
        group by day
        union all
        select 0 as calls, day
        from taximeter.users_daily
        where user_id = {user:String}
        group by day
        union all
        select 0 as calls, day
        from taximeter.user_totals_daily
        where user_id = {user:String}
        group by day
        """,
        {"user": user},
    ).result_rows
    return sum(calls for calls, _ in rows), sorted({day for _, day in rows})


def forget_until_gone(connection: Connection, numbers: Numbers, user: str) -> int | None:
    """Forget a user; return how many calls named him, or None where no sum did either.

    Raises StoreError when more come in.
    """
    forgotten = None
    for _ in range(ROUNDS):
        calls, days = calls_of(connection, user)
        if not days:
            return forgotten
        whole = [day for (day,) in connection.read(WHOLE_DAYS, {"days": days}).result_rows]
        forget(connection, user, whole, numbers.next())
        forgotten = (forgotten or 0) + calls
    if calls_of(connection, user)[1]:
        raise StoreError(NAMED_AGAIN)
    return forgotten


def forget(connection: Connection, user: str, reopen: Sequence[date], version: int) -> None:
    """Take a user's name off the calls; their dollars stay, with nobody's name.

    Other days, whose calls are gone, lose the user's part of the sums by user alone.
    Users are summed from the calls on the reopened days until those are refreshed. Any step may be
    done again. The engine remembers its last changes: it is told the digest of the name.
    """
    bound = {"user": digest_of(user)}
    connection.alter(
        "calls",
        """
        update
            user_id = if(hex(SHA256(user_id)) = {user:String}, '', user_id),
            session_id = if(hex(SHA256(user_id)) = {user:String}, '', session_id),
            tags = mapFilter((key, value) -> hex(SHA256(value)) != {user:String}, tags)
        where hex(SHA256(user_id)) = {user:String}
            or arrayExists(value -> hex(SHA256(value)) = {user:String}, mapValues(tags))
        """,
        bound,
        WAITING,
    )
    reopened = {"days": reopen, "version": version, "shards": connection.shards}
    try:
        connection.command(REOPEN, reopened)
    finally:
        connection.folding.changed()
    # The last of them tells whether all was done, and has every name of the others.
    for table in ("dearest_users_daily", "users_daily", "user_totals_daily"):
        connection.alter(table, "delete where hex(SHA256(user_id)) = {user:String}", bound, WAITING)


def digest_of(name: str) -> str:
    """Return what the engine calls `hex(SHA256(name))`."""
    return hashlib.sha256(name.encode()).hexdigest().upper()
