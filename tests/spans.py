"""OTLP requests as an app sends them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from builders import NOON

CHAT: Mapping[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "server.address": "api.openai.com",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}


def value(plain: Any) -> AnyValue:
    if isinstance(plain, bool):
        return AnyValue(bool_value=plain)
    if isinstance(plain, int):
        return AnyValue(int_value=plain)
    if isinstance(plain, float):
        return AnyValue(double_value=plain)
    if isinstance(plain, list):
        return AnyValue(array_value=ArrayValue(values=[value(one) for one in plain]))
    return AnyValue(string_value=plain)


def span(
    attributes: Mapping[str, Any] | None = None,
    *,
    start: datetime = NOON,
    milliseconds: int = 800,
    span_id: int = 1,
    **more: Any,
) -> Span:
    """Build a span of a plain chat call; `attributes` are added, None takes one away."""
    nanoseconds = round(start.timestamp()) * 1_000_000_000
    merged = {**CHAT, **(attributes or {}), **more}
    return Span(
        trace_id=bytes(15) + b"\x07",
        span_id=span_id.to_bytes(8, "big"),
        name="chat gpt-4o",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=nanoseconds,
        end_time_unix_nano=nanoseconds + milliseconds * 1_000_000,
        attributes=[
            KeyValue(key=key, value=value(plain))
            for key, plain in merged.items()
            if plain is not None
        ],
    )


def request(
    *spans: Span, resource: Mapping[str, Any] | None = None, scope: str = ""
) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    of_resource = message.resource_spans.add()
    for key, plain in (resource or {"service.name": "webapp"}).items():
        of_resource.resource.attributes.append(KeyValue(key=key, value=value(plain)))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = scope
    of_scope.spans.extend(spans)
    return message
