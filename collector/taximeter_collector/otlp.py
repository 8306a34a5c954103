"""Decode OTLP: spans of the wire contract become calls. Pure: no clock, no client, no log."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from taximeter_collector.calls import Call, Loss, Usage, UsageSource
from taximeter_collector.contract import (
    ATTEMPT_STATUSES,
    ATTEMPT_WAITS,
    FINISH_REASONS,
    LOST,
    METER,
    NO_RULE,
    OWN_IDS,
    RESOURCE,
    RESPONSE_ID,
    RULES,
    TAG,
    TIME_TO_FIRST_CHUNK,
    USAGE_SOURCE,
    Kind,
)
from taximeter_collector.dialects import in_our_words
from taximeter_collector.labels import label

AHEAD: Final = timedelta(hours=1)

SCALARS: Final = frozenset({"string_value", "bool_value", "int_value", "double_value"})
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICRO: Final = Decimal("0.000001")
SOURCES: Final = {source.value: source for source in UsageSource}
MOST_TAGS: Final = 32
LABELS: Final = (str, int, float)
"""Types of what is kept as a label; a boolean is an int."""
known_label = lru_cache(maxsize=4096)(label)
"""Most values come again and again."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """The accepted time of a call's start."""

    start: datetime
    end: datetime

    @classmethod
    def at(cls, now: datetime, retention: timedelta) -> Window:
        return cls(now - retention, now + AHEAD)

    def refusal(self, moment: datetime) -> str | None:
        if moment < self.start:
            return f"older than the retention, which begins {self.start:%Y-%m-%d}"
        if moment >= self.end:
            return "more than an hour ahead of the collector's clock"
        return None


def refusals(starts: Iterable[int], window: Window) -> Counter[str]:
    """Count the starts, in Unix nanoseconds, outside the accepted time, by reason."""
    millisecond = 1_000_000
    inside = range(_nanoseconds(window.start) + millisecond, _nanoseconds(window.end) - millisecond)
    reasons = (window.refusal(_moment(start)) for start in starts if start not in inside)
    return Counter(reason for reason in reasons if reason)


class Envelope(NamedTuple):
    """A span as it came, what it came in, and the time that was accepted then."""

    resource: Mapping[str, Any]
    """What the resource says of every call of it."""
    scope: str
    """The name of its instrumentation."""
    raw: bytes
    window: Window


def texts_of_resource(resource: Resource) -> Mapping[str, Any]:
    """Return what a resource says of every call of it."""
    return _texts(RESOURCE, _values(resource.attributes))


def call_of(envelope: Envelope) -> Call | None:
    """Return the call that a span tells of; None for other spans and outside the accepted time."""
    span = Span.FromString(envelope.raw)
    ts = _moment(span.start_time_unix_nano)
    if envelope.window.refusal(ts) is not None:
        return None
    values = in_our_words(envelope.scope, span, _values(span.attributes))
    return None if values is None else _call(ts, span, envelope.resource, values)


def losses(body: bytes, window: Window) -> Iterator[Loss]:
    """Yield what the senders of a request say they could not deliver before.

    Raises DecodeError where a span of it is broken.
    """
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _values(of_resource.resource.attributes)
        spans = _count(resource.get(LOST), 2**32)
        first = next((one for scope in of_resource.scope_spans for one in scope.spans), None)
        if not spans or first is None:
            continue
        told_at = _moment(first.start_time_unix_nano)
        if window.refusal(told_at) is None:
            told_by = f"{first.trace_id.hex()}/{first.span_id.hex()}"
            texts = _texts(RESOURCE, resource)
            yield Loss(told_at=told_at, told_by=told_by, spans=spans, **texts)


def _call(ts: datetime, span: Span, resource: Mapping[str, Any], values: Values) -> Call:
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    columns: dict[str, Any] = {}
    tokens: dict[str, int] = {}
    meters: dict[str, Any] = {}
    tags: dict[str, str] = {}
    are_counts = True
    for key, value in values.items():
        kind, name, below = RULES.get(key, NO_RULE)
        if kind is Kind.TEXT:
            if isinstance(value, LABELS):
                # As text, since to the cache 1, 1.0 and True are one value.
                columns[name] = known_label(str(value))
        elif kind is Kind.TOKENS:
            tokens[name] = value
            are_counts = are_counts and _count(value, below) is not None
        elif kind is Kind.COUNT:
            columns[name] = _count(value, below)
        elif kind is Kind.FLAG:
            if isinstance(value, bool):
                columns[name] = value
        elif key.startswith(METER):
            meters[label(key.removeprefix(METER))] = value
        elif key.startswith(TAG) and isinstance(value, LABELS):
            tags[label(key.removeprefix(TAG))] = label(value)
    columns.setdefault("model", columns.get("request_model", ""))
    nanoseconds = span.end_time_unix_nano - span.start_time_unix_nano
    return Call(
        ts=ts,
        call_id=_response_id(values) or (f"{trace_id}/{span_id}" if span_id else _digest(span)),
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=span.parent_span_id.hex(),
        finish_reason=",".join(
            sorted({label(reason) for reason in _strings(values, FINISH_REASONS)})
        ),
        attempt_statuses=tuple(one for one in _numbers(values, ATTEMPT_STATUSES) if _is(one, int)),
        attempt_waits_ms=tuple(map(_milliseconds, _numbers(values, ATTEMPT_WAITS))),
        duration_ms=min(max(0, nanoseconds) // 1_000_000, 2**32 - 1),
        ttft_ms=next(map(_milliseconds, _numbers(values, TIME_TO_FIRST_CHUNK)), None),
        usage=_usage(values.get(USAGE_SOURCE), tokens if are_counts else None, meters),
        tags=dict(sorted(tags.items())[:MOST_TAGS]) if tags else tags,
        **resource,
        **columns,
    )


def _digest(span: Span) -> str:
    return hashlib.sha256(span.SerializeToString(deterministic=True)).hexdigest()[:32]


def _response_id(values: Values) -> str:
    response_id = values.get(RESPONSE_ID)
    server = values.get("server.address", "api.openai.com")
    if _is(response_id, str) and isinstance(server, str) and server.endswith(OWN_IDS):
        return label(response_id)
    return ""


def _usage(source: Any, tokens: Mapping[str, int] | None, meters: Mapping[str, Any]) -> Usage:
    """Return the quantities; `tokens` is None where one of them is no count."""
    if tokens is None or not all(
        _is(amount, (int, float)) and 0 <= amount < 1e9 for amount in meters.values()
    ):
        return Usage(source=UsageSource.INVALID)
    if not isinstance(source, str) or source not in SOURCES:
        source = UsageSource.REPORTED if tokens or meters else UsageSource.LOST
    exact = {name: Decimal(str(amount)).quantize(MICRO) for name, amount in meters.items()}
    return Usage(source=SOURCES[source], meters=exact, **tokens)


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for attribute in attributes:
        value = attribute.value
        kind = value.WhichOneof("value")
        values[attribute.key] = getattr(value, kind) if kind in SCALARS else _other(value, kind)
    return values


def _other(value: AnyValue, kind: str | None) -> Any:
    if kind == "array_value":
        several = value.array_value.values
        kinds = [(one, one.WhichOneof("value")) for one in several]
        return [getattr(one, kind) for one, kind in kinds if kind in SCALARS]
    return None


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Tell whether an attribute has the type of the contract; a bool is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _count(value: Any, below: int) -> int | None:
    return value if _is(value, int) and 0 <= value < below else None


def _texts(columns: Mapping[str, str], values: Values) -> dict[str, Any]:
    return {
        name: label(values[key])
        for key, name in columns.items()
        if isinstance(values.get(key), LABELS)
    }


def _strings(values: Values, key: str) -> list[str]:
    several = values.get(key)
    return [one for one in several if _is(one, str)] if isinstance(several, list) else []


def _numbers(values: Values, key: str) -> list[Any]:
    value = values.get(key)
    if value is None:
        return []
    several: list[Any] = value if isinstance(value, list) else [value]
    return [one for one in several if _is(one, (int, float)) and 0 <= one < 2**16]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def _moment(unix_nano: int) -> datetime:
    # Milliseconds are what the table keeps; a float would lose some.
    return EPOCH + timedelta(milliseconds=unix_nano // 1_000_000)
