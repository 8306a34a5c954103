"""Read the `usage` of OpenAI's answers, whatever the endpoint calls its fields."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from taximeter_collector.calls import Usage
from taximeter_collector.prices.bill import CACHED_AUDIO, CACHED_IMAGE, WRITTEN_12H

IN: Final = ("input_tokens", "prompt_tokens")
OUT: Final = ("output_tokens", "completion_tokens")
DETAILS: Final = ("{}_tokens_details", "{}_token_details")
PAINTED: Final = "images."
ANSWER_TO_TEXT: Final = "images.generations"


class Unusable(ValueError):
    """A field can't be understood; the message names it and its value."""


def usage_of(usage: Any, endpoint: str) -> Usage | None:
    """Return the token counts and seconds of a usage; None when it names none. Raises Unusable."""
    if not isinstance(usage, Mapping):
        raise Unusable(f"usage is {usage!r}, not an object")
    if usage.get("type") == "duration" or ("seconds" in usage and not _has(usage, *IN)):
        return Usage(meters={"seconds": quantity(usage, "seconds", "usage")})
    if not _has(usage, *IN):
        if _has(usage, *OUT):
            raise Unusable("usage has output tokens but no input tokens")
        return None
    of_input, of_output = (
        _details(usage, "input", "prompt"),
        _details(usage, "output", "completion"),
    )
    cached_by_kind = mapping(of_input, "cached_tokens_details")
    whole, output = _first(usage, IN), _first(usage, OUT)
    meters = {}
    if cached_by_kind:
        meters[CACHED_AUDIO] = Decimal(_count(cached_by_kind, "audio_tokens"))
        meters[CACHED_IMAGE] = Decimal(_count(cached_by_kind, "image_tokens"))
    written = mapping(of_input, "cache_write_tokens_details")
    long_kept = _count(written, "ttl_12h") + _count(written, "ttl_12h_tokens")
    if long_kept:
        meters[WRITTEN_12H] = Decimal(long_kept)
    painted = endpoint.startswith(PAINTED)
    if painted and not of_input and endpoint != ANSWER_TO_TEXT and whole:
        raise Unusable("usage.input_tokens_details is missing: text and images cost differently")
    return Usage(
        input_tokens=whole,
        cached_input_tokens=_count(of_input, "cached_tokens"),
        cache_write_tokens=_count(of_input, "cache_write_tokens"),
        output_tokens=output,
        reasoning_tokens=_count(of_output, "reasoning_tokens"),
        audio_input_tokens=_count(of_input, "audio_tokens"),
        audio_output_tokens=_count(of_output, "audio_tokens"),
        image_input_tokens=_count(of_input, "image_tokens"),
        # What an image endpoint answers are images, unless it says otherwise.
        image_output_tokens=output
        if painted and "image_tokens" not in of_output
        else _count(of_output, "image_tokens"),
        meters=meters,
    )


def quantity(values: Mapping[str, Any], name: str, where: str) -> Decimal:
    """Return a number that may have a fraction. Raises Unusable."""
    value = values.get(name)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except ArithmeticError:
            number = Decimal("NaN")
        if number.is_finite() and number >= 0:
            return number
    raise Unusable(f"absurd usage: {where}.{name} is {value!r}, not a number from 0")


def mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise Unusable(f"{name} is {value!r}, not an object")


def text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise Unusable(f"{name} is {value!r}, not a text")


def _details(usage: Mapping[str, Any], *ways: str) -> Mapping[str, Any]:
    names = [form.format(way) for way in ways for form in DETAILS]
    return next((mapping(usage, name) for name in names if usage.get(name)), {})


def _has(usage: Mapping[str, Any], *names: str) -> bool:
    return any(usage.get(name) is not None for name in names)


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((_count(usage, name) for name in names if usage.get(name) is not None), 0)


def _count(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unusable(f"absurd usage: {name} is {value!r}, not a whole number")
    return value
