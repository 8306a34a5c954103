"""A loopback OTLP receiver that keeps the spans it was sent."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taximeter_api.demo.fake_openai import serving


class Receiver:
    def __init__(self) -> None:
        self.url = ""
        self.spans: list[dict[str, Any]] = []
        """The attributes of each span, in the order of arrival."""

    async def take(self, request: Request) -> Response:
        body = ExportTraceServiceRequest.FromString(gzip.decompress(await request.body()))
        self.spans += [
            {pair.key: _plain(pair.value) for pair in span.attributes}
            for group in body.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        return Response(media_type="application/x-protobuf")


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/v1/traces", receiver.take, methods=["POST"])])
    with serving(app) as url:
        receiver.url = url
        yield receiver
