"""The database behind the state: its connections, its schema and what they mean by an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from taximeter_alerts.state import tables
from taximeter_collector.refusal import Refusal

PATIENCE_S: Final = 10
MIGRATING: Final = 7_829_442
"""Any number: the lock by which Postgres lets one process migrate at a time."""
DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}

Migration = Callable[[sa.Connection], None]


class StateUnavailable(Refusal):
    """The state database does not answer; the message says which and why."""


FIRST: Final = [tables.budgets, tables.alerts, tables.deliveries]
MIGRATIONS: Final[Sequence[Migration]] = (
    # Stores of the first version have these tables without a number.
    lambda connection: tables.metadata.create_all(connection, FIRST),
    lambda connection: _second(connection),
    lambda connection: tables.on_course.create(connection, checkfirst=True),
)


def _second(connection: sa.Connection) -> None:
    tables.metadata.create_all(connection)
    _add(connection, "batch", "text not null default ''")
    _add(connection, "unanswered", "integer not null default 0")


def _add(connection: sa.Connection, column: str, kind: str) -> None:
    """Add a column to the deliveries of the first version."""
    known = {one["name"] for one in sa.inspect(connection).get_columns("deliveries")}
    if column not in known:
        connection.execute(sa.text(f"alter table deliveries add {column} {kind}"))


class Database:
    """A pool of connections to SQLite or Postgres."""

    def __init__(self, url: str) -> None:
        """Connect; raises StateUnavailable."""
        self._shown = sa.make_url(url).render_as_string(hide_password=True)
        kind, _, rest = url.partition("://")
        options: dict[str, Any] = {}
        if kind in DRIVERS:
            options = {"pool_pre_ping": True, "connect_args": {"connect_timeout": PATIENCE_S}}
        try:
            self._engine = sa.create_engine(f"{DRIVERS.get(kind, kind)}://{rest}", **options)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise StateUnavailable(
                f"{self._shown}: {error}; pip install 'taximeter-server[postgres]'"
            ) from error
        self._is_postgres = self._engine.dialect.name == "postgresql"
        if not self._is_postgres:
            sa.event.listen(self._engine, "connect", _make_durable)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a transaction that is committed in the end."""
        with self._errors(), self._engine.begin() as connection:
            yield connection

    def read(self, question: sa.Executable) -> Sequence[Any]:
        """Return all rows of an answer."""
        with self._errors(), self._engine.connect() as connection:
            return connection.execute(question).all()

    def write(self, statement: sa.Executable) -> None:
        with self.writing() as connection:
            connection.execute(statement)

    def insert_new(self, table: sa.Table, row: Mapping[str, Any]) -> sqlite.Insert:
        """Return an insert that leaves alone what is there already."""
        insert = postgresql.insert if self._is_postgres else sqlite.insert
        return cast(sqlite.Insert, insert(table).values(row).on_conflict_do_nothing())

    def added(
        self, connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]
    ) -> int | None:
        """Insert a row; return its id, None where it was there already."""
        statement = self.insert_new(table, row).returning(table.c.id)
        return connection.execute(statement).scalar_one_or_none()

    def close(self) -> None:
        self._engine.dispose()

    def migrate(self) -> list[int]:
        """Bring the database to this program's schema; return the numbers of what that took."""
        with self.writing() as connection:
            if self._is_postgres:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
            tables.migrations.create(connection, checkfirst=True)
            missing = self._pending(connection)
            for number in missing:
                MIGRATIONS[number - 1](connection)
                connection.execute(sa.insert(tables.migrations).values(number=number))
        return missing

    def condition(self) -> Condition:
        """Look and change nothing; raises StateUnavailable when the schema is newer."""
        clock = self.read(sa.select(sa.func.clock_timestamp()))[0][0] if self._is_postgres else None
        with self._errors(), self._engine.connect() as connection:
            return Condition(self._pending(connection), clock)

    def _pending(self, connection: sa.Connection) -> list[int]:
        applied = 0
        if sa.inspect(connection).has_table(tables.migrations.name):
            newest = sa.select(sa.func.coalesce(sa.func.max(tables.migrations.c.number), 0))
            applied = connection.execute(newest).scalar_one()
        if applied > len(MIGRATIONS):
            raise StateUnavailable(
                f"{self._shown} has schema {applied}, this program knows up to "
                f"{len(MIGRATIONS)}: upgrade Taximeter"
            )
        return list(range(applied + 1, len(MIGRATIONS) + 1))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise StateUnavailable(f"the state database {self._shown}: {reason}") from error


class Condition(NamedTuple):
    pending: list[int]
    """Numbers of the migrations that the database lacks, which `migrate` would apply."""
    clock: datetime | None
    """None: it is this machine's."""


def condition_of(url: str) -> Condition:
    """Look at a state database and change nothing; raises StateUnavailable."""
    path = sa.make_url(url).database or ""
    if url.startswith("sqlite:") and not Path(path).exists():
        return Condition(list(range(1, len(MIGRATIONS) + 1)), None)
    with closing(Database(url)) as database:
        return database.condition()


def _make_durable(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma busy_timeout = 5000")
    connection.execute("pragma foreign_keys = on")
