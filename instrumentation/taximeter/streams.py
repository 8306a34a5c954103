"""Reading along with a body that the app reads itself, whoever reads it and however far."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from taximeter.answer import HEAD, LARGE, Answer
from taximeter.call import Call
from taximeter.estimate import kept_of
from taximeter.guard import never_raise
from taximeter.hidden import hide_usage


def read(response: Any, call: Call, *, stream: bool = False) -> Any:
    """Read a body that has arrived, else follow how the app reads it.

    Gives what was parsed, None when that was not needed.
    """
    # Speech may be events, whatever the request's type.
    events = call.media.startswith(EVENT_STREAM)
    if stream or not response.is_closed:
        _observe(response, call, events=stream or events)
        return None
    call.body_ended()
    if events:
        reader = Events(call.answer)
        reader.feed(response.content)
        reader.finish()
        return None
    return None if call.media.startswith(_NO_TEXT) else call.answer.read(response.content)


def _observe(response: Any, call: Call, *, events: bool) -> None:
    """Follow the response's byte iterators and its close; the object stays the same."""
    if call.asked_usage:
        hide_usage(response, call.answer)
    if events and call.kept is None:
        call.kept = kept_of(response, call.api_type, call.answer)
    observer = Observer(call, Events(call.answer) if events else Body(call.answer))
    call.stream_opened()
    response.iter_bytes = observer.bytes_of(response.iter_bytes)
    response.aiter_bytes = observer.async_bytes_of(response.aiter_bytes)
    response.close = observer.closing(response.close)
    response.aclose = observer.async_closing(response.aclose)
    weakref.finalize(response, call.abandon).atexit = False


EVENT_STREAM = b"text/event-stream"
_NO_TEXT = (b"audio/", b"image/", b"video/", b"application/octet-stream")


class Observer:
    """Is around the reading of a body: what ends that ends the call."""

    def __init__(self, call: Call, reader: Events | Body) -> None:
        self._call = call
        self._reader = reader
        self._started = isinstance(reader, Body)
        self._inside = False

    def __enter__(self) -> None:
        self._inside = True

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end(None if isinstance(error, GeneratorExit) else error)

    def bytes_of(self, iter_bytes: Callable[..., Any]) -> Callable[..., Any]:
        feed = self._feed()

        def observed(chunk_size: int | None = None) -> Iterator[bytes]:
            with self:
                for chunk in iter_bytes(chunk_size):
                    if not self._started:
                        self._start()
                    feed(chunk)
                    self._inside = False
                    yield chunk
                    self._inside = True

        return observed

    def async_bytes_of(self, aiter_bytes: Callable[..., Any]) -> Callable[..., Any]:
        feed = self._feed()

        async def observed(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            with self:
                async with contextlib.aclosing(aiter_bytes(chunk_size)) as chunks:
                    async for chunk in chunks:
                        if not self._started:
                            self._start()
                        feed(chunk)
                        self._inside = False
                        yield chunk
                        self._inside = True

        return observed

    def closing(self, close: Callable[[], None]) -> Callable[[], None]:
        def closed() -> None:
            try:
                close()
            finally:
                self._closed()

        return closed

    def async_closing(self, aclose: Callable[[], Any]) -> Callable[[], Any]:
        async def closed() -> None:
            try:
                await aclose()
            finally:
                self._closed()

        return closed

    def _start(self) -> None:
        self._started = True
        self._call.first_chunk()

    def _closed(self) -> None:
        # httpx closes a body at its end, and only then gives out what it held back to fill a
        # chunk; the iterator ends the span when all has passed.
        if not self._inside:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        with never_raise("reading the end of a stream"):
            self._reader.finish()
        if error is None:
            self._call.end()
        else:
            self._call.failed(error)

    def _feed(self) -> Callable[[bytes], None]:
        feed, kept = self._reader.feed, self._call.kept
        if kept is None:
            return feed

        def feed_both(chunk: bytes) -> None:
            feed(chunk)
            kept.add(chunk)

        return feed_both


# Azure opens a stream with an event of empty id and model.
_HEADS = 3


class Events:
    """Server-sent events, which may be cut anywhere by the network."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._pending: list[bytes] = []
        self._heads = _HEADS
        self._usage, self._finish = b'"usage":{', b'"finish_reason":"'

    def feed(self, chunk: bytes) -> None:
        if self._pending or not chunk.endswith(b"\n"):
            end = chunk.rfind(b"\n") + 1
            if not end:
                self._pending.append(chunk)
                return
            block = b"".join([*self._pending, chunk[:end]])
            self._pending = [chunk[end:]] if end < len(chunk) else []
        else:
            block = chunk
        if self._heads or self._has_news(block):
            self._read(block)

    def finish(self) -> None:
        block, self._pending = b"".join(self._pending), []
        if self._has_news(block):
            self._read(block)

    def _has_news(self, text: bytes) -> bool:
        # Nearly all events only carry text; these three searches are all that they cost.
        return self._usage in text or self._finish in text or b'"error"' in text

    def _read(self, block: bytes) -> None:
        with never_raise("reading an event"):
            for line in block.split(b"\n"):
                if line.startswith(b"data:") and (self._heads or self._has_news(line)):
                    self._answer.read(line[5:])
                    self._note_head(line)

    def _note_head(self, line: bytes) -> None:
        after_first_key = line.split(b'"', 2)[-1]
        if after_first_key.startswith(b": "):  # a server that puts spaces into its JSON
            self._usage, self._finish = b'"usage": {', b'"finish_reason": "'
        known = "gen_ai.response.id" in self._answer.attributes
        self._heads = 0 if known else max(0, self._heads - 1)


class Body:
    """A plain body read in pieces; of a large one only its two ends are kept."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._body = bytearray()
        self._whole = True

    def feed(self, chunk: bytes) -> None:
        self._body += chunk
        if len(self._body) > 8 * LARGE:
            self._whole = False
            del self._body[HEAD:-LARGE]

    def finish(self) -> None:
        body, self._body = self._body, bytearray()
        if body:
            self._answer.read(body, whole=self._whole)
