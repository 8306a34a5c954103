"""OTLP requests taken apart without reading their spans, and spans written for the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import IO, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from taximeter_collector.otlp import Envelope, Window, texts_of_resource

SERVICE: Final = b"\xca\x3e"
ENVIRONMENT: Final = b"\xd2\x3e"
NUMBER: Final = b"\xd8\x3e"
"""The tags of the fields 1001 to 1003 of `store/incoming.proto`."""


def envelopes(body: bytes, window: Window) -> Iterator[Envelope]:
    """Yield the spans of a request."""
    for of_resource in _REQUEST.FromString(body).resource_spans:
        resource = _resource(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            scope = _scope(of_scope.scope)
            for raw in of_scope.spans:
                yield Envelope(resource, scope, raw, window)


def starts(body: bytes) -> list[int]:
    """Return the starts of the spans of a request in Unix nanoseconds, and read nothing else.

    Raises DecodeError for what `envelopes` raises it for, and for a span that is none.
    """
    found: list[int] = []
    for of_resource in _STARTS.FromString(body).resource_spans:
        _resource(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            _scope(of_scope.scope)
            found += [span.start for span in of_scope.spans]
    return found


def write_spans(file: IO[bytes], spans: Iterable[Envelope]) -> None:
    """Write a message of `store/incoming.proto` for each span, numbered from 0."""
    parts: list[bytes] = []
    added, added_of = b"", None
    for number, (resource, _, raw, _) in enumerate(spans):
        if resource is not added_of:
            added, added_of = _added(resource), resource
        end = NUMBER + varint(number)
        parts += (varint(len(raw) + len(added) + len(end)), raw, added, end)
    file.write(b"".join(parts))


@lru_cache(maxsize=256)
def _resource(raw: bytes) -> Mapping[str, Any]:
    return texts_of_resource(Resource.FromString(raw))


@lru_cache(maxsize=256)
def _scope(raw: bytes) -> str:
    return InstrumentationScope.FromString(raw).name


def _added(resource: Mapping[str, Any]) -> bytes:
    texts = (SERVICE, resource.get("service", "")), (ENVIRONMENT, resource.get("environment", ""))
    encoded = ((tag, text.encode()) for tag, text in texts)
    return b"".join(tag + varint(len(text)) + text for tag, text in encoded)


@lru_cache(maxsize=100_000)
def varint(number: int) -> bytes:
    sevens = bytearray()
    while number > 0x7F:
        sevens.append(number & 0x7F | 0x80)
        number >>= 7
    sevens.append(number)
    return bytes(sevens)


def _request(span: str) -> Any:
    """Return a request of OTLP that leaves resources, scopes and, as bytes, spans unread."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(json_format.ParseDict(_schema(span), descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Request"))


def _field(name: str, number: int, kind: str, label: str = "REPEATED") -> dict[str, Any]:
    type_ = {"type": f"TYPE_{kind}"} if kind.isupper() else {"typeName": f".{kind}"}
    return {"name": name, "number": number, "label": f"LABEL_{label}", **type_}


def _schema(span: str) -> dict[str, Any]:
    return {
        "name": "taximeter/envelope.proto",
        "syntax": "proto3",
        "messageType": [
            {"name": "Request", "field": [_field("resource_spans", 1, "ResourceSpans")]},
            {
                "name": "ResourceSpans",
                "field": [
                    _field("resource", 1, "BYTES", "OPTIONAL"),
                    _field("scope_spans", 2, "ScopeSpans"),
                ],
            },
            {
                "name": "ScopeSpans",
                "field": [_field("scope", 1, "BYTES", "OPTIONAL"), _field("spans", 2, span)],
            },
            {"name": "Started", "field": [_field("start", 7, "FIXED64", "OPTIONAL")]},
        ],
    }


_REQUEST, _STARTS = _request("BYTES"), _request("Started")
