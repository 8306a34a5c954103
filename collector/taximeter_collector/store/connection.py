"""Connections to the engine, embedded or remote."""

from __future__ import annotations

import fcntl
import logging
import queue
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError
from clickhouse_connect.driver.query import QueryResult

from taximeter_collector.store.errors import (
    StoreError,
    StoreInUse,
    StoreUnavailable,
    store_errors,
    why_no_answer,
)
from taximeter_collector.store.scope import Period
from taximeter_collector.store.unsettled import Folding

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# As where there is no pandas: the first insert would import it, in a quarter of a second and 40 MB.
options.pd = None
# In a command, which keeps no log, what it says of an error would stand bare before our own line.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
READERS = 2
TRIES = 2
"""Of a question whose sums are replaced meanwhile."""
WAIT_S = 30
"""For how long a question waits for a reader, and the end for those that are busy."""
# An answered insert is on its shard, and a subquery is of the shard that asks.
IN_A_CLUSTER = {"distributed_foreground_insert": 1, "distributed_product_mode": "local"}
FASTEST = 1
MOST_SECONDS = 60
"""How long a server may take for a statement."""
# One heavy page must not starve the receiver that shares the machine.
READ_LIMITS: Mapping[str, int] = {
    "max_threads": 2,
    "max_memory_usage": 2_000_000_000,
    "max_execution_time": 30,
}


class Connection:
    """A handle that writes and a few that read; safe to share between threads."""

    def __init__(self, url: str, cluster: str = "") -> None:
        """Connect; the cluster is one that the server knows by this name.

        Raises StoreError or StoreUnavailable.
        """
        _refuse_if_locked(url)
        self.cluster = cluster
        self.shard_database = "taximeter_shard" if cluster else "taximeter"
        """Where this server's own part of every table is; `taximeter` has the whole."""
        with store_errors():
            self._writer = _client(url)
        self._readers = Handles(url, READERS)
        self.folding = Folding(lambda sql: self.read(sql).result_rows)
        self._is_alone = url.startswith("chdb:")
        self.shards = self._count_shards() if cluster else 1

    @property
    def on_cluster(self) -> str:
        """What a definition says to be done on all servers."""
        return f"ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> QueryResult:
        """Return what the engine answers; moments are in UTC, whatever this machine's zone is."""
        with self._readers.lent() as reader:
            return reader.query(
                sql,
                parameters=dict(parameters or {}),
                settings={**READ_LIMITS},
                query_tz=UTC,
                tz_mode="aware",
            )

    def read_sums(self, sql: str, parameters: Mapping[str, Any], period: Period) -> QueryResult:
        """Return what views of sums tell of a period, in less time where we alone change them."""
        for _ in range(TRIES if self._is_alone else 0):
            folded, changes = self.folding.folded(sql, period)
            result = self.read(folded, parameters)
            if self.folding.is_unchanged(changes):
                return result
        return self.read(sql, parameters)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of an answer, their values by the names of its columns."""
        return list(self.read(sql, parameters).named_results())

    @contextmanager
    def stream(
        self, sql: str, parameters: Mapping[str, Any], form: str, settings: Mapping[str, Any]
    ) -> Iterator[IO[bytes]]:
        """Give the result as a file in one of the engine's formats."""
        with self._readers.lent() as reader:
            result = reader.raw_stream(
                sql, parameters=dict(parameters), settings={**READ_LIMITS, **settings}, fmt=form
            )
            with closing(cast(IO[bytes], result)) as file:
                yield file

    def command(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        with store_errors():
            self._writer.command(
                sql, parameters=dict(parameters or {}), settings=dict(settings or {})
            )

    def alter(
        self,
        table: str,
        change: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a table, on all servers of a cluster."""
        where = f"{self.shard_database}.{table} {self.on_cluster}"
        self.command(f"alter table {where} {change}", parameters, settings)

    def insert(
        self,
        table: str,
        columns: Mapping[str, Sequence[Any]],
        token: str | None = None,
        database: str = "taximeter",
    ) -> None:
        """Insert durably (the tables fsync). The same `token` inserts once, also after a crash."""
        settings: dict[str, Any] = {"async_insert": 0}
        if token is not None:
            settings["insert_deduplication_token"] = token
        with store_errors():
            self._writer.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                database=database,
                column_oriented=True,
                settings=settings,
            )

    def insert_lines(self, table: str, lines: Sequence[DataclassInstance]) -> None:
        """Insert values whose fields are the columns."""
        if lines:
            rows = [asdict(line) for line in lines]
            self.insert(table, {name: [row[name] for row in rows] for name in rows[0]})

    def send(self, content: bytes, table: str, form: str, settings: Mapping[str, Any]) -> None:
        """Insert what is in one of the engine's formats, over the network."""
        block = zstd.compress(content, FASTEST)
        with store_errors():
            self._writer.raw_insert(
                table, insert_block=block, fmt=form, compression="zstd", settings=dict(settings)
            )

    def _count_shards(self) -> int:
        shards = self.read(
            "select max(shard_num) from system.clusters where cluster = {cluster:String}",
            {"cluster": self.cluster},
        ).result_rows[0][0]
        if not shards:
            raise StoreError(
                f"the server knows no cluster {self.cluster!r}: see its remote_servers"
            )
        return int(shards)

    def close(self) -> None:
        """Wait for running queries, then release the engine."""
        self._readers.close()
        self._writer.close()


class Connected:
    """What can be asked of a store, or kept in it, over its connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection


@contextmanager
def opened(url: str, cluster: str = "") -> Iterator[Connection | None]:
    """Open a store as it is, and change nothing; None where an embedded one is not made yet."""
    parts = urlsplit(url)
    if parts.scheme == "chdb" and not Path(parts.path).exists():
        yield None
        return
    with closing(Connection(url, cluster)) as connection:
        yield connection


class Handles:
    """A few clients, each lent to one at a time; options go to the embedded engine."""

    def __init__(self, url: str, count: int, **options: Any) -> None:
        """Connect; raises StoreError or StoreUnavailable."""
        self._open = partial(_client, url, **options)
        self._is_embedded = url.startswith("chdb:")
        self._count = count
        self._idle: queue.Queue[Client | None] = queue.Queue()
        with store_errors():
            for _ in range(count):
                self._idle.put(self._open())

    @contextmanager
    def lent(self) -> Iterator[Client]:
        """Lend a client when one is idle; raises StoreError or StoreUnavailable."""
        try:
            client = self._idle.get(timeout=WAIT_S)
        except queue.Empty:
            raise StoreUnavailable(
                f"all {self._count} readers of the store are busy for {WAIT_S} s: ask again"
            ) from None
        is_read = False
        try:
            with store_errors():
                client = client or self._open()
                yield client
            is_read = True
        finally:
            # The embedded engine would begin its next answer with what was not read of this one.
            if client and self._is_embedded and not is_read:
                client.close()
                client = None
            self._idle.put(client)

    def close(self) -> None:
        """Wait until all are idle, then close them; leave what is not idle in time."""
        with suppress(queue.Empty):
            for _ in range(self._count):
                if client := self._idle.get(timeout=WAIT_S):
                    client.close()


def _client(url: str, **options: Any) -> Client:
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return clickhouse_connect.get_client(interface="chdb", path=parts.path, **options)
    try:
        return clickhouse_connect.get_client(
            dsn=url,
            connect_timeout=5,
            autogenerate_session_id=False,
            query_retries=0,
            settings={"max_execution_time": MOST_SECONDS, **IN_A_CLUSTER},
        )
    except TypeError as error:
        raise StoreError(f"the store's address has an option that is unknown: {error}") from error
    except OperationalError as error:
        parts = urlsplit(url)
        reason = why_no_answer(error)
        raise StoreUnavailable(
            f"the store at {parts.hostname}:{parts.port or 8123} does not answer{reason}: "
            "start it, or give another address"
        ) from error


def _refuse_if_locked(url: str) -> None:
    """Raise StoreInUse when another process has an embedded store open.

    The engine would say so on its own stderr only, and give a nameless error.
    """
    parts = urlsplit(url)
    status = Path(parts.path) / "status"
    if parts.scheme != "chdb" or not status.exists():
        return
    with status.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(
                f"another process has the store {parts.path} open; "
                "one process serves an embedded store: stop the other, or use clickhouse://"
            ) from None
