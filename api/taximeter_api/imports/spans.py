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
from taximeter_collector.dialects import OURS, PROVIDERS, REFUSALS, STATUS

TRACE_ID: Final = re.compile(r"[0-9a-fA-F]{32}")
YES: Final = ("true", "1", "yes", "t")
INPUT: Final = "gen_ai.usage.input_tokens"
OUTPUT: Final = "gen_ai.usage.output_tokens"
ERROR: Final = "error.type"
MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model")
PRICED_APART: Final = {
    "image": "gen_ai.usage.image.output_tokens",
    "audio": "gen_ai.usage.audio.input_tokens",
    "realtime": "gen_ai.usage.audio.input_tokens",
    "transcribe": "gen_ai.usage.audio.input_tokens",
    "tts": "gen_ai.usage.audio.output_tokens",
}
"""What must be told of a model with such a word in its name: it costs several times more."""
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
    return _has_each(row, fields.only)


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
        start_time_unix_nano=nanoseconds(start),
        end_time_unix_nano=nanoseconds(_end(row, fields, start)),
        attributes=[attribute(name, value) for name, value in values.items()],
    )


def _values(row: Row, fields: Fields) -> dict[str, Any]:
    values: dict[str, Any] = dict(fields.constants)
    for name, paths in fields.attributes.items():
        value = _typed(name, _first(row, paths))
        if value is not None:
            values[name] = value
    _tell_failure(row, fields, values)
    values[contract.USAGE_SOURCE] = _usage_source(row, fields, values)
    return values


def _tell_failure(row: Row, fields: Fields, values: dict[str, Any]) -> None:
    """Give a call that failed what makes it an error, and the status where its class implies it."""
    if any(_has(row, path, several) for path, several in fields.failed.items()):
        values.setdefault(ERROR, "_OTHER")
    status = REFUSALS.get(str(values.get(ERROR)).rpartition(".")[2])
    # LiteLLM calls a lost connection an InternalServerError too: that may have been billed.
    if status is not None and status < 500:
        values.setdefault(STATUS, status)
    if values.get(STATUS, 0) >= 400:
        values.setdefault(ERROR, str(values[STATUS]))


def _usage_source(row: Row, fields: Fields, values: Mapping[str, Any]) -> str:
    """Return `lost` where what the row tells is not the whole bill: unknown is never $0."""
    total = _typed(INPUT, _first(row, fields.total))
    told = values.get(INPUT, 0) + values.get(OUTPUT, 0)
    model = next((values[name] for name in MODELS if name in values), "")
    if (
        not told
        # Helicone's own codes, like -3 for a caller who went away before the answer's end.
        or values.get(STATUS, 200) < 100
        or total not in (None, told)
        or not _has_each(row, fields.metered)
        or any(word in model and name not in values for word, name in PRICED_APART.items())
    ):
        return "lost"
    is_guess = any(_typed(INPUT, value_at(row, path)) for path in fields.ambiguous)
    return "estimated" if is_guess else "reported"


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
    if name == "gen_ai.provider.name":
        return PROVIDERS.get(str(value).lower(), str(value).lower())
    return str(value)


def _has_each(row: Row, wanted: Mapping[str, Iterable[str]]) -> bool:
    return all(_has(row, path, values) for path, values in wanted.items())


def _has(row: Row, path: str, values: Iterable[str]) -> bool:
    return str(value_at(row, path)) in values


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


def nanoseconds(moment: datetime) -> int:
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
