"""One logical call, all its retries included, and the span that tells of it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Span,
    Status,
    StatusCode,
    set_span_in_context,
)

from taximeter.answer import Answer, AttributeValue
from taximeter.attempts import Attempts
from taximeter.attribution import Attribution
from taximeter.bounded import Bounded
from taximeter.estimate import Kept, counter
from taximeter.guard import never_raise

if TYPE_CHECKING:
    from taximeter.metrics import Metrics
    from taximeter.spans import OwnSpan

_MEDIA = "content-type"
_HEADERS = {
    b"content-type": _MEDIA,
    b"x-request-id": "taximeter.request.id",
    b"openai-project": "taximeter.openai.project",
    b"openai-organization": "taximeter.openai.organization",
    b"x-ratelimit-remaining-requests": "taximeter.ratelimit.remaining_requests",
    b"x-ratelimit-remaining-tokens": "taximeter.ratelimit.remaining_tokens",
}
_COUNTS = {
    "taximeter.ratelimit.remaining_requests",
    "taximeter.ratelimit.remaining_tokens",
}
_SUCCESS = {200, 201}
_BUDGETED = {"gen_ai.request.model", "taximeter.api_key"}
_NONE: Mapping[str, AttributeValue] = MappingProxyType({})

going_on: Bounded[str, Call] = Bounded(4096)
"""Calls whose work goes on after their answer, by the id under which it is asked for."""
_open_streams: set[Call] = set()
_abandoned: deque[Call] = deque()


@dataclass(slots=True, eq=False)
class Call:
    """A call in flight. Knows no response object, so that an abandoned one can be collected."""

    _span: Span | OwnSpan | None
    answer: Answer
    attribution: Attribution | None
    _request: Mapping[str, AttributeValue]
    _metrics: Metrics | None
    attempts: Attempts | None = None
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    kept: Kept | None = None
    media: bytes = b""
    asked_usage: bool = False
    """The meter asked for the usage of this stream, and hides it from the app."""
    goes_on: bool = False
    spends: bool = True
    """The request begins something that is billed, so that a budget may stop it."""
    streaming: bool = False
    _unsent: bool = False
    _started: float = field(default_factory=time.perf_counter)
    _ended_ns: int | None = None

    @property
    def api_type(self) -> str:
        return self.answer.api_type

    def tag(self, name: str) -> str:
        """Give what a budget may be about, as far as it is known before the request is sent."""
        if name in _BUDGETED:
            return str(self._request.get(name, ""))
        return self.attribution.value(name) if self.attribution else ""

    @property
    def host(self) -> str:
        return str(self._request.get("server.address", ""))

    def answered(self, response: Any, retries_taken: int) -> None:
        """Note what the head of the answer says."""
        self.attributes["taximeter.attempts"] = retries_taken + 1
        self._note_head(response)

    def stream_opened(self) -> None:
        self.streaming = True
        if self._span is not None:
            _open_streams.add(self)

    def first_chunk(self) -> None:
        elapsed_s = time.perf_counter() - self._started
        self.attributes["gen_ai.response.time_to_first_chunk"] = elapsed_s

    def body_ended(self) -> None:
        """Stop the clock: what follows is the SDK's parsing."""
        self._ended_ns = time.time_ns()

    def failed(self, error: BaseException) -> None:
        """End the span with the exception that the app is about to see."""
        with never_raise("noting a failed call"):
            self.attributes["error.type"] = type(error).__name__
            response = getattr(error, "response", None)
            if response is not None:
                self._note_head(response)
            request = getattr(error, "__dict__", {}).get("request")
            # The SDK's errors know their request; any other was raised before one was sent.
            sent = request is not None or response is not None or self.media or self.streaming
            self._unsent = isinstance(error, Exception) and (not sent or _found_nobody(error))
            if request is not None and "taximeter.attempts" not in self.attributes:
                retries = request.headers.get("x-stainless-retry-count", "")
                if retries.isdecimal():
                    self.attributes["taximeter.attempts"] = int(retries) + 1
        self.end()

    def abandon(self) -> None:
        """Queue an unread stream whose response was collected.

        The collector of garbage may run anywhere, also while this thread holds the exporter's
        lock, so the span is ended later, by the next call or at exit.
        """
        self.body_ended()
        _abandoned.append(self)

    def end(self) -> None:
        """End the span, unless the work goes on: then a later look at it does."""
        if self.goes_on and self._span is not None and self.answer.unfinished:
            _open_streams.discard(self)
            self._hold()
            return
        self.close()

    def close(self) -> None:
        """End the span; only the first time counts."""
        span, self._span = self._span, None
        if span is None:
            return
        _open_streams.discard(self)
        kept, self.kept = self.kept, None
        if kept is None or not self._counted_later(kept, span):
            self._end(span)

    def _counted_later(self, kept: Kept, span: Span | OwnSpan) -> bool:
        if self.answer.has_usage:
            kept.drop_events()
        self._ended_ns = self._ended_ns or time.time_ns()
        if kept.wanted and counter.take(kept, partial(self._end, span)):
            return True
        kept.drop()
        return False

    def _end(self, span: Span | OwnSpan, counts: Mapping[str, AttributeValue] = _NONE) -> None:
        with never_raise("ending a span"):
            attributes = self._final_attributes()
            attributes.update(counts)
            span.set_attributes(attributes)
            if "error.type" in attributes:
                span.set_status(Status(StatusCode.ERROR))
            span.end(self._ended_ns)
            if self._metrics is not None:
                self._metrics.record(self._request, attributes, self._duration_s())

    def _hold(self) -> None:
        other = going_on.put(self.answer.id, self)
        if other is not None and other is not self:
            other.close()

    def forget(self) -> None:
        self._span = self.kept = None

    def app_context(self) -> Context | None:
        """Give the context in which the app's own instrumentors find this span as their parent.

        A span of ours is unknown to the app's backend, where its children would be orphans.
        """
        return set_span_in_context(self._span) if isinstance(self._span, Span) else None

    def _duration_s(self) -> float:
        since_end_ns = 0 if self._ended_ns is None else time.time_ns() - self._ended_ns
        return time.perf_counter() - self._started - max(0, since_end_ns) / 1e9

    def _note_head(self, response: Any) -> None:
        self.attributes["http.response.status_code"] = response.status_code
        for key, value in response.headers.raw:
            if (name := _HEADERS.get(key.lower())) is None:
                continue
            if name is _MEDIA:
                self.media = value
            elif name not in _COUNTS:
                self.attributes[name] = value.decode("utf-8", "replace")
            elif value.isdigit():
                self.attributes[name] = int(value)

    def _final_attributes(self) -> dict[str, AttributeValue]:
        attributes, answer = self.attributes, self.answer
        if self.attribution is not None:
            attributes.update(self.attribution.attributes())
        status = attributes.get("http.response.status_code", 0)
        if answer.failed:
            # The SDK turns an error event of a stream into this exception.
            attributes.setdefault("error.type", "APIError")
        elif status in _SUCCESS and "error.type" not in attributes:
            answer.take_success()
        if self.attempts is not None:
            self.attempts.tell(attributes)
        attributes.update(answer.attributes)
        if reasons := answer.finish_reasons:
            attributes["gen_ai.response.finish_reasons"] = reasons
        if answer.has_usage:
            attributes["taximeter.usage.source"] = "reported"
        elif self._unsent:
            attributes["taximeter.usage.source"] = "none"
        elif self.spends and (not isinstance(status, int) or status < 300):
            attributes["taximeter.usage.source"] = "lost"
        return attributes


def settle() -> None:
    """End the spans of streams that were dropped unread."""
    while _abandoned:
        _abandoned.popleft().end()


def end_open_streams() -> None:
    """End all that is still open, at exit."""
    settle()
    for call in [*_open_streams, *going_on.clear()]:
        call.close()


def forget_calls_of_parent() -> None:
    """Drop what a forked child inherited: the parent ends its own streams."""
    for call in [*_open_streams, *going_on.clear()]:
        call.forget()
    _open_streams.clear()
    _abandoned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_calls_of_parent)


def _found_nobody(error: BaseException) -> bool:
    """Tell whether the connection was never made: the SDK wraps what the HTTP library says."""
    names = {type(one).__name__ for one in (error, error.__cause__)}
    return not names.isdisjoint({"ConnectError", "ConnectTimeout"})


current_call: ContextVar[Call | None] = ContextVar("taximeter_call", default=None)


class entered:  # noqa: N801 - reads as a sentence: `with entered(call):`
    """Make a call the current one; None hides an outer call from what is no part of it."""

    __slots__ = ("_call", "_outer", "_token")

    def __init__(self, call: Call | None) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._outer = current_call.get()
        current_call.set(self._call)
        context = None if self._call is None else self._call.app_context()
        self._token = None if context is None else attach(context)

    def __exit__(self, *_: object) -> None:
        current_call.set(self._outer)
        if self._token is not None:
            detach(self._token)
