"""Numbered migrations, applied at start."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from taximeter_collector.store import cluster
from taximeter_collector.store.connection import Connection
from taximeter_collector.store.errors import StoreError

MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS taximeter.migrations
(
    number UInt32,
    applied_at DateTime('UTC') default now('UTC')
)
ENGINE = MergeTree
ORDER BY number
"""


def migrate(connection: Connection) -> None:
    """Bring the store to this program's schema; refuse one that a newer program wrote."""
    # `default` is an Overlay database in chDB, without refreshable views.
    connection.command(
        f"CREATE DATABASE IF NOT EXISTS {connection.shard_database} {connection.on_cluster} "
        "ENGINE = Atomic"
    )
    _define(connection, MIGRATIONS_TABLE)
    rows = connection.read(
        f"select max(number) from {connection.shard_database}.migrations"  # noqa: S608 a name of ours
    ).result_rows
    applied = int(rows[0][0])
    known = dict(_migrations())
    newest = max(known)
    if applied > newest:
        raise StoreError(
            f"the store has schema {applied}, this program knows up to {newest}: upgrade Taximeter"
        )
    for number in range(applied + 1, newest + 1):
        for statement in statements(known[number]):
            _define(connection, statement)
        if connection.cluster and number == newest:
            for statement in cluster.facade(connection):
                connection.command(statement, settings=cluster.AS_THE_ENGINE_TYPES_VIEWS)
        connection.insert("migrations", {"number": [number]}, database=connection.shard_database)


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; each ends with `;` at the end of a line."""
    for statement in script.split(";\n"):
        if statement.strip():
            yield statement


def _define(connection: Connection, statement: str) -> None:
    if connection.cluster:
        statement = cluster.of_shards(statement, connection.on_cluster)
    connection.command(statement)


def _migrations() -> Iterator[tuple[int, str]]:
    folder = resources.files("taximeter_collector.store") / "migrations"
    for file in folder.iterdir():
        number, _, rest = file.name.partition("_")
        if rest.endswith(".sql"):
            yield int(number), file.read_text(encoding="utf-8")
