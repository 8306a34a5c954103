"""Count what a call bills beside the tokens of its model: tools, images, characters, seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from taximeter_collector.prices.cards import SEARCHES
from taximeter_collector.prices.usage import Unusable, mapping, quantity, text

Units = dict[str, Decimal]

BY_TOKENS: Final = ("gpt-", "chatgpt-")
"""Families that are billed by tokens at every endpoint."""
INTERPRETER: Final = "code_interpreter_call"
PAINTER: Final = "image_generation_call"
BILLED_ITEMS: Final = frozenset({"file_search_call", "web_search_call", INTERPRETER, PAINTER})
FREE_ITEMS: Final = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "function_call",
        "local_shell_call",
        "mcp_call",
        "tool_search_call",
    }
)
"""Calls of tools that cost nothing beside their tokens."""


def units_of(call: Mapping[str, Any], endpoint: str, model: str) -> Units:
    """Return the units by meter. Raises Unusable where a number is missing or absurd."""
    request = mapping(call, "request")
    if endpoint == "chat.completions":
        # These models search the web once for every answer; its usage does not say so.
        return {"web_searches": Decimal(1)} if SEARCHES in model else {}
    if endpoint == "responses":
        return _summed(_of_tools(call))
    _refuse_unseen(_kinds(call), searches_told=False)
    if endpoint == "containers":
        return {f"container_sessions.{request.get('memory_limit') or '1g'}": Decimal(1)}
    if model.startswith(BY_TOKENS):
        return {}
    if endpoint == "audio.speech":
        return {"characters": quantity(request, "input_characters", "request")}
    if endpoint.startswith("images."):
        size, quality = request.get("size") or "1024x1024", request.get("quality") or "standard"
        count = quantity(request, "n", "request") if request.get("n") is not None else Decimal(1)
        return {f"images.{quality}.{size}": count}
    if endpoint == "videos":
        return {f"seconds.{request.get('size')}": quantity(request, "seconds", "request")}
    return {}


def _of_tools(call: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    tools, items = _list(call, "tools"), _list(call, "output_items")
    kinds = _kinds(call)
    used = mapping(call, "tool_usage")
    searched = mapping(used, "web_search")
    told = "num_requests" in searched
    if call.get("output_items") is None:
        _refuse_unseen(kinds, searches_told=told)
    for item in items:
        _refuse_unknown(item, used)
    yield "file_searches", Decimal(sum(item.get("type") == "file_search_call" for item in items))
    preview = any(kind.startswith("web_search_preview") for kind in kinds)
    yield (
        "web_searches.preview" if preview else "web_searches",
        quantity(searched, "num_requests", "tool_usage.web_search")
        if told
        else Decimal(sum(_is_search(item) for item in items)),
    )
    ran = {item.get("container_id") for item in items if item.get("type") == INTERPRETER}
    if ran:
        yield f"container_sessions.{_memory(tools)}", Decimal(len(ran))
    if drawn := mapping(used, "image_gen"):
        yield from _drawn(drawn, tools)


def _kinds(call: Mapping[str, Any]) -> list[str]:
    return [text(tool, "type") for tool in _list(call, "tools")]


def _is_search(item: Mapping[str, Any]) -> bool:
    # Opening a page that was found, and looking for a word in it, are free.
    kind, action = item.get("type"), mapping(item, "action").get("type", "search")
    return kind == "web_search_call" and action == "search"


def _refuse_unknown(item: Mapping[str, Any], used: Mapping[str, Any]) -> None:
    kind = text(item, "type")
    if kind == PAINTER and not used.get("image_gen"):
        raise Unusable("tool_usage.image_gen is missing: the tokens of the image aren't known")
    if kind.endswith("_call") and kind not in BILLED_ITEMS | FREE_ITEMS:
        raise Unusable(f"no price for the tool {kind!r} in output_items")


def _refuse_unseen(kinds: list[str], *, searches_told: bool) -> None:
    billed = {
        kind
        for kind in kinds
        if kind in ("file_search", "code_interpreter", "image_generation")
        or (kind.startswith("web_search") and not searches_told)
    }
    if billed:
        raise Unusable(f"output_items is missing: how often {min(billed)} ran is not known")


def _memory(tools: list[Mapping[str, Any]]) -> str:
    for tool in tools:
        if tool.get("type") == "code_interpreter":
            container = tool.get("container")
            if isinstance(container, Mapping):
                return text(container, "memory_limit") or "1g"
            raise Unusable(f"the memory of the container {container!r} is not known")
    raise Unusable("tools is missing: the memory of the container is not known")


def _drawn(
    drawn: Mapping[str, Any], tools: list[Mapping[str, Any]]
) -> Iterator[tuple[str, Decimal]]:
    model = next(
        (text(tool, "model") for tool in tools if tool.get("type") == "image_generation"), ""
    )
    if not model:
        raise Unusable("tools names no model for image_generation")
    of_input, of_output = (mapping(drawn, f"{way}_tokens_details") for way in ("input", "output"))
    whole = (
        quantity(drawn, "input_tokens", "tool_usage.image_gen")
        if drawn.get("input_tokens")
        else Decimal(0)
    )
    output = quantity(drawn, "output_tokens", "tool_usage.image_gen")
    images_in = Decimal(of_input.get("image_tokens") or 0)
    images_out = Decimal(of_output["image_tokens"]) if "image_tokens" in of_output else output
    for meter, count in (
        ("input", whole - images_in),
        ("image_input", images_in),
        ("output", output - images_out),
        ("image_output", images_out),
    ):
        if count:
            yield f"image_tool.{meter}.{model}", count


def _list(call: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = call.get(name)
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
        raise Unusable(f"{name} is {value!r}, not a list of objects")
    return list(value)


def _summed(pairs: Iterator[tuple[str, Decimal]]) -> Units:
    units: Units = {}
    for name, count in pairs:
        if count:
            units[name] = units.get(name, Decimal(0)) + count
    return units
