"""A store copied into another, hour by hour; what is there already is not sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.errors import StoreError
from taximeter_collector.store.keeping import WAITING
from taximeter_collector.store.rollups import NOTES, ROLLUPS

WHOLE: Final = ("lost_spans", "reconciliations", "repricings", "repricing_steps")
WEEKS = "select distinct toMonday(ts) as monday from taximeter.calls order by monday"
HOURS = """
select
    toStartOfHour(ts) as hour,
    count(),
    sum(rows.cost),
    groupBitXor(cityHash64(call_id, revision, ifNull(rows.cost, -1)))
from taximeter.calls as rows final
where toMonday(ts) = {monday:Date}
group by hour
order by hour
"""


class Hour(NamedTuple):
    """What an hour's calls come to; equal where the calls and their costs are."""

    calls: int
    cost: Decimal | None
    """US dollars of the priced calls; None when none is."""
    digest: int


class Copied(NamedTuple):
    calls: int
    sent: int


Changing = Callable[[Iterable[datetime]], AbstractContextManager[object]]
"""Marks hours as changed, before and while their calls come: their sums are made anew."""


def copy(source: Connection, target: Connection, changing: Changing) -> Iterator[Copied]:
    """Copy week by week; yield the calls that both have now.

    Raises StoreError where the target has other calls in an hour than the source.
    """
    for table in WHOLE:
        _copy_anew(source, target, table, "true")
    weeks = [monday for (monday,) in source.read(WEEKS).result_rows]
    if weeks:
        _copy_what_outlived_its_calls(source, target, weeks[0])
    for monday in weeks:
        wanted, has = _hours(source, monday), _hours(target, monday)
        missing = [hour for hour in wanted if has.get(hour) != wanted[hour]]
        for hour in missing:
            of_hour = f"toStartOfHour(ts) = toDateTime('{hour:%F %T}', 'UTC')"
            with changing([hour]):
                _send(source, target, "taximeter.calls", f"taximeter.calls final where {of_hour}")
        has = _hours(target, monday)
        if different := [hour for hour in {**wanted, **has} if wanted.get(hour) != has.get(hour)]:
            raise StoreError(
                f"the target has other calls in {len(different)} hours, the first {different[0]}: "
                "copy into an empty store that no service writes to"
            )
        calls = sum(one.calls for one in wanted.values())
        yield Copied(calls, sum(wanted[hour].calls for hour in missing))


def _copy_what_outlived_its_calls(source: Connection, target: Connection, first: date) -> None:
    """Copy the sums of hours and days before the first week that has calls."""
    for table, moment in {**ROLLUPS, **NOTES}.items():
        _copy_anew(source, target, table, f"toDate({moment}) < toDate('{first}')")


def _copy_anew(source: Connection, target: Connection, table: str, condition: str) -> None:
    """Copy rows that lie apart; what an earlier attempt left of them goes first."""
    wanted, has = (
        one.read(f"select count() from taximeter.{table} where {condition}").result_rows[0][0]  # noqa: S608 names of ours
        for one in (source, target)
    )
    if has and has != wanted:
        target.alter(table, f"delete where {condition}", settings=WAITING)
    if wanted and has != wanted:
        database = "taximeter" if table in WHOLE else target.shard_database
        _send(source, target, f"{database}.{table}", f"taximeter.{table} where {condition}")


def _send(source: Connection, target: Connection, table: str, rows: str) -> None:
    with source.stream(f"select * from {rows}", {}, "Native", {}) as content:  # noqa: S608 as above
        target.send(content.read(), table, "Native", {})


def _hours(connection: Connection, monday: date) -> dict[datetime, Hour]:
    rows = connection.read(HOURS, {"monday": monday}).result_rows
    return {hour: Hour(*sums) for hour, *sums in rows}
