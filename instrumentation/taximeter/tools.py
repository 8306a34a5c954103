"""The hosted tools of a response: searches, containers, images; and the writes that cost more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from taximeter.bounded import Bounded

Body = Mapping[str, Any]
Units = dict[str, float]

SESSION_S = 20 * 60
"""How long a container is paid for at a time."""

_sessions: Bounded[str, tuple[float, str]] = Bounded(1024)


def units_of_tools(body: Body) -> Units:
    """Count the hosted tools of a response."""
    items: list[Body] = [item for item in body.get("output") or () if isinstance(item, dict)]
    used = body.get("tool_usage") or {}
    units: Units = {}
    for name, count in (*_searches(items, used), *_drawn(items, used)):
        units[name] = units.get(name, 0.0) + count
    memory = _memory(body.get("tools") or ())
    for container in {item["container_id"] for item in items if item.get("container_id")}:
        units.update(_session(container, memory, so_far=units))
    usage = body.get("usage") or {}
    # Twice the price of the other writes, of which they are a part.
    written = (usage.get("input_tokens_details") or {}).get("cache_write_tokens_details") or {}
    if long_kept := number(written.get("ttl_12h_tokens")):
        units["cache_write_12h_tokens"] = long_kept
    return units


def units_of_container(body: Body) -> Units:
    if not isinstance(body.get("id"), str):
        return {}
    return _session(body["id"], str(body.get("memory_limit") or "1g"))


def units_of_svg(body: Body) -> Units:
    return _counts("svg", body.get("svg_usage"))


def _searches(items: list[Body], used: Body) -> Iterator[tuple[str, float]]:
    told = (used.get("web_search") or {}).get("num_requests")
    if told:
        yield "web_searches", float(told)
    for item in items:
        kind = item.get("type")
        if kind == "file_search_call":
            yield "file_searches", 1.0
        # Opening a page that was found, and looking for a word in it, are free.
        searched = (item.get("action") or {}).get("type", "search") == "search"
        if kind == "web_search_call" and told is None and searched:
            yield "web_searches", 1.0


def _drawn(items: list[Body], used: Body) -> Iterator[tuple[str, float]]:
    drawn = _counts("image_tool", used.get("image_gen"))
    yield from drawn.items()
    for item in items:
        if item.get("type") == "image_generation_call":
            yield from units_of_svg(item).items()
            if not drawn:
                yield f"images.{item.get('quality')}.{item.get('size')}", 1.0


def _counts(unit: str, usage: Any) -> Units:
    """Name the tokens of another model than the answer's, at whose price they can't be billed."""
    if not isinstance(usage, dict):
        return {}
    of_input, of_output = (usage.get(f"{way}_tokens_details") or {} for way in ("input", "output"))
    counts = {
        "input_tokens": usage.get("input_tokens"),
        "image_input_tokens": of_input.get("image_tokens"),
        "cached_tokens": usage.get("cached_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "image_output_tokens": of_output.get("image_tokens"),
    }
    return {f"{unit}.{name}": float(count) for name, count in counts.items() if count}


def _memory(tools: Any) -> str:
    for tool in tools:
        if isinstance(tool, dict) and tool.get("type") == "code_interpreter":
            container = tool.get("container")
            return str(container.get("memory_limit") or "1g") if isinstance(container, dict) else ""
    return ""


def _session(container: str, memory: str, so_far: Units | None = None) -> Units:
    """Count a container once for each session that it is used in; "" is an unknown memory."""
    started, known = _sessions.get(container) or (0.0, memory)
    now = time.monotonic()
    if started and now - started < SESSION_S:
        return {}
    _sessions.put(container, (now, known))
    name = f"container_sessions.{known}" if known else "container_sessions"
    return {name: (so_far or {}).get(name, 0.0) + 1.0}


def number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
