"""Counting the tokens of streams whose usage was lost, away from the app's threads.

Texts stay in this process: they are kept while their usage may still come, handed to the
counter when it did not, and dropped as soon as they are counted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Protocol

from taximeter.answer import Answer
from taximeter.guard import never_raise
from taximeter.tokens import Counts, counted, encoding_of

BLOCK = 65_536
BLOCKS = 512
"""Together 32 MB: the most that is kept of all the streams of a process."""
QUEUED = 256

API_TYPES = {"chat.completions", "completions", "responses"}


class Reader(Protocol):
    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> None: ...


@lru_cache(maxsize=1)
def has_tokenizer() -> bool:
    return importlib.util.find_spec("toktok") is not None


def kept_of(response: Any, api_type: str, answer: Answer) -> Kept | None:
    """Begin to keep what counting will need; None where nothing could be counted."""
    if api_type not in API_TYPES or not has_tokenizer():
        return None
    try:
        request = response.request.content
        _counter.start()
    except RuntimeError:  # a body that was streamed out; or no new threads, as at the exit
        return None
    kept = Kept(api_type, request, answer)
    return kept if kept.reserve(len(request)) else None


class Kept:
    """Request and events of a stream, as they were on the wire."""

    def __init__(self, api_type: str, request: bytes, answer: Answer) -> None:
        self._api_type = api_type
        self._request = request
        self._answer = answer
        self._chunks: list[bytes] = []
        self._room = 0
        self._blocks = 0
        self.wanted = True
        self._model = ""

    def add(self, chunk: bytes) -> None:
        if not self._model:
            self._check_model()
        if self.wanted and self.reserve(len(chunk)):
            self._chunks.append(chunk)

    def reserve(self, size: int) -> bool:
        """Take blocks from the common store; where it has none left, nothing is kept."""
        self._room -= size
        while self._room < 0:
            try:
                _free.pop()
            except IndexError:
                self.drop()
                return False
            self._blocks += 1
            self._room += BLOCK
        return True

    def counts(self) -> Counts | None:
        """Count, which takes its time; None where a true count can't be had."""
        if not self.wanted or not self._chunks:
            return None
        return counted(self._api_type, self._model, self._request, b"".join(self._chunks))

    def drop(self) -> None:
        self.wanted = False
        self._request, self._chunks = b"", []
        blocks, self._blocks = self._blocks, 0
        # Appending and popping need no lock, which a collection of garbage could meet taken.
        _free.extend([None] * blocks)

    def _check_model(self) -> None:
        self._model = str(self._answer.attributes.get("gen_ai.response.model", ""))
        if self._model and self.wanted and encoding_of(self._model) is None:
            self.drop()


class Keeping:
    """A reader of events that keeps them, too."""

    def __init__(self, events: Reader, kept: Kept) -> None:
        self._events = events
        self._keep = kept.add
        self.finish = events.finish

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)
        self._keep(chunk)


Finish = Callable[[Counts | None], None]


class Job:
    def __init__(self, kept: Kept, finish: Finish) -> None:
        self._kept = kept
        self._finish = [finish]

    def count(self) -> None:
        counts = None
        with never_raise("counting tokens"):
            counts = self._kept.counts()
        self.close(counts)

    def close(self, counts: Counts | None = None) -> None:
        """Finish with these counts; only the first time counts."""
        self._kept.drop()
        with contextlib.suppress(IndexError):
            self._finish.pop()(counts)


class Counter:
    """One thread and its queue; each job is finished, also when there is no time to count."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        # Unlike a lock, this queue may be met by a collection of garbage in the midst of `put`.
        self._wake: SimpleQueue[threading.Event | None] = SimpleQueue()
        self._started = False

    def start(self) -> None:
        if not self._started:
            threading.Thread(target=self._run, name="taximeter-counter", daemon=True).start()
            self._started = True

    def take(self, kept: Kept, finish: Finish) -> bool:
        if len(self._jobs) >= QUEUED:
            return False
        self._jobs.append(Job(kept, finish))
        self._wake.put(None)
        return True

    def finish(self, timeout_s: float) -> None:
        """Wait for the counts of what is queued; what is not counted in time stays lost."""
        if not self._started:
            return
        reached = threading.Event()
        self._wake.put(reached)
        if reached.wait(timeout_s):
            return
        if self._current is not None:
            self._current.close()
        while self._jobs:
            self._next().close()

    def _run(self) -> None:
        while True:
            waiting = self._wake.get()
            if waiting is not None:
                waiting.set()
            elif self._jobs:
                self._next().count()

    def _next(self) -> Job:
        self._current = job = self._jobs.popleft()
        return job


_free: deque[None] = deque([None] * BLOCKS)
_counter = Counter()


def counted_later(kept: Kept, finish: Finish) -> bool:
    """Hand over a stream without usage; False when too many wait already."""
    return _counter.take(kept, finish)


def finish_counts(timeout_s: float) -> None:
    _counter.finish(timeout_s)


def start_anew() -> None:
    """Leave to the parent of a fork what it had kept and queued."""
    global _free, _counter
    _free = deque([None] * BLOCKS)
    _counter = Counter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_anew)
