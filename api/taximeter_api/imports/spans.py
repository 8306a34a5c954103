"""Rows of an export as the spans that our own instrumentation would have sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from taximeter_api.imports.mapping import Fields
from taximeter_api.imports.rows import ImportRefused, Row, value_at
from taximeter_collector import contract
from taximeter_collector.contract import Kind
from taximeter_collector.dialects import OURS

TRACE_ID: Final = re.compile(r"[0-9a-fA-F]{32}")
YES: Final = ("true", "1", "yes", "t")
SECONDS_BEFORE: Final = 100_000_000_000
"""A larger number counts milliseconds: in seconds it is the year 5138."""


def request_of(rows: Iterable[Row], fields: Fields) -> ExportTraceServiceRequest:
    """Return the rows as one request; raises ImportRefused."""
    request = ExportTraceServiceRequest()
    by_resource: dict[tuple[str, ...], Any] = {}
    for row in rows:
        values = _values(row, fields)
        resource = tuple(str(values.pop(name, "")) for name in contract.RESOURCE)
        if resource not in by_resource:
            of_resource = request.resource_spans.add()
            of_resource.resource.attributes.extend(
                attribute(name, text)
                for name, text in zip(contract.RESOURCE, resource, strict=True)
                if text
            )
            by_resource[resource] = of_resource.scope_spans.add()
            by_resource[resource].scope.name = OURS
        by_resource[resource].spans.append(_span(row, fields, values))
    return request


def is_wanted(row: Row, fields: Fields) -> bool:
    return all(str(value_at(row, path)) in values for path, values in fields.only.items())


def start_of(row: Row, fields: Fields) -> datetime:
    """Return when the call began; raises ImportRefused."""
    value = _first(row, fields.time)
    moment = _moment(value)
    if moment is None:
        where = " or ".join(fields.time)
        raise ImportRefused(f"{where}: {value!r}; give an ISO date and time, or Unix seconds")
    return moment


def _span(row: Row, fields: Fields, values: Mapping[str, Any]) -> Span:
    id_ = _first(row, fields.id)
    if id_ is None:
        raise ImportRefused(f"{' or '.join(fields.id)}: nothing; every row needs its id")
    start = start_of(row, fields)
    trace = str(_first(row, fields.trace_id) or id_)
    is_trace_id = TRACE_ID.fullmatch(trace)
    return Span(
        trace_id=bytes.fromhex(trace) if is_trace_id else _digest(trace, 16),
        span_id=_digest(str(id_), 8),
        name=str(values.get("gen_ai.operation.name", "chat")),
        start_time_unix_nano=_nanoseconds(start),
        end_time_unix_nano=_nanoseconds(_end(row, fields, start)),
        attributes=[attribute(name, value) for name, value in values.items()],
    )


def _values(row: Row, fields: Fields) -> dict[str, Any]:
    values: dict[str, Any] = dict(fields.constants)
    for name, paths in fields.attributes.items():
        value = _typed(name, _first(row, paths))
        if value is not None:
            values[name] = value
    has_usage = any(name in values for name in contract.TOKENS)
    values.setdefault(contract.USAGE_SOURCE, "reported" if has_usage else "lost")
    return values


def _typed(name: str, value: Any) -> Any:
    if value is None:
        return None
    kind, *_ = contract.RULES.get(name, contract.NO_RULE)
    try:
        if kind in (Kind.TOKENS, Kind.COUNT):
            return round(float(value))
        if name == contract.TIME_TO_FIRST_CHUNK:
            return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ImportRefused(f"{name}: {value!r} is no number") from None
    if kind is Kind.FLAG:
        return str(value).lower() in YES
    return str(value)


def _first(row: Row, paths: Iterable[str]) -> Any:
    return next((value for path in paths if (value := _sum(row, path)) is not None), None)


def _sum(row: Row, path: str) -> Any:
    if " + " not in path:
        return value_at(row, path)
    values = [value_at(row, one.strip()) for one in path.split(" + ")]
    found = [value for value in values if value is not None]
    try:
        return sum(map(float, found)) if found else None
    except (TypeError, ValueError):
        return found


def _moment(value: Any) -> datetime | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = None
    try:
        if number is not None:
            return datetime.fromtimestamp(number / (1000 if number > SECONDS_BEFORE else 1), UTC)
        moment = datetime.fromisoformat(str(value).removesuffix(" UTC"))
    except (ValueError, OverflowError, OSError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _end(row: Row, fields: Fields, start: datetime) -> datetime:
    milliseconds = _first(row, fields.duration_ms)
    if milliseconds is None:
        return max(start, _moment(_first(row, fields.end)) or start)
    try:
        return start + timedelta(milliseconds=max(0.0, float(milliseconds)))
    except (TypeError, ValueError, OverflowError):
        where = " or ".join(fields.duration_ms)
        raise ImportRefused(f"{where}: {milliseconds!r} is no number of milliseconds") from None


def _nanoseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _digest(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


def attribute(name: str, value: Any) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=name, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=name, value=AnyValue(double_value=value))
    return KeyValue(key=name, value=AnyValue(string_value=value))
