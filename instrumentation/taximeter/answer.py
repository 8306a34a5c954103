"""What an answer says of itself: id, model, tier, finish reasons and usage; never its text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taximeter.units import BILLED_BY_UNITS, Units, units_told

LARGE = 16_384
"""Bytes. A larger body is not parsed but scanned at its two ends."""
HEAD = 4_096

AttributeValue = str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...]

_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
# Chat and Responses differ only in their keys.
_TOTALS = {
    "prompt_tokens": _INPUT,
    "input_tokens": _INPUT,
    "completion_tokens": _OUTPUT,
    "output_tokens": _OUTPUT,
}
_PARTS_OF_INPUT = {
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "audio_tokens": "gen_ai.usage.audio.input_tokens",
    "image_tokens": "gen_ai.usage.image.input_tokens",
}
_PARTS_OF_OUTPUT = {
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "audio_tokens": "gen_ai.usage.audio.output_tokens",
    "image_tokens": "gen_ai.usage.image.output_tokens",
}
_DETAILS = {
    "prompt_tokens_details": _PARTS_OF_INPUT,
    "input_tokens_details": _PARTS_OF_INPUT,
    "input_token_details": _PARTS_OF_INPUT,
    "completion_tokens_details": _PARTS_OF_OUTPUT,
    "output_tokens_details": _PARTS_OF_OUTPUT,
}
# What all the output is where the usage does not split it.
_MAKES = {
    "images.generations": "gen_ai.usage.image.output_tokens",
    "images.edits": "gen_ai.usage.image.output_tokens",
    "audio.speech": "gen_ai.usage.audio.output_tokens",
}
_FIELDS = {
    "id": "gen_ai.response.id",
    "model": "gen_ai.response.model",
    "service_tier": "openai.response.service_tier",
}
_UNFINISHED = {"queued", "in_progress", "requires_action", "cancelling", "running"}
# Events of a run speak of its thread, messages and steps, too; the usage of steps is part of its.
_OBJECT = {"threads.runs": "thread.run"}


@dataclass(slots=True, eq=False)
class Answer:
    """Collects the attributes of one answer, from its body or from the events of a stream."""

    api_type: str = ""
    _asked: Units = field(default_factory=dict)
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    has_usage: bool = False
    failed: bool = False
    _finish: dict[int, str] = field(default_factory=dict)
    _status: str = ""

    def afresh(self) -> Answer:
        """Give an empty answer to the same request."""
        return Answer(self.api_type, self._asked)

    @property
    def id(self) -> str:
        return str(self.attributes.get("gen_ai.response.id", ""))

    @property
    def unfinished(self) -> bool:
        """Whether the work goes on, and can be asked for."""
        return self._status in _UNFINISHED and bool(self.id)

    @property
    def finished(self) -> bool:
        return bool(self._status) and self._status not in _UNFINISHED

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        finish = self._finish
        return tuple(finish[index] for index in sorted(finish)) if finish else ()

    def take(self, event: Mapping[str, Any]) -> None:
        """Read a parsed body or event; what comes later wins."""
        body = event.get("response")
        if not isinstance(body, dict):
            body = event
        if body.get("object") != _OBJECT.get(self.api_type, body.get("object")):
            return
        for key, name in _FIELDS.items():
            # "auto" is what was asked for; a stream's last event names the tier that served.
            if isinstance(value := body.get(key), str) and value not in {"", "auto"}:
                self.attributes[name] = value
        if isinstance(usage := body.get("usage"), dict):
            counts = usage_attributes(usage, makes=_MAKES.get(self.api_type, ""))
            self.attributes.update(counts)
            self.has_usage = self.has_usage or bool(counts)
        self.failed = self.failed or bool(body.get("error")) or event.get("type") == "error"
        self._take_finish(body)
        if units := units_told(self.api_type, body, self._asked):
            self._bill(units)

    def take_success(self) -> None:
        """Bill what the request asked for, unless the answer told what it cost."""
        if not self._asked or self.unfinished:
            return
        if not (self.has_usage and self.api_type in BILLED_BY_UNITS):
            self._bill(self._asked)

    def _bill(self, units: Units) -> None:
        self.attributes.update((f"taximeter.meter.{name}", n) for name, n in units.items())
        self.has_usage = self.has_usage or self.api_type in BILLED_BY_UNITS

    def _take_finish(self, body: Mapping[str, Any]) -> None:
        if isinstance(choices := body.get("choices"), list):
            for choice in choices:
                if reason := choice.get("finish_reason"):
                    self._finish[choice.get("index", 0)] = str(reason)
        status = body.get("status")
        if not isinstance(status, str):
            return
        self._status = status
        if self.finished:
            why = (body.get("incomplete_details") or {}).get("reason")
            self._finish[0] = str(why or status)

    def read(self, content: bytes | bytearray, *, whole: bool = True) -> Any:
        """Read a JSON body or event; `whole` is False when its middle was dropped.

        Gives the parsed content, None when it was not parsed.
        """
        if whole and (len(content) <= LARGE or self._used_tools(content)):
            return self._parse(content)
        ends = _ends(content)
        if whole and any(f'"{key}"'.encode() in content for key in _WANTED - ends.keys()):
            return self._parse(content)
        self.take(ends)
        for index, reason in enumerate(_FINISH.findall(content)):
            self._finish[index] = reason.decode()
        return None

    def _used_tools(self, content: bytes | bytearray) -> bool:
        return self.api_type == "responses" and b'_call"' in content

    def _parse(self, content: bytes | bytearray) -> Any:
        try:
            body = json.loads(content)
        except ValueError:  # a proxy's HTML page, or an app that asked for another format
            return None
        if isinstance(body, dict):
            self.take(body)
        return body


def usage_attributes(usage: Mapping[str, Any], *, makes: str = "") -> dict[str, AttributeValue]:
    """Name the counts as the conventions do; `makes` names all output that has no details."""
    counts: dict[str, AttributeValue] = {}
    for key, value in usage.items():
        if type(value) is int:
            # Zero in total is an answer; zero of a part says that it does not apply.
            if key in _TOTALS:
                counts[_TOTALS[key]] = value
        elif key in _DETAILS and isinstance(value, dict):
            names = _DETAILS[key]
            for part, count in value.items():
                if count and part in names and type(count) is int:
                    counts[names[part]] = count
                elif part == "cached_tokens_details" and isinstance(count, dict):
                    counts.update(_cached_parts(count))
    if makes and counts.get(_OUTPUT) and not isinstance(usage.get("output_tokens_details"), dict):
        counts[makes] = counts[_OUTPUT]
    return counts


def _cached_parts(details: Mapping[str, Any]) -> dict[str, AttributeValue]:
    # Also zero: without them nobody knows at which rate what was cached is billed.
    counts = {kind: details.get(f"{kind}_tokens") or 0 for kind in ("audio", "image")}
    return {
        f"taximeter.meter.cached_{kind}_input_tokens": float(count)
        for kind, count in counts.items()
        if type(count) is int
    }


# Inside of a JSON string each quote has a backslash, so prompts and answers never match these.
_TEXT_FIELD = re.compile(rb'"(id|object|model|service_tier|status)"\s*:\s*"([^"\\]*)"')
_USAGE = re.compile(rb'"(usage|svg_usage)"\s*:\s*(?=\{)')
_WANTED = {"usage", "model"}
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([^"\\]*)"')


def _ends(content: bytes | bytearray) -> dict[str, Any]:
    """Scan the head, then the tail, for the first of each field of interest."""
    head, tail = bytes(content[:HEAD]), bytes(content[-LARGE:])
    found: dict[str, Any] = {}
    for key, value in reversed(_TEXT_FIELD.findall(head)):
        found[key.decode()] = value.decode()
    # Ids and states in the tail belong to output items, models perhaps to tools.
    trusted = {b"service_tier"} if b'"tools"' in tail else {b"service_tier", b"model"}
    for key, value in _TEXT_FIELD.findall(tail):
        if key in trusted:
            found.setdefault(key.decode(), value.decode())
    for window in (head, tail):
        for match in _USAGE.finditer(window):
            try:
                text = window[match.end() :].decode(errors="replace")
                found[match[1].decode()], _ = json.JSONDecoder().raw_decode(text)
            except ValueError:  # cut off at the window's end
                continue
    return found
