"""Answers that take long: kept for all readers, and taken again ahead of the next one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from taximeter_alerts.state import StateUnavailable
from taximeter_collector.store import StoreUnavailable

Answer = TypeVar("Answer")

MOST: Final = 30
READ_FOR: Final = timedelta(minutes=2)
"""For so long after it was asked for, an answer is kept fresh as for one who still reads."""
FORGOTTEN_AFTER: Final = timedelta(days=1)
READ_LOAD: Final = 0.05
"""The part of a core that an answer may cost while somebody reads it."""
UNREAD_LOAD: Final = 0.002
CHEAP_S: Final = 0.1
"""What takes less is taken anew for each reader."""
LONGEST_S: Final = 300
LATE: Final = timedelta(seconds=10)
"""How long an answer that is old may wait for `keep_fresh`."""


class Kept:
    """The newest answers to what was asked last. Safe to share between threads."""

    def __init__(self, cheap_s: float = CHEAP_S) -> None:
        self._cheap_s = cheap_s
        self._answers: dict[Hashable, _Entry[Any]] = {}
        self._ahead: list[tuple[Callable[[datetime], Hashable], Callable[[datetime], Any]]] = []
        self._lock = threading.Lock()

    def get(
        self, question: Hashable, now: datetime, take: Callable[[datetime], Answer]
    ) -> tuple[Answer, datetime]:
        """Return an answer, and when it was taken: now, unless one is there that took long.

        Where the store or the state does not answer it may be an older one.
        """
        return self._entry(question, now, take).get(now)

    def take_ahead(
        self, question: Callable[[datetime], Hashable], take: Callable[[datetime], object]
    ) -> None:
        """Let `keep_fresh` ask it before anybody does; the question may be another each day."""
        self._ahead.append((question, take))

    def drop(self, question: Hashable) -> None:
        """Forget one answer."""
        with self._lock:
            self._answers.pop(question, None)

    def clear(self) -> None:
        """Forget all: what they say must not be said any more."""
        with self._lock:
            self._answers.clear()

    def keep_fresh(self, now: datetime) -> None:
        """Take again what has become old, and forget what nobody has asked for in a day."""
        for question_at, take in self._ahead:
            if (question := question_at(now)) not in self._answers:
                # As one that nobody reads yet.
                self._entry(question, now - READ_FOR, take).take_again(now)
        with self._lock:
            answers = dict(self._answers)
        for question, entry in answers.items():
            if now - entry.asked_at > FORGOTTEN_AFTER:
                self.drop(question)
            elif entry.is_due(now):
                entry.take_again(now)

    def _entry(
        self, question: Hashable, now: datetime, take: Callable[[datetime], Answer]
    ) -> _Entry[Answer]:
        with self._lock:
            entry: _Entry[Answer] = self._answers.pop(question, _Entry(take, self._cheap_s, now))
            self._answers[question] = entry
            if len(self._answers) > MOST:
                del self._answers[next(iter(self._answers))]
        return entry


class _Entry(Generic[Answer]):
    def __init__(self, take: Callable[[datetime], Answer], cheap_s: float, now: datetime) -> None:
        self._take = take
        self._cheap_s = cheap_s
        self._taking = threading.Lock()
        self._newest: tuple[Answer, datetime] | None = None
        self._tried_at = now
        self._took_s = deque([cheap_s], maxlen=2)
        self.asked_at = now

    @property
    def is_dear(self) -> bool:
        return self._cost_s >= self._cheap_s

    def is_due(self, now: datetime) -> bool:
        """Tell whether to take it ahead of a reader; one that failed waits as one that did not."""
        is_old = now - self._tried_at > self._fresh_for(now)
        return self._newest is not None and self.is_dear and is_old

    @property
    def _cost_s(self) -> float:
        """The shorter of the last two times: of one alone, others may have been the cause."""
        return min(self._took_s)

    def get(self, now: datetime) -> tuple[Answer, datetime]:
        newest, fresh_for = self._newest, self._fresh_for(now)
        self.asked_at = now
        if newest is None or not self.is_dear or now - newest[1] > fresh_for + LATE:
            try:
                return self.take_again(now)
            except (StoreUnavailable, StateUnavailable):
                if newest is None:
                    raise
        return newest

    def take_again(self, now: datetime) -> tuple[Answer, datetime]:
        """Take the answer unless it is fresh, perhaps by another thread."""
        with self._taking:
            if self._newest is None or now - self._newest[1] > self._fresh_for(now):
                began, self._tried_at = time.monotonic(), now
                try:
                    self._newest = self._take(now), now
                finally:
                    self._took_s.append(time.monotonic() - began)
            return self._newest

    def _fresh_for(self, now: datetime) -> timedelta:
        load = READ_LOAD if now - self.asked_at < READ_FOR else UNREAD_LOAD
        return timedelta(seconds=min(self._cost_s / load, LONGEST_S) if self.is_dear else 0)
