"""One logical call, all its retries included, and the span that tells of it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry.context import get_current
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span

from taximeter.answer import Answer, AttributeValue
from taximeter.endpoints import Endpoint, Server, endpoint_at, server_at
from taximeter.estimate import Kept, counted_later
from taximeter.guard import never_raise
from taximeter.origin import calling_function, route_of
from taximeter.settings import Settings
from taximeter.tags import current_tags
from taximeter.tokens import Counts

if TYPE_CHECKING:
    from taximeter.spans import OwnSpan, OwnTracer

_TEXT_HEADERS = {
    b"x-request-id": "taximeter.request.id",
    b"openai-project": "taximeter.openai.project",
    b"openai-organization": "taximeter.openai.organization",
}
_COUNT_HEADERS = {
    b"x-ratelimit-remaining-requests": "taximeter.ratelimit.remaining_requests",
    b"x-ratelimit-remaining-tokens": "taximeter.ratelimit.remaining_tokens",
}

_open_streams: set[Call] = set()
_abandoned: deque[Call] = deque()


class Call:
    """A call in flight. Knows no response object, so that an abandoned one can be collected."""

    __slots__ = (
        "_ended_ns",
        "_span",
        "_started",
        "answer",
        "api_type",
        "asked_usage",
        "attributes",
        "host",
        "kept",
        "streaming",
    )

    def __init__(self, span: Span | OwnSpan, api_type: str, host: str) -> None:
        self.api_type = api_type
        self.host = host
        self.asked_usage = False
        """The meter asked for the usage of this stream, and hides it from the app."""
        self.kept: Kept | None = None
        self.answer = Answer()
        self.attributes: dict[str, AttributeValue] = {}
        self.streaming = False
        self._span: Span | OwnSpan | None = span
        self._started = time.perf_counter()
        self._ended_ns: int | None = None

    def answered(self, response: Any, retries_taken: int) -> None:
        """Note what the head of the answer says."""
        self.attributes["taximeter.attempts"] = retries_taken + 1
        self._note_head(response)

    def stream_opened(self) -> None:
        self.streaming = True
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
        """End the span; only the first time counts."""
        span, self._span = self._span, None
        if span is None:
            return
        _open_streams.discard(self)
        kept, self.kept = self.kept, None
        if kept is not None and kept.wanted and not self.answer.has_usage:
            self._ended_ns = self._ended_ns or time.time_ns()
            if counted_later(kept, partial(self._end, span)):
                return
        if kept is not None:
            kept.drop()
        self._end(span)

    def _end(self, span: Span | OwnSpan, counts: Counts | None = None) -> None:
        with never_raise("ending a span"):
            attributes = self._final_attributes()
            if counts is not None:
                attributes["gen_ai.usage.input_tokens"] = counts.input
                attributes["gen_ai.usage.output_tokens"] = counts.output
                attributes["taximeter.usage.source"] = "estimated"
            span.set_attributes(attributes)
            if "error.type" in attributes:
                span.set_status(Status(StatusCode.ERROR))
            span.end(self._ended_ns)

    def forget(self) -> None:
        self._span = self.kept = None

    def _note_head(self, response: Any) -> None:
        self.attributes["http.response.status_code"] = response.status_code
        for key, value in response.headers.raw:
            key = key.lower()
            if name := _TEXT_HEADERS.get(key):
                self.attributes[name] = value.decode("utf-8", "replace")
            elif (name := _COUNT_HEADERS.get(key)) and value.isdigit():
                self.attributes[name] = int(value)

    def _final_attributes(self) -> dict[str, AttributeValue]:
        attributes, answer = self.attributes, self.answer
        attributes.update(answer.attributes)
        if reasons := answer.finish_reasons:
            attributes["gen_ai.response.finish_reasons"] = reasons
        if answer.failed and "error.type" not in attributes:
            # The SDK turns an error event of a stream into this exception.
            attributes["error.type"] = "APIError"
        status = attributes.get("http.response.status_code", 0)
        if answer.has_usage:
            attributes["taximeter.usage.source"] = "reported"
        elif not isinstance(status, int) or status < 300:
            attributes["taximeter.usage.source"] = "lost"
        return attributes


def begun(
    tracer: Tracer | OwnTracer, settings: Settings, client: Any, options: Any, *, stream: bool
) -> Call | None:
    """Start the span of a request; None when the request does not bill or is not recorded."""
    if options.method.lower() != "post" or (endpoint := endpoint_at(options.url)) is None:
        return None
    settle()
    server = _server_of(client, options.url)
    request = _request_attributes(endpoint, server, _parameters(options))
    if stream:
        request["gen_ai.request.stream"] = True
    parent = get_current()
    attributes = request | _tags(settings, get_current_span(parent))
    model = request.get("gen_ai.request.model")
    span = tracer.start_span(
        f"{endpoint.operation} {model}" if model else endpoint.operation,
        context=parent,
        kind=SpanKind.CLIENT,
        attributes=attributes,
    )
    return Call(span, endpoint.api_type, server.address) if span.is_recording() else None


def settle() -> None:
    """End the spans of streams that were dropped unread."""
    while _abandoned:
        _abandoned.popleft().end()


def end_open_streams() -> None:
    """End all that is still open, at exit."""
    settle()
    for call in list(_open_streams):
        call.end()


def forget_calls_of_parent() -> None:
    """Drop what a forked child inherited: the parent ends its own streams."""
    for call in _open_streams:
        call.forget()
    _open_streams.clear()
    _abandoned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_calls_of_parent)


def _server_of(client: Any, url: str) -> Server:
    if "://" in url:
        return server_at(url, azure=_is_azure(type(client)))
    # Writing out a URL costs more than all the rest of this; a client seldom changes its own.
    known = _servers.get(client)
    if known is None or known[0] is not client.base_url:
        server = server_at(str(client.base_url), azure=_is_azure(type(client)))
        known = _servers[client] = (client.base_url, server)
    return known[1]


_servers: WeakKeyDictionary[Any, tuple[Any, Server]] = WeakKeyDictionary()


def _is_azure(client: type) -> bool:
    return any(base.__name__ == "BaseAzureClient" for base in client.__mro__)


def _parameters(options: Any) -> Mapping[str, Any]:
    body = options.json_data if isinstance(options.json_data, Mapping) else {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if extra else body


def _request_attributes(
    endpoint: Endpoint, server: Server, parameters: Mapping[str, Any]
) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": endpoint.operation,
        "gen_ai.provider.name": server.provider,
        "openai.api.type": endpoint.api_type,
        "server.address": server.address,
    }
    if server.port is not None:
        attributes["server.port"] = server.port
    for key, name in _PARAMETERS:
        value = parameters.get(key)
        if isinstance(value, str) and value:
            attributes.setdefault(name, value)
    for key in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        if type(limit := parameters.get(key)) is int:
            attributes["gen_ai.request.max_tokens"] = limit
            break
    return attributes


_PARAMETERS = (
    ("model", "gen_ai.request.model"),
    ("service_tier", "openai.request.service_tier"),
    ("user", "user.id"),
    ("safety_identifier", "user.id"),
)


def _tags(settings: Settings, parent: Span) -> dict[str, AttributeValue]:
    tags: dict[str, AttributeValue] = {}
    if settings.team:
        tags["taximeter.team"] = settings.team
    tags.update(current_tags())
    if "taximeter.feature" not in tags:
        feature = settings.feature or route_of(parent) or calling_function()
        if feature:
            tags["taximeter.feature"] = feature
    return tags
