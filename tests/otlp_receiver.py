"""A loopback OTLP receiver, which decodes what it takes and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taximeter_api.demo.fake_openai import serving

PROTOBUF = "application/x-protobuf"


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: threading.Event = field(default_factory=_set)
    """What the answer waits for."""


class Receiver:
    """Replies are given in turn, then the default repeats; what was answered 200 is kept."""

    def __init__(self) -> None:
        self.url = ""
        self.replies: list[Reply] = []
        self.default = Reply()
        self.attempts = 0
        self.taken: list[ExportTraceServiceRequest] = []
        self._more = threading.Condition()

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self._traces, methods=["POST"])])

    async def _traces(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        reply = self.replies.pop(0) if self.replies else self.default
        while not reply.after.is_set():
            await asyncio.sleep(0.01)
        with self._more:
            self.attempts += 1
            if reply.status == 200 and "text/html" not in reply.headers.values():
                self.taken.append(ExportTraceServiceRequest.FromString(body))
            self._more.notify_all()
        headers = {"content-type": PROTOBUF, **reply.headers}
        return Response(reply.body, reply.status, headers)

    def wait_for(self, spans: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.spans()) >= spans, timeout=60)

    def wait_for_attempts(self, attempts: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.attempts >= attempts, timeout=60)

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.taken
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def names(self) -> list[str]:
        return [span.name for span in self.spans()]

    def dropped(self) -> list[int]:
        """Give the counts of lost spans, in the order of the requests that told of them."""
        return [
            pair.value.int_value
            for request in self.taken
            for group in request.resource_spans
            for pair in group.resource.attributes
            if pair.key == "taximeter.dropped_spans"
        ]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(receiver.app()) as url:
        receiver.url = url
        yield receiver
