"""What would save money, found in the store's newest calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from taximeter_analysis.findings import Finding, findings
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Period, Scope, Store

HABITS: Final = timedelta(days=14)
FRESH_FOR: Final = timedelta(minutes=10)
LATE: Final = timedelta(minutes=3)
"""How long readers are content with older ones."""
EVERYTHING: Final = Scope()


def savings_of(
    store: Store, book: PriceBook, now: datetime, scope: Scope = EVERYTHING
) -> Sequence[Finding]:
    """Return the findings of the last two weeks, the largest first; it reads every call."""
    return findings(store.habits(Period(now - HABITS, now), scope), book, now)


class Savings:
    """The findings of all calls, looked for now and then. Safe to share between threads."""

    def __init__(self, store: Store, book: Callable[[], PriceBook]) -> None:
        self._store = store
        self._book = book
        self._looking = threading.Lock()
        self._newest: tuple[Sequence[Finding], datetime] | None = None

    @property
    def known(self) -> Sequence[Finding]:
        """The findings that were looked for last, at once; none before the first look."""
        return self._newest[0] if self._newest else ()

    def newest(self, now: datetime) -> tuple[Sequence[Finding], datetime]:
        """Return them as they are, where whoever looks now and then is not long late."""
        newest = self._newest
        if newest is not None and now - newest[1] < FRESH_FOR + LATE:
            return newest
        return self.at(now)

    def at(self, now: datetime) -> tuple[Sequence[Finding], datetime]:
        """Return the findings and when they were looked for."""
        with self._looking:
            if self._newest is None or now - self._newest[1] >= FRESH_FOR:
                self._newest = savings_of(self._store, self._book(), now), now
            return self._newest
