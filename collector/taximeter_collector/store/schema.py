"""Numbered migrations, applied at start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from taximeter_collector.store import cluster
from taximeter_collector.store.connection import Connection, opened
from taximeter_collector.store.errors import StoreError
from taximeter_collector.store.rollups import reopen

MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS taximeter.migrations
(
    number UInt32,
    applied_at DateTime('UTC') default now('UTC')
)
ENGINE = MergeTree
ORDER BY number
"""


SUMMED_ANEW: Final = {17, 19}
"""Migrations after which the rollups lack what the calls have."""
FILL: Final = re.compile(r"^INSERT INTO ", re.MULTILINE)


class Migration(NamedTuple):
    number: int
    name: str
    script: str


def migrate(connection: Connection) -> list[str]:
    """Bring the store to this program's schema and return the names of what that took.

    Refuses a store that a newer program wrote.
    """
    # `default` is an Overlay database in chDB, without refreshable views.
    connection.command(
        f"CREATE DATABASE IF NOT EXISTS {connection.shard_database} {connection.on_cluster} "
        "ENGINE = Atomic"
    )
    _define(connection, MIGRATIONS_TABLE)
    missing = pending(connection)
    for number, _, script in missing:
        for statement in statements(script):
            # In a cluster it would fill one shard: what is kept of calls is summed anew instead.
            if not (connection.cluster and FILL.search(statement)):
                _define(connection, statement)
        is_lacking = number in SUMMED_ANEW or bool(connection.cluster and FILL.search(script))
        if is_lacking and missing[0].number > 1:
            reopen(connection, f"schema-{number}")
        if connection.cluster and number == missing[-1].number:
            for statement in cluster.facade(connection):
                connection.command(statement, settings=cluster.AS_THE_ENGINE_TYPES_VIEWS)
        connection.insert("migrations", {"number": [number]}, database=connection.shard_database)
    return [one.name for one in missing]


def pending(connection: Connection) -> list[Migration]:
    """Return what the store lacks of this program's schema; raises StoreError when it is newer."""
    applied, known = _applied(connection), sorted(_migrations())
    newest = known[-1].number
    if applied > newest:
        raise StoreError(
            f"the store has schema {applied}, this program knows up to {newest}: upgrade Taximeter"
        )
    return [one for one in known if one.number > applied]


def pending_migrations(url: str, cluster_name: str = "") -> list[str]:
    """Return the names of what opening the store would apply; changes nothing."""
    with opened(url, cluster_name) as connection:
        missing = pending(connection) if connection else sorted(_migrations())
    return [one.name for one in missing]


def _applied(connection: Connection) -> int:
    database = connection.shard_database
    found = connection.read(
        "select 1 from system.tables where database = {database:String} and name = 'migrations'",
        {"database": database},
    )
    if not found.result_rows:
        return 0
    rows = connection.read(
        f"select max(number) from {database}.migrations"  # noqa: S608 a name of ours
    ).result_rows
    return int(rows[0][0])


def fill(connection: Connection, since: int) -> None:
    """Do with rows of an older schema what the migrations since then did with those they found."""
    for number, _, script in sorted(_migrations())[since:]:
        for statement in statements(script):
            if FILL.search(statement):
                connection.command(statement)
        if number in SUMMED_ANEW:
            reopen(connection, f"schema-{number}")


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; each ends with `;` at the end of a line."""
    for statement in script.split(";\n"):
        if statement.strip():
            yield statement


def _define(connection: Connection, statement: str) -> None:
    if connection.cluster:
        statement = cluster.of_shards(statement, connection.on_cluster)
    connection.command(statement)


def _migrations() -> Iterator[Migration]:
    folder = resources.files("taximeter_collector.store") / "migrations"
    for file in folder.iterdir():
        number, _, rest = file.name.partition("_")
        if rest.endswith(".sql"):
            yield Migration(int(number), Path(file.name).stem, file.read_text(encoding="utf-8"))
