"""What the spans of any dialect say of one call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from situations import Bill

# By name first; where a peer only records the answer whole, its fields are looked up in there.
NAMES: dict[str, tuple[str, ...]] = {
    "model": (
        "gen_ai.response.model",
        "langfuse.observation.model.name",
        "llm.model_name",
        "embedding.model_name",
        "model",
        "gen_ai.request.model",
    ),
    "input": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "prompt_tokens",
        "input_tokens",
        "input",
    ),
    "cached": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
        "cached_tokens",
        "input_cached_tokens",
    ),
    "output": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "completion_tokens",
        "output_tokens",
        "output",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "reasoning_tokens",
        "output_reasoning_tokens",
    ),
    "tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "gen_ai.response.service_tier",
        "service_tier",
    ),
}
USAGE_OBJECTS = (
    "gen_ai.usage.raw",
    "langfuse.observation.usage_details",
    "langfuse.observation.model.parameters",
)
COPIES = ("output.value", "response_data", "llm.invocation_parameters")
"""The request or the answer as a whole, which an app that keeps text out has to switch off."""


def faults(spans: list[Any], bill: Bill, *, copies: bool) -> list[str]:
    """Name each field of the bill that the spans get wrong."""
    objects = (*USAGE_OBJECTS, *(COPIES if copies else ()))
    told = [_said(span, objects) for span in spans]
    priced = [one for one in told if one["input"] or one["output"]]
    if len(priced) > 1:
        return ["counted twice"]
    return min((_faults(one, bill) for one in priced or told), key=len, default=["no span"])


def _faults(told: Mapping[str, Any], bill: Bill) -> list[str]:
    wrong = [f"{field} {told[field]!r}" for field in NAMES if not _right(field, told[field], bill)]
    return wrong if bill.failed in {None, told["failed"]} else [*wrong, "status"]


def _right(field: str, got: Any, bill: Bill) -> bool:
    want = getattr(bill, field)
    if want is None:
        # A part that does not apply may be zero; a total that is unknown may not.
        may_be_zero = bill.input is not None or field in {"cached", "reasoning"}
        return got is None or (not got and may_be_zero)
    return want in {"any", got}


def _said(span: Any, objects: tuple[str, ...]) -> dict[str, Any]:
    attributes = dict(span.attributes or {})
    for name in objects:
        for key, value in _leaves(_parsed(attributes.get(name))):
            attributes.setdefault(key, value)
    told = {
        field: next((attributes[name] for name in names if _fits(field, attributes, name)), None)
        for field, names in NAMES.items()
    }
    return {**told, "failed": _failed(span, attributes)}


def _fits(field: str, attributes: Mapping[str, Any], name: str) -> bool:
    kind = str if field in {"model", "tier"} else int
    return isinstance(attributes.get(name), kind)


def _failed(span: Any, attributes: Mapping[str, Any]) -> bool:
    level = attributes.get("langfuse.observation.level")
    return span.status.status_code.name == "ERROR" or level == "ERROR"


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return None


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _leaves(inner)
            elif inner is not None:
                yield key, inner
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
