"""OTLP requests taken apart without reading their spans, and spans written for the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import IO, Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from taximeter_collector import otlp

SERVICE: Final = b"\xca\x3e"
ENVIRONMENT: Final = b"\xd2\x3e"
NUMBER: Final = b"\xd8\x3e"
"""The tags of the fields 1001 to 1003 of `store/incoming.proto`."""


class Envelope(NamedTuple):
    """A span as it came, and what it came in."""

    resource: Mapping[str, Any]
    scope: str
    raw: bytes

    def opened(self) -> otlp.Sent:
        return otlp.Sent(self.resource, self.scope, Span.FromString(self.raw))


def envelopes(body: bytes) -> Iterator[Envelope]:
    """Yield the spans of a request."""
    for of_resource in _REQUEST.FromString(body).resource_spans:
        resource = _resource(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            scope = _scope(of_scope.scope)
            for raw in of_scope.spans:
                yield Envelope(resource, scope, raw)


def write_spans(file: IO[bytes], spans: Iterable[Envelope]) -> None:
    """Write a message of `store/incoming.proto` for each span, numbered from 0."""
    for number, one in enumerate(spans):
        service, environment = (one.resource.get(name, "") for name in ("service", "environment"))
        message = one.raw + _added(service, environment) + NUMBER + _varint(number)
        file.write(_varint(len(message)) + message)


@lru_cache(maxsize=256)
def _resource(raw: bytes) -> Mapping[str, Any]:
    return otlp.texts_of_resource(Resource.FromString(raw))


@lru_cache(maxsize=256)
def _scope(raw: bytes) -> str:
    return InstrumentationScope.FromString(raw).name


@lru_cache(maxsize=256)
def _added(service: str, environment: str) -> bytes:
    return b"".join(
        tag + _varint(len(text)) + text
        for tag, text in ((SERVICE, service.encode()), (ENVIRONMENT, environment.encode()))
    )


def _varint(number: int) -> bytes:
    sevens = bytearray()
    while number > 0x7F:
        sevens.append(number & 0x7F | 0x80)
        number >>= 7
    sevens.append(number)
    return bytes(sevens)


def _request_class() -> Any:
    """Return ExportTraceServiceRequest with resources, scopes and spans left as bytes."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="taximeter/envelope.proto", syntax="proto3")
    for message, fields in {
        "Request": (("resource_spans", 1, "ResourceSpans"),),
        "ResourceSpans": (("resource", 1, ""), ("scope_spans", 2, "ScopeSpans")),
        "ScopeSpans": (("scope", 1, ""), ("spans", 2, "")),
    }.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            is_one = name in ("resource", "scope")
            described.field.add(
                name=name,
                number=number,
                type=field.TYPE_MESSAGE if kind else field.TYPE_BYTES,
                type_name=f".{kind}" if kind else None,
                label=field.LABEL_OPTIONAL if is_one else field.LABEL_REPEATED,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Request"))


_REQUEST: Final = _request_class()
