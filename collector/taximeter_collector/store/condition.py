"""How the engine is, by its own system tables; of a cluster, the server that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from taximeter_collector.store.connection import Connection, opened
from taximeter_collector.store.schema import pending

MOST_PARTS: Final = 300
"""Of a partition; the engine slows inserts down from 1,000 on, and refuses them at 3,000."""
LONGEST_REASON: Final = 200

ENGINE: Final = "select version(), toUnixTimestamp64Milli(now64(3))"
DISKS: Final = """
select name, free_space, total_space
from system.disks
where total_space > 0 and not is_remote
order by name
"""
CROWDED: Final = """
select table, partition, count() as parts
from system.parts
where active and database = {database:String}
group by table, partition
having parts > {most:UInt32}
order by parts desc
"""
STUCK: Final = """
select table, substring(latest_fail_reason, 1, {longest:UInt32})
from system.mutations
where database = {database:String} and not is_done and latest_fail_reason != ''
order by table
"""
BROKEN: Final = """
select table, count()
from system.detached_parts
where database = {database:String} and position(reason, 'broken') > 0
group by table
order by table
"""
READ_ONLY: Final = """
select table
from system.replicas
where database = {database:String} and is_readonly
order by table
"""
ENDLESS_LOGS: Final = """
select name, total_bytes
from system.tables
where database = 'system'
    and match(name, '_log(_[0-9]+)?$')
    and endsWith(engine, 'MergeTree')
    and position(engine_full, ' TTL ') = 0
order by total_bytes desc, name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    version: str
    clock: datetime
    pending: tuple[str, ...]
    """Migrations that the store lacks."""
    disks: tuple[tuple[str, int, int], ...]
    """Name, free and total bytes."""
    crowded: tuple[tuple[str, str, int], ...]
    """Table, partition and number of parts, where merges do not keep up."""
    stuck: tuple[tuple[str, str], ...]
    """Tables with a change that fails again and again, and why."""
    broken: tuple[tuple[str, int], ...]
    """Tables with parts that can't be read, and how many."""
    read_only: tuple[str, ...]
    endless_logs: tuple[tuple[str, int], ...]
    """The engine's own logs without an end, and their bytes."""


def condition_of(url: str, cluster: str = "") -> Condition | None:
    """Look at a store that this process has not open, and change nothing; None: not made yet.

    Raises StoreError or StoreUnavailable.
    """
    with opened(url, cluster) as connection:
        return condition(connection) if connection else None


def condition(connection: Connection) -> Condition:
    bound = {
        "database": connection.shard_database,
        "most": MOST_PARTS,
        "longest": LONGEST_REASON,
    }

    def rows(sql: str) -> tuple[Any, ...]:
        return tuple(tuple(row) for row in connection.read(sql, bound).result_rows)

    ((version, milliseconds),) = rows(ENGINE)
    return Condition(
        version=version,
        clock=datetime.fromtimestamp(milliseconds / 1000, UTC),
        pending=tuple(one.name for one in pending(connection)),
        disks=rows(DISKS),
        crowded=rows(CROWDED),
        stuck=rows(STUCK),
        broken=rows(BROKEN),
        read_only=tuple(table for (table,) in rows(READ_ONLY)),
        endless_logs=rows(ENDLESS_LOGS),
    )
