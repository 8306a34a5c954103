"""Usage that the app did not ask for, taken out of the stream's bytes before it reads them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from taximeter.answer import Answer
from taximeter.guard import never_raise

LONGEST_EVENT = 4 * 1024 * 1024
"""Bytes. What grows longer without an end is shown as it is."""

# The quotes inside of a JSON string have backslashes, so a text never matches these.
_KEY = b'"usage"'
_LAST_MEMBER = re.compile(rb', ?"usage": ?null(?=(?:,"obfuscation":"[^"\\]*")?\}(?:\n\n|\r\n\r\n))')
_LAST = b',"usage":null}\n\n'
_NULL = re.compile(rb"\s*:\s*null")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_BLANKS = (b"\n\n", b"\n\r\n", b"\r\r")
_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)|(?<=\r\r)")


def hide_usage(response: Any, answer: Answer) -> None:
    """Show the app what the server would have sent unasked; the usage goes to the answer."""
    hidden = Hidden(answer)
    # Reading decoded bytes goes through the raw ones, but compressed ones can't be looked into.
    name = "iter_bytes" if response.headers.get("content-encoding") else "iter_raw"
    setattr(response, name, _shown(hidden, getattr(response, name)))
    setattr(response, f"a{name}", _async_shown(hidden, getattr(response, f"a{name}")))


class Hidden:
    """Server-sent events without usage: the extra event and the null that all others then have."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._held = bytearray()

    def shown(self, chunk: bytes) -> bytes:
        """Give what the app may see; an event that was cut is held back until it is whole."""
        # One event a chunk, as OpenAI sends them, has a path of its own: it is twice as fast.
        end = len(chunk) - len(_LAST)
        if chunk.find(_KEY) == end + 1 and chunk.endswith(_LAST) and not self._held:
            return chunk[:end] + b"}\n\n"
        if self._held or not chunk.endswith(b"\n\n"):
            chunk = self._whole_events(chunk)
        return self._clean(chunk) if _KEY in chunk else chunk

    def rest(self) -> bytes:
        """Give what is left at the end of the stream."""
        held, self._held = bytes(self._held), bytearray()
        return self._clean(held)

    def _whole_events(self, chunk: bytes) -> bytes:
        held = self._held
        start = max(0, len(held) - 2)
        held += chunk
        ends = [held.rfind(blank, start) + len(blank) for blank in _BLANKS if blank in held[start:]]
        end = max(ends, default=len(held) if len(held) > LONGEST_EVENT else 0)
        whole = bytes(held[:end])
        del held[:end]
        return whole

    def _clean(self, block: bytes) -> bytes:
        block = _LAST_MEMBER.sub(b"", block)
        if _KEY not in block:
            return block
        return b"".join(self._event(event) for event in _EVENT_END.split(block))

    def _event(self, event: bytes) -> bytes:
        if _KEY not in event:
            return event
        data = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
        try:
            chunk = json.loads(b"\n".join(data))
        except (ValueError, RecursionError):
            return event
        if not isinstance(chunk, dict):
            return event
        if chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict):
            with never_raise("reading usage"):
                self._answer.take(chunk)
            return b""
        return _without_null(event)


def _without_null(event: bytes) -> bytes:
    depth = 0
    for token in _TOKEN.finditer(event):
        if token[0] in b"{[":
            depth += 1
        elif token[0] in b"}]":
            depth -= 1
        elif depth == 1 and token[0] == _KEY and (null := _NULL.match(event, token.end())):
            return _without_member(event[: token.start()], event[null.end() :])
    return event


def _without_member(before: bytes, after: bytes) -> bytes:
    if before.rstrip().endswith(b","):
        return before.rstrip()[:-1] + after
    return before + after.lstrip().removeprefix(b",").lstrip()


def _shown(hidden: Hidden, iterate: Callable[[], Iterator[bytes]]) -> Callable[..., Any]:
    def shown(chunk_size: int | None = None) -> Iterator[bytes]:
        pieces = Pieces(chunk_size)
        with contextlib.closing(iterate()) as chunks:  # type: ignore[type-var]
            try:
                for chunk in chunks:
                    if chunk_size is not None:
                        yield from pieces.of(hidden.shown(chunk))
                    elif content := hidden.shown(chunk):
                        yield content
            except Exception:
                yield from pieces.of(hidden.rest())
                raise
        yield from pieces.of(hidden.rest())
        yield from pieces.left()

    return shown


def _async_shown(hidden: Hidden, iterate: Callable[[], Any]) -> Callable[..., Any]:
    async def shown(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        pieces = Pieces(chunk_size)
        async with contextlib.aclosing(iterate()) as chunks:
            try:
                async for chunk in chunks:
                    for piece in pieces.of(hidden.shown(chunk)):
                        yield piece
            except Exception:
                for piece in pieces.of(hidden.rest()):
                    yield piece
                raise
        for piece in [*pieces.of(hidden.rest()), *pieces.left()]:
            yield piece

    return shown


class Pieces:
    """Bytes in the size that the reader asked for."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._waiting = bytearray()

    def of(self, content: bytes) -> list[bytes]:
        if self._size is None:
            return [content] if content else []
        waiting, size = self._waiting, self._size
        waiting += content
        end = len(waiting) - len(waiting) % size
        pieces = [bytes(waiting[start : start + size]) for start in range(0, end, size)]
        del waiting[:end]
        return pieces

    def left(self) -> list[bytes]:
        return [bytes(self._waiting)] if self._waiting else []
