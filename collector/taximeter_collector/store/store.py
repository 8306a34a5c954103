"""The store of calls."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from taximeter_collector.calls import Call, Priced
from taximeter_collector.otlp import Window
from taximeter_collector.store import keeping
from taximeter_collector.store.backup import read_tables, write_tables
from taximeter_collector.store.calls import CallQuestions
from taximeter_collector.store.columns import Row, by_week, columns_of
from taximeter_collector.store.condition import Condition, condition
from taximeter_collector.store.connection import MOST_SECONDS, Connection
from taximeter_collector.store.copying import Copied, copy
from taximeter_collector.store.errors import StoreError, StoreUnavailable
from taximeter_collector.store.focus import FocusExport
from taximeter_collector.store.habits import HabitQuestions
from taximeter_collector.store.keeping import Keeping
from taximeter_collector.store.mirror import Mirrored
from taximeter_collector.store.quality import QualityQuestions
from taximeter_collector.store.reconciliations import Reconciliations
from taximeter_collector.store.repricing import (
    Repricing,
    Repricings,
    Span,
    Step,
    repriced,
    rows_of,
)
from taximeter_collector.store.rollups import (
    Numbers,
    mark,
    observe,
    refresh_days,
    refresh_hours,
    settled_hours,
)
from taximeter_collector.store.schema import migrate
from taximeter_collector.store.scopes import ScopeQuestions
from taximeter_collector.store.staging import PricedKey, PriceKey, Staging
from taximeter_collector.store.traffic import TrafficQuestions

Price = Callable[[Call], Priced]

HOURS_A_REFRESH = 200


class Store(
    ScopeQuestions,
    CallQuestions,
    TrafficQuestions,
    HabitQuestions,
    QualityQuestions,
    FocusExport,
    Mirrored,
    Reconciliations,
    Repricings,
    Keeping,
):
    """Calls and what they cost. Safe to share between threads; a server also between processes.

    What can be asked of them, and what is kept beside them, is in the modules of its parts.
    """

    def __init__(self, url: str, cluster: str = "") -> None:
        """Open and migrate the store; `cluster` is the server's own name of one.

        Raises StoreError when it can't be used, StoreUnavailable when it does not answer.
        """
        self.url = url
        parts = urlsplit(url)
        if parts.scheme == "chdb":
            Path(parts.path).mkdir(parents=True, exist_ok=True)
        super().__init__(Connection(url, cluster))
        self.migrated = migrate(self._connection)
        self._numbers = Numbers(self._connection)
        self._writer = secrets.token_hex(8)
        self._staging = Staging(self._connection, self._writer, reads_files=self.reads_files)
        self._adding = threading.RLock()
        self._refreshing = threading.Lock()

    def add(
        self,
        rows: Sequence[Row],
        *,
        token: str,
        book_version: str,
        now: datetime,
    ) -> None:
        """Keep priced calls. The same `token`, unique for ever, adds the same rows only once."""
        if not rows:
            return
        with self._changing(call.ts for call, _ in rows) as revision:
            # A partition is a week; an insert over too many of them is refused by the engine.
            for week, of_week in by_week(rows).items():
                columns = columns_of(of_week, revision=revision, book_version=book_version, now=now)
                self._connection.insert("calls", columns, token=f"{token}/{week}")

    @property
    def reads_files(self) -> bool:
        """Whether the engine runs here, so that it reads our files."""
        return self.url.startswith("chdb:")

    def stage_spans(
        self, path: Path, window: Window, rates: Callable[[PriceKey], Iterable[PricedKey]]
    ) -> list[int]:
        """Read a file of spans for `add_staged`; return the numbers of those left to Python."""
        self._staging.decode(path, window)
        self._staging.keep_rates([one for key in self._staging.price_keys() for one in rates(key)])
        return self._staging.numbers_left()

    def add_staged(self, *, token: str, book_version: str, now: datetime) -> None:
        """Keep the plain calls that `stage_spans` read last; for `token` see `add`."""
        with self._changing(self._staging.hours) as revision:
            self._staging.take(token=token, revision=revision, book_version=book_version, now=now)

    def refresh(self, *, quiet_s: int = 0) -> int:
        """Recompute the rollups of changed hours and days; return how many hours that were.

        Hours that changed in the last `quiet_s` seconds stay open: where calls stream in they would
        be open again at once, and to sum all their calls anew each time would be for nothing.
        """
        with self._refreshing:
            with self._adding:
                hours = settled_hours(self._connection, limit=HOURS_A_REFRESH, quiet_s=quiet_s)
            refresh_hours(self._connection, self._numbers, hours)
            refresh_days(self._connection, self._numbers)
            observe(self._connection)
        return len(hours)

    def preview(self, job: Repricing, span: Span, price: Price) -> Step:
        """Say what `reprice` would do."""
        rows, span, _ = rows_of(self._connection, span, job.period, job.scope)
        return Step(span, repriced(rows, price)[1])

    def reprice(
        self, job: Repricing, span: Span, price: Price, *, now: datetime, noted: bool = False
    ) -> Step:
        """Price the calls of a span anew, and note it unless it is `noted`."""
        # A call that is sent again meanwhile must not be replaced by what was read before.
        with self._adding:
            rows, span, newest = rows_of(self._connection, span, job.period, job.scope)
            changed, lines = repriced(rows, price)
            step = Step(span, lines)
            if not noted:
                self.keep_step(job.id, step)
            token = f"reprice/{job.id}/{self._numbers.next(beyond=newest)}"
            self.add(changed, token=token, book_version=job.book_version, now=now)
        return step

    def forget(self, user: str) -> int | None:
        """Take a user's name off all calls and return of how many; their dollars stay.

        None says that neither calls nor sums of calls that are gone have the name.
        """
        with self.at_rest():
            return keeping.forget_until_gone(self._connection, self._numbers, user)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Keep calls and rollups as they are meanwhile."""
        with self._refreshing, self._adding:
            yield

    def size(self) -> int:
        """Return how many bytes the store takes on its disks."""
        sql = (
            "select sum(bytes_on_disk) from system.parts where database = {name:String} and active"
        )
        bound = {"name": self._connection.shard_database}
        return int(self._connection.read(sql, bound).result_rows[0][0])

    def condition(self) -> Condition:
        """Return how the engine is."""
        return condition(self._connection)

    def write_tables(self, folder: Path) -> None:
        write_tables(self._connection, folder)

    def read_tables(self, folder: Path) -> None:
        """Read what `write_tables` wrote into an empty store."""
        read_tables(self._connection, folder)
        self._numbers = Numbers(self._connection)

    def copy_to(self, target: Store) -> Iterator[Copied]:
        """Copy into a store that is empty, or has a part of this one; yield what both have."""
        return copy(self._connection, target._connection, target._changing)

    def close(self) -> None:
        # Tables that can't be dropped now are dropped by a later start.
        with suppress(StoreError, StoreUnavailable):
            self._staging.close()
        self._connection.close()

    @contextmanager
    def _changing(self, moments: Iterable[datetime]) -> Iterator[int]:
        """Mark the hours that hold the moments as changed, and give the changes their revision.

        In this process a refresh does not see the mark before the rows. Another process waits for
        as long as rows may take; where they took longer, it is told again.
        """
        parts = {(moment.year, moment.month, moment.day, moment.hour) for moment in moments}
        hours = [datetime(*part, tzinfo=UTC) for part in sorted(parts)]
        seconds = 0 if self.reads_files else MOST_SECONDS
        with self._adding:
            revision = self._numbers.next()
            mark(self._connection, hours, self._writer, revision, seconds)
            end = time.monotonic() + seconds
            yield revision
            if seconds and time.monotonic() > end:
                mark(self._connection, hours, self._writer, self._numbers.next(), seconds)
