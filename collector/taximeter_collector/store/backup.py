"""The tables of an embedded store as files that any later version can read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.schema import fill

SUFFIX: Final = ".native.zst"
BY_WEEK: Final = {"calls": "toMonday(ts)"}
"""Tables that are cut, so that neither writing nor reading one takes much memory."""


def write_tables(connection: Connection, folder: Path) -> None:
    """Write every table that holds data into files of the engine's Native format."""
    tables = connection.read(
        "select name from system.tables where database = 'taximeter' and engine like '%MergeTree'"
    ).result_rows
    for (table,) in tables:
        for number, part in enumerate(_parts(connection, table)):
            path = folder / f"{table}.{number}{SUFFIX}"
            connection.command(
                f"insert into function file('{path}', 'Native') "  # noqa: S608 names of ours
                f"select * from taximeter.{table} {part}"
            )


def read_tables(connection: Connection, folder: Path) -> None:
    """Read such files into the tables, which get what they had when they were written.

    Tables that there were not then are filled as an upgrade fills them.
    """
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        table = path.name.partition(".")[0]
        described = connection.read(f"describe file('{path}', 'Native')").result_rows
        names = ", ".join(f"`{row[0]}`" for row in described)
        connection.command(
            f"insert into taximeter.{table} ({names}) "  # noqa: S608 names of ours
            f"select {names} from file('{path}', 'Native')"
        )
    (schema,) = connection.read(
        f"select max(number) from file('{folder}/migrations.0{SUFFIX}', 'Native')"  # noqa: S608 a name of ours
    ).result_rows[0]
    fill(connection, since=schema)


def _parts(connection: Connection, table: str) -> list[str]:
    if table not in BY_WEEK:
        # A Native file without rows can't be read.
        (rows,) = connection.read(f"select count() from taximeter.{table}").result_rows[0]  # noqa: S608
        return [""] if rows else []
    week = BY_WEEK[table]
    rows = connection.read(
        f"select distinct {week} as week from taximeter.{table} order by week"  # noqa: S608
    ).result_rows
    return [f"where {week} = toDate('{monday}')" for (monday,) in rows]
