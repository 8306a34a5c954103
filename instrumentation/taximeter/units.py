"""Billed units that are not tokens. A name is the unit and, after dots, what its price hangs on."""

from __future__ import annotations

from collections.abc import Callable

from taximeter.tools import (
    Body,
    Units,
    number,
    units_of_container,
    units_of_svg,
    units_of_tools,
)

_BY_TOKENS = ("gpt-", "chatgpt-")
"""Families that are billed by tokens, also where the answer names none."""


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


_ASKED: dict[str, Callable[[Body], Units]] = {
    "chat.completions": _search_model,
    "audio.speech": _characters,
    "images.generations": _images,
    "images.edits": _images,
    "images.variations": _images,
    "videos.extensions": _extension,
}
_TOLD: dict[str, Callable[[Body], Units]] = {
    "responses": units_of_tools,
    "audio.transcriptions": _duration,
    "audio.translations": _duration,
    "videos": _clip,
    "videos.extensions": _clip,
    "containers": units_of_container,
    "images.generations": units_of_svg,
    "images.edits": units_of_svg,
}
BILLED_BY_UNITS = {*_ASKED, *_TOLD} - {"chat.completions", "responses"}
