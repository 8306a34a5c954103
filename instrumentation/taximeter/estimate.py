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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any

from taximeter.answer import Answer, AttributeValue
from taximeter.guard import never_raise
from taximeter.tokens import CONVERSATIONS, counted, encoding_of, prompt_parts

BLOCK = 65_536
BLOCKS = 512
"""Together 32 MB: the most that is kept of all the calls of a process."""
LARGEST_PROMPT = 262_144
"""Bytes. Reading a larger request would hold the app's other threads up for milliseconds."""
QUEUED = 256

API_TYPES = {*CONVERSATIONS, "completions"}


@lru_cache(maxsize=1)
def has_tokenizer() -> bool:
    return importlib.util.find_spec("toktok") is not None


def kept_of(response: Any, api_type: str, answer: Answer, *, parts: bool = False) -> Kept | None:
    """Begin to keep what counting will need; None where nothing could be counted.

    With `parts` the prompt's parts are counted, too, unless it is too large for that.
    """
    if api_type not in API_TYPES or not has_tokenizer():
        return None
    try:
        request = response.request.content
        counter.start()
    except RuntimeError:  # a body that was streamed out; or no new threads, as at the exit
        return None
    parts = parts and api_type in CONVERSATIONS and len(request) <= LARGEST_PROMPT
    kept = Kept(api_type, request, answer, parts)
    return kept if kept.reserve(len(request)) else None


Finish = Callable[[Mapping[str, AttributeValue]], None]


@dataclass(slots=True, eq=False)
class Kept:
    """Request and events of a call, as they were on the wire, while there is room for them."""

    _api_type: str
    _request: bytes
    _answer: Answer
    _parts: bool = False
    _events: list[bytes] | None = field(default_factory=list)
    _checked: bool = False
    _room: int = 0
    _blocks: int = 0
    finish: list[Finish] = field(default_factory=list)
    """Who waits for the counts; the first to close takes it out."""

    @property
    def wanted(self) -> bool:
        return self._parts or bool(self._events)

    def add(self, event: bytes) -> None:
        if not self._checked:
            self._check_model()
        if self._events is not None and self.reserve(len(event)):
            self._events.append(event)

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
        counts: dict[str, AttributeValue] = {}
        request, events = self._request, self._events  # which may be dropped meanwhile
        if self._parts:
            with never_raise("counting the parts of a prompt"):
                parts = prompt_parts(self._api_type, self._model, request)
                counts.update((f"taximeter.request.{part}_tokens", n) for part, n in parts.items())
        if events:
            with never_raise("counting tokens"):
                usage = counted(self._api_type, self._model, request, b"".join(events))
                if usage is not None:
                    counts["gen_ai.usage.input_tokens"] = usage.input
                    counts["gen_ai.usage.output_tokens"] = usage.output
                    counts["taximeter.usage.source"] = "estimated"
        return counts

    def drop_events(self) -> None:
        self._events = None
        if not self._parts:
            self.drop()

    def drop(self) -> None:
        self._parts, self._events, self._request = False, None, b""
        blocks, self._blocks = self._blocks, 0
        # Appending and popping need no lock, which a collection of garbage could meet taken.
        _free.extend([None] * blocks)

    def close(self, counts: Mapping[str, AttributeValue] = MappingProxyType({})) -> None:
        """Finish with these counts."""
        self.drop()
        with contextlib.suppress(IndexError):
            self.finish.pop()(counts)

    @property
    def _model(self) -> str:
        return str(self._answer.attributes.get("gen_ai.response.model", ""))

    def _check_model(self) -> None:
        self._checked = bool(self._model)
        if self._checked and encoding_of(self._model) is None:
            self.drop_events()


class Counter:
    """One thread and its queue; each call is finished, also when there is no time to count."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        # Unlike a lock, this queue may be met by a collection of garbage in the midst of `put`.
        self._queue: SimpleQueue[Kept | threading.Event] = SimpleQueue()
        self._current: Kept | None = None
        self._started = False

    def start(self) -> None:
        if not self._started:
            threading.Thread(target=self._run, name="taximeter-counter", daemon=True).start()
            self._started = True

    def take(self, kept: Kept, finish: Finish) -> bool:
        if self._queue.qsize() >= QUEUED:
            return False
        kept.finish.append(finish)
        self._queue.put(kept)
        return True

    def finish(self, timeout_s: float) -> None:
        """Wait for the counts of what is queued; what is not counted in time stays lost."""
        if not self._started:
            return
        reached = threading.Event()
        self._queue.put(reached)
        if reached.wait(timeout_s):
            return
        if self._current is not None:
            self._current.close()
        with contextlib.suppress(Empty):
            while True:
                kept = self._queue.get_nowait()
                kept.set() if isinstance(kept, threading.Event) else kept.close()

    def _run(self) -> None:
        while True:
            kept = self._queue.get()
            if isinstance(kept, threading.Event):
                kept.set()
                continue
            self._current = kept
            kept.close(kept.counts())


_free: deque[None] = deque([None] * BLOCKS)
counter = Counter()


def start_anew() -> None:
    """Leave to the parent of a fork what it had kept and queued."""
    _free.clear()
    _free.extend([None] * BLOCKS)
    counter.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_anew)
