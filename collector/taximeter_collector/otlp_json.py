"""OTLP in JSON, which differs from protobuf's own JSON: ids are hexadecimal.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


class MalformedRequest(ValueError):
    """The body is not an OTLP trace request; sending it again can't help."""


def as_protobuf(body: bytes) -> bytes:
    """Return the same request in protobuf; raises MalformedRequest."""
    try:
        content = json.loads(body)
        for span in _spans(content):
            for name in IDS:
                if name in span:
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        message = json_format.ParseDict(
            content, ExportTraceServiceRequest(), ignore_unknown_fields=True
        )
    except (ValueError, TypeError, AttributeError, RecursionError, json_format.ParseError) as error:
        reason = str(error).partition("\n")[0]
        raise MalformedRequest(f"the body is not OTLP in JSON: {reason}") from error
    return message.SerializeToString()


def _spans(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for of_resource in _either(content, "resourceSpans", "resource_spans"):
        for of_scope in _either(of_resource, "scopeSpans", "scope_spans"):
            for span in of_scope.get("spans", []):
                yield span
                yield from span.get("links", [])


def _either(content: dict[str, Any], name: str, other: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content.get(name) or content.get(other) or []
    return found
