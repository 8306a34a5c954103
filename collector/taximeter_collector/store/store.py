"""The store of calls."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from taximeter_collector.calls import Call, Loss, Priced
from taximeter_collector.otlp import Window
from taximeter_collector.store import keeping
from taximeter_collector.store.backup import read_tables, write_tables
from taximeter_collector.store.columns import Row, by_week, columns_of
from taximeter_collector.store.connection import MOST_SECONDS, Connection
from taximeter_collector.store.copying import Copied, copy
from taximeter_collector.store.errors import StoreError, StoreUnavailable
from taximeter_collector.store.keeping import Retention
from taximeter_collector.store.mirror import Line, Mirror, note_prompt_versions
from taximeter_collector.store.mirror import keep as keep_mirror
from taximeter_collector.store.numbers import Numbers
from taximeter_collector.store.quality import add_losses
from taximeter_collector.store.questions import Questions
from taximeter_collector.store.reconciliations import (
    Reconciliation,
    keep_reconciliation,
    kept,
    reconciled_months,
)
from taximeter_collector.store.repricing import (
    Repricing,
    Span,
    Step,
    keep_repricing,
    keep_step,
    repriced,
    repricings,
    rows_of,
    spans,
    steps,
)
from taximeter_collector.store.rollups import (
    last_number,
    mark,
    observe,
    refresh_days,
    refresh_hours,
    settled_hours,
)
from taximeter_collector.store.schema import migrate
from taximeter_collector.store.scope import Period, Scope
from taximeter_collector.store.staging import PricedKey, PriceKey, Staging

Price = Callable[[Call], Priced]

HOURS_A_REFRESH = 200


class Store(Questions):
    """Calls and what they cost. Safe to share between threads; a server also between processes."""

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
        self._numbers = Numbers(last_number(self._connection))
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
            for week, of_week in by_week(rows):
                columns = columns_of(of_week, revision=revision, book_version=book_version, now=now)
                self._connection.insert("calls", columns, token=f"{token}/{week:%G-%V}")

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

    def add_losses(self, losses: Sequence[Loss]) -> None:
        """Keep what apps say they could not deliver; the same told again counts once."""
        add_losses(self._connection, losses)

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

    def keep_reconciliation(self, reconciliation: Reconciliation) -> None:
        keep_reconciliation(self._connection, reconciliation)

    def reconciliations(self, month: date | None = None) -> list[Reconciliation]:
        """Return the newest reconciliations of a month, or of any, the newest first."""
        return kept(self._connection, month)

    def reconciled_months(self) -> list[date]:
        """Return the first days of the months that have a reconciliation, the newest first."""
        return reconciled_months(self._connection)

    def repricing_spans(self, period: Period, scope: Scope) -> list[Span]:
        """Return the parts of a re-pricing, in order."""
        return spans(self._connection, period, scope)

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
                keep_step(self._connection, job.id, step)
            token = f"reprice/{job.id}/{self._numbers.next(beyond=newest)}"
            self.add(changed, token=token, book_version=job.book_version, now=now)
        return step

    def keep_mirror(self, mirror: Mirror, lines: Sequence[Line]) -> None:
        """Copy what the watch says, for dashboards."""
        keep_mirror(self._connection, mirror, lines)

    def note_prompt_versions(self, since: datetime) -> None:
        """Note the versions of prompts in hours from then on, for dashboards."""
        note_prompt_versions(self._connection, since)

    def keep_repricing(self, job: Repricing) -> None:
        keep_repricing(self._connection, job)

    def repricings(self) -> list[Repricing]:
        """Return the newest re-pricings, the newest first."""
        return repricings(self._connection)

    def repricing_steps(self, id_: str) -> list[Step]:
        return list(steps(self._connection, id_))

    def keep(self, retention: Retention) -> None:
        """Let the engine drop what is older, from now on."""
        keeping.keep(self._connection, retention)

    def clear_old_ids(self, retention: Retention, now: datetime) -> list[date]:
        """Clear the ids of weeks that ended long enough ago; return the Mondays of those weeks."""
        return keeping.clear_old_ids(self._connection, retention, now)

    def forget(self, user: str) -> int:
        """Take a user's name off all calls and return of how many; their dollars stay."""
        with self.at_rest():
            return keeping.forget_until_gone(self._connection, self._numbers, user)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Keep calls and rollups as they are meanwhile."""
        with self._refreshing, self._adding:
            yield

    def write_tables(self, folder: Path) -> None:
        write_tables(self._connection, folder)

    def read_tables(self, folder: Path) -> None:
        """Read what `write_tables` wrote into an empty store."""
        read_tables(self._connection, folder)
        self._numbers = Numbers(last_number(self._connection))

    def copy_to(self, target: Store) -> Iterator[Copied]:
        """Copy into a store that is empty, or has a part of this one; yield what both have."""
        for hours, copied in copy(self._connection, target._connection):
            if hours:
                with target._changing(hours):
                    pass
            yield copied

    def answers(self) -> bool:
        """Tell whether the engine can be asked now; raises StoreUnavailable when it can't."""
        return bool(self._connection.read("select 1").result_rows)

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
