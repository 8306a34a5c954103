"""Spans that the engine decodes and prices by itself, many times faster than Python.

Only what is plain is left to it: calls of our own instrumentation that are nothing but text, with
reported usage, labels of plain signs and a rate card for each. Its rules are the tables of
`contract` and the cards of the price book; what needs another rule stays for Python, by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

from taximeter_collector import contract
from taximeter_collector.labels import LONGEST, PLAIN

SCHEMA: Final = files(__package__).joinpath("incoming.proto")
STRUCTURE: Final = (
    "trace_id String, span_id String, parent_span_id String, start UInt64, end UInt64, "
    "attributes Nested(key String, value Tuple(string_value String, bool_value Bool, "
    "int_value Int64, double_value Float64, "
    "array_value Tuple(values Nested("
    "string_value String, int_value Int64, double_value Float64)))), "
    "service String, environment String, number UInt32"
)
MOST_TOKENS: Final = 100_000_000
TEXT_TOKENS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def _of(array: str, key: str) -> str:
    return f"{array}[indexOf(keys, '{key}')]"


def _or_null(array: str, key: str) -> str:
    return f"arrayElementOrNull({array}, indexOf(keys, '{key}'))"


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _columns() -> Mapping[str, str]:
    """Return the SQL of each column that comes from an attribute."""
    columns = {name: _of("texts", key) for key, name in contract.TEXTS.items()}
    columns["model"] = (
        f"if(has(keys, 'gen_ai.response.model'), {columns['model']}, {columns['request_model']})"
    )
    for key, (name, below) in contract.COUNTS.items():
        bits = below.bit_length() - 1
        columns[name] = f"accurateCastOrNull({_or_null('wholes', key)}, 'UInt{bits}')"
    columns |= {
        name: _of("wholes", key) for key, name in contract.TOKENS.items() if name in TEXT_TOKENS
    }
    columns |= {name: _of("flags", key) for key, name in contract.FLAGS.items()}
    columns["timeout_set"] = _or_null("flags", "taximeter.request.timeout_set")
    return columns


OF_ATTRIBUTES: Final = _columns()
OTHER_TOKENS: Final = [key for key, name in contract.TOKENS.items() if name not in TEXT_TOKENS]
INSERTED: Final[Mapping[str, str]] = {
    **{name: name for name in OF_ATTRIBUTES},
    **{
        name: name
        for name in (
            "ts",
            "call_id",
            "trace_id",
            "span_id",
            "parent_span_id",
            "finish_reason",
            "attempt_statuses",
            "attempt_waits_ms",
            "duration_ms",
            "ttft_ms",
            "service",
            "environment",
            "rate_card",
            "price_input",
            "price_cached_input",
            "price_cache_write",
            "price_output",
        )
    },
    "usage_source": "'reported'",
    "cost": "(input_tokens - cached_input_tokens - cache_write_tokens) * price_input"
    " + cached_input_tokens * price_cached_input"
    " + cache_write_tokens * price_cache_write + output_tokens * price_output",
    "cost_status": "'exact'",
    "revision": "{revision:UInt64}",
    "book_version": "{book_version:String}",
    "ingested_at": "{now:DateTime64(3, 'UTC')}",
}


def _decoded() -> str:
    whole_keys = [*contract.COUNTS, *contract.TOKENS]
    answer, server = contract.RESPONSE_ID, "server.address"
    first_chunk = contract.TIME_TO_FIRST_CHUNK
    is_own = " or ".join(f"endsWith({_of('texts', server)}, '{end}')" for end in contract.OWN_IDS)
    plain_signs = PLAIN.pattern.removesuffix("*").replace("[", "[^", 1).replace("\\", "\\\\")
    # All that is asked of each key, in one pass over them.
    refused = (
        f"startsWith(key, '{contract.METER}') or startsWith(key, '{contract.TAG}')"
        f" or key in ({_list([*contract.TEXTS])}) and value.1 = ''"
        f" or key in ({_list(whole_keys)}) and (value.1 != '' or value.2 or value.4 != 0)"
        f" or key in ({_list([*contract.TOKENS])}) and (value.3 < 0 or value.3 > {MOST_TOKENS})"
        f" or key in ({_list([*OTHER_TOKENS, first_chunk])}) and value.3 != 0"
    )
    conditions = [
        f"not match(concat(arrayStringConcat(texts, ' '), finish_reason), '{plain_signs}')",
        f"arrayMax(text -> length(text), texts) <= {LONGEST}",
        f"length(finish_reason) <= {LONGEST}",
        "not has(reasons, '')",
        "arrayUniq(keys) = length(keys)",
        f"not arrayExists((key, value) -> {refused}, keys, values)",
        "not arrayExists(one -> one.1 != '' or one.3 != 0"
        " or one.2 < 0 or one.2 >= 65536, statuses)",
        "not arrayExists(one -> one.1 != '' or one.2 + one.3 < 0 or one.2 + one.3 >= 65536, waits)",
        "'' not in (span_id, operation, model)",
        f"{_of('texts', contract.USAGE_SOURCE)} = 'reported'",
        "cached_input_tokens + cache_write_tokens <= input_tokens",
        "reasoning_tokens <= output_tokens",
        "(http_status is null or http_status < 400)",
        "(ttft_s is null or ttft_s >= 0 and ttft_s < 65536)",
    ]
    columns = [f"{sql} as {name}" for name, sql in OF_ATTRIBUTES.items()]
    return f"""
        with
            attributes.key as keys,
            attributes.value as values,
            tupleElement(values, 'string_value') as texts,
            tupleElement(values, 'int_value') as wholes,
            tupleElement(values, 'bool_value') as flags,
            tupleElement(tupleElement(values, 'array_value'), 'values') as several,
            {_or_null("tupleElement(values, 'double_value')", first_chunk)} as ttft_s,
            tupleElement({_of("several", contract.FINISH_REASONS)}, 'string_value') as reasons,
            {_of("several", contract.ATTEMPT_STATUSES)} as statuses,
            {_of("several", contract.ATTEMPT_WAITS)} as waits
        select
            {", ".join(columns)},
            lower(hex(spans.trace_id)) as trace_id,
            lower(hex(spans.span_id)) as span_id,
            lower(hex(spans.parent_span_id)) as parent_span_id,
            fromUnixTimestamp64Milli(toInt64(intDiv(start, 1000000)), 'UTC') as ts,
            toDate(ts) as day,
            least(intDiv(greatest(end, start) - start, 1000000), 4294967295) as duration_ms,
            toInt64(round(ttft_s * 1000)) as ttft_ms,
            arrayMap(one -> toUInt16(one.2), statuses) as attempt_statuses,
            arrayMap(one -> toUInt32(round((one.2 + one.3) * 1000)), waits) as attempt_waits_ms,
            arrayStringConcat(arraySort(arrayDistinct(reasons)), ',') as finish_reason,
            if({_of("texts", answer)} != '' and (not has(keys, '{server}') or {is_own}),
               {_of("texts", answer)}, concat(trace_id, '/', span_id)) as call_id,
            spans.service as service,
            spans.environment as environment,
            number,
            {" and ".join(conditions)} as is_plain
    """


DECODED: Final = _decoded()
"""A select of what spans say, from a table of them that is called `spans`."""
