"""Billed units that are not tokens. A name is the unit and, after dots, what its price hangs on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taximeter.bounded import Bounded

Body = Mapping[str, Any]
Units = dict[str, float]

_BY_TOKENS = ("gpt-", "chatgpt-")
"""Families that are billed by tokens, also where the answer names none."""
SESSION_S = 20 * 60
"""How long a container is paid for at a time."""

_sessions: Bounded[str, tuple[float, str]] = Bounded(1024)


def units_asked(api_type: str, parameters: Body) -> Units:
    """Give what the request alone says will be billed if it succeeds; never a text of it."""
    count = _ASKED.get(api_type)
    return count(parameters) if count is not None else {}


def units_told(api_type: str, body: Body, asked: Units) -> Units:
    """Give what an answer bills beside tokens."""
    count = _TOLD.get(api_type)
    if api_type == "videos.extensions":
        body = {**body, **asked}
    return count(body) if count is not None else {}


def _search_model(parameters: Body) -> Units:
    # These models search the web once for every answer; its usage does not say so.
    return {"web_searches": 1.0} if "-search-" in str(parameters.get("model")) else {}


def _characters(parameters: Body) -> Units:
    text = parameters.get("input")
    if not isinstance(text, str) or str(parameters.get("model")).startswith(_BY_TOKENS):
        return {}
    return {"characters": float(len(text))}


def _images(parameters: Body) -> Units:
    if str(parameters.get("model")).startswith(_BY_TOKENS):
        return {}
    quality = parameters.get("quality") or "standard"
    size = parameters.get("size") or "1024x1024"
    count = parameters.get("n")
    return {f"images.{quality}.{size}": float(count if type(count) is int else 1)}


def _extension(parameters: Body) -> Units:
    # The answer tells the length of the whole; only what was added is new.
    seconds = number(parameters.get("seconds"))
    return {"seconds": seconds} if seconds else {}


def _duration(body: Body) -> Units:
    usage = body.get("usage")
    if isinstance(usage, dict):
        seconds = number(usage.get("seconds"))
    else:
        seconds = number(body.get("duration"))
    return {"seconds": seconds} if seconds else {}


def _clip(body: Body) -> Units:
    seconds = number(body.get("seconds"))
    if body.get("status") != "completed" or not seconds:
        return {}
    return {f"seconds.{body.get('size')}": seconds}


def _of_tools(body: Body) -> Units:
    """Count the hosted tools of a response."""
    items: list[Body] = [item for item in body.get("output") or () if isinstance(item, dict)]
    tools: list[Body] = [tool for tool in body.get("tools") or () if isinstance(tool, dict)]
    used = body.get("tool_usage") or {}
    units: Units = {}
    for name, count in (*_searches(items, used, tools), *_drawn(items, used, tools)):
        units[name] = units.get(name, 0.0) + count
    memory = _memory(tools)
    for container in {item["container_id"] for item in items if item.get("container_id")}:
        units.update(_session(container, memory, so_far=units))
    usage = body.get("usage") or {}
    # Twice the price of the other writes, of which they are a part.
    written = (usage.get("input_tokens_details") or {}).get("cache_write_tokens_details") or {}
    if long_kept := number(written.get("ttl_12h_tokens")):
        units["cache_write_12h_tokens"] = long_kept
    return units


def _of_container(body: Body) -> Units:
    if not isinstance(body.get("id"), str):
        return {}
    return _session(body["id"], str(body.get("memory_limit") or "1g"))


def _of_svg(body: Body) -> Units:
    """Name the tokens of the model that wrote an SVG, which is not the answer's."""
    usage = body.get("svg_usage")
    if not isinstance(usage, dict):
        return {}
    counts = {name: usage.get(name) for name in ("input_tokens", "cached_tokens", "output_tokens")}
    return {f"svg.{name}": float(count) for name, count in counts.items() if count}


def _searches(items: list[Body], used: Body, tools: list[Body]) -> Iterator[tuple[str, float]]:
    told = (used.get("web_search") or {}).get("num_requests")
    # The preview of the tool has prices of its own.
    preview = any(str(tool.get("type")).startswith("web_search_preview") for tool in tools)
    search = "web_searches.preview" if preview else "web_searches"
    if told:
        yield search, float(told)
    for item in items:
        kind = item.get("type")
        if kind == "file_search_call":
            yield "file_searches", 1.0
        # Opening a page that was found, and looking for a word in it, are free.
        searched = (item.get("action") or {}).get("type", "search") == "search"
        if kind == "web_search_call" and told is None and searched:
            yield search, 1.0


def _drawn(items: list[Body], used: Body, tools: list[Body]) -> Iterator[tuple[str, float]]:
    drawn = used.get("image_gen")
    if isinstance(drawn, dict):
        painter = next((tool for tool in tools if tool.get("type") == "image_generation"), {})
        yield from _painted(drawn, str(painter.get("model") or "unknown"))
    for item in items:
        if item.get("type") == "image_generation_call":
            yield from _of_svg(item).items()
            if not drawn:
                yield f"images.{item.get('quality')}.{item.get('size')}", 1.0


def _painted(usage: Body, model: str) -> Iterator[tuple[str, float]]:
    """Count the tokens of the image model, which are billed at its own price."""
    of_input, of_output = (usage.get(f"{way}_tokens_details") or {} for way in ("input", "output"))
    whole, output = number(usage.get("input_tokens")), number(usage.get("output_tokens"))
    images = number(of_input.get("image_tokens"))
    # What it answers are images, unless it says otherwise.
    drawn = number(of_output.get("image_tokens", output))
    counts = {
        "input": whole - images,
        "image_input": images,
        "output": output - drawn,
        "image_output": drawn,
    }
    for name, count in counts.items():
        if count:
            yield f"image_tool.{name}.{model}", count


def _memory(tools: list[Body]) -> str:
    for tool in tools:
        if tool.get("type") == "code_interpreter":
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


_ASKED: dict[str, Callable[[Body], Units]] = {
    "chat.completions": _search_model,
    "audio.speech": _characters,
    "images.generations": _images,
    "images.edits": _images,
    "images.variations": _images,
    "videos.extensions": _extension,
}
_TOLD: dict[str, Callable[[Body], Units]] = {
    "responses": _of_tools,
    "audio.transcriptions": _duration,
    "audio.translations": _duration,
    "videos": _clip,
    "videos.extensions": _clip,
    "containers": _of_container,
    "images.generations": _of_svg,
    "images.edits": _of_svg,
}
BILLED_BY_UNITS = {*_ASKED, *_TOLD} - {"chat.completions", "responses"}
