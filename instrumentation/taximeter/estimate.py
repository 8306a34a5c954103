"""Counting tokens away from the app's threads: of streams that lost their usage, and of prompts.

Texts stay in this process: they are kept while their usage may still come, handed to the
counter when it did not, and dropped as soon as they are counted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any, Protocol

from taximeter.answer import Answer, AttributeValue
from taximeter.guard import never_raise
from taximeter.tokens import PROMPT_PARTS, counted, encoding_of, prompt_parts

BLOCK = 65_536
BLOCKS = 512
"""Together 32 MB: the most that is kept of all the calls of a process."""
LARGEST_PROMPT = 262_144
"""Bytes. Reading a larger request would hold the app's other threads up for milliseconds."""
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


def prompt_of(response: Any, api_type: str, answer: Answer) -> Prompt | None:
    """Keep a request whose parts are to be counted; None where they can't be."""
    if api_type not in PROMPT_PARTS or not has_tokenizer():
        return None
    try:
        request = response.request.content
        _counter.start()
    except RuntimeError:  # as above
        return None
    prompt = Prompt(api_type, request, answer)
    return prompt if len(request) <= LARGEST_PROMPT and prompt.reserve(len(request)) else None


class Held:
    """Texts of a call, as they were on the wire, while there is room for them."""

    def __init__(self, api_type: str, request: bytes, answer: Answer) -> None:
        self._api_type = api_type
        self._request = request
        self._answer = answer
        self._room = 0
        self._blocks = 0
        self.wanted = True

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

    def counts(self) -> Mapping[str, AttributeValue]:
        """Count, which takes its time; nothing where a true count can't be had."""
        raise NotImplementedError

    def drop(self) -> None:
        self.wanted = False
        self._request = b""
        blocks, self._blocks = self._blocks, 0
        # Appending and popping need no lock, which a collection of garbage could meet taken.
        _free.extend([None] * blocks)

    @property
    def _model(self) -> str:
        return str(self._answer.attributes.get("gen_ai.response.model", ""))


class Prompt(Held):
    def counts(self) -> Mapping[str, AttributeValue]:
        parts = prompt_parts(self._api_type, self._model, self._request)
        return {f"taximeter.request.{part}_tokens": tokens for part, tokens in parts.items()}


class Kept(Held):
    """Request and events of a stream."""

    def __init__(self, api_type: str, request: bytes, answer: Answer) -> None:
        super().__init__(api_type, request, answer)
        self._chunks: list[bytes] = []
        self._checked = False

    def add(self, chunk: bytes) -> None:
        if not self._checked:
            self._check_model()
        if self.wanted and self.reserve(len(chunk)):
            self._chunks.append(chunk)

    def counts(self) -> Mapping[str, AttributeValue]:
        if not self.wanted or not self._chunks:
            return {}
        counts = counted(self._api_type, self._model, self._request, b"".join(self._chunks))
        if counts is None:
            return {}
        return {
            "gen_ai.usage.input_tokens": counts.input,
            "gen_ai.usage.output_tokens": counts.output,
            "taximeter.usage.source": "estimated",
        }

    def drop(self) -> None:
        super().drop()
        self._chunks = []

    def _check_model(self) -> None:
        self._checked = bool(self._model)
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


Finish = Callable[[Mapping[str, AttributeValue]], None]


class Job:
    def __init__(self, held: Sequence[Held], finish: Finish) -> None:
        self._held = held
        self._finish = [finish]

    def count(self) -> None:
        counts: dict[str, AttributeValue] = {}
        for held in self._held:
            with never_raise("counting tokens"):
                counts.update(held.counts())
        self.close(counts)

    def close(self, counts: Mapping[str, AttributeValue] = MappingProxyType({})) -> None:
        """Finish with these counts; only the first time counts."""
        for held in self._held:
            held.drop()
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

    def take(self, held: Sequence[Held], finish: Finish) -> bool:
        if len(self._jobs) >= QUEUED:
            return False
        self._jobs.append(Job(held, finish))
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


def counted_later(held: Sequence[Held], finish: Finish) -> bool:
    """Hand over the texts of a call; False when too many wait already."""
    return _counter.take(held, finish)


def finish_counts(timeout_s: float) -> None:
    _counter.finish(timeout_s)


def start_anew() -> None:
    """Leave to the parent of a fork what it had kept and queued."""
    global _free, _counter
    _free = deque([None] * BLOCKS)
    _counter = Counter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_anew)
