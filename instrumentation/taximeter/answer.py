"""What an answer says of itself: id, model, tier, finish reasons and usage; never its text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LARGE = 16_384
"""Bytes. A larger body is not parsed but scanned at its two ends."""
HEAD = 4_096

AttributeValue = str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...]

_INPUT = {
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "audio_tokens": "gen_ai.usage.audio.input_tokens",
    "image_tokens": "gen_ai.usage.image.input_tokens",
}
_OUTPUT = {
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "audio_tokens": "gen_ai.usage.audio.output_tokens",
    "image_tokens": "gen_ai.usage.image.output_tokens",
}
_TOTALS = {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}
_FIELDS = {
    "id": "gen_ai.response.id",
    "model": "gen_ai.response.model",
    "service_tier": "openai.response.service_tier",
}
_UNFINISHED = {"queued", "in_progress"}


class Answer:
    """Collects the attributes of one answer, from its body or from the events of a stream."""

    __slots__ = ("_finish", "attributes", "failed", "has_usage")

    def __init__(self) -> None:
        self.attributes: dict[str, AttributeValue] = {}
        self.has_usage = False
        self.failed = False
        self._finish: dict[int, str] = {}

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        return tuple(self._finish[index] for index in sorted(self._finish))

    def take(self, event: Mapping[str, Any]) -> None:
        """Read a parsed body or event; what comes later wins."""
        body = event.get("response")
        if not isinstance(body, dict):
            body = event
        for field, name in _FIELDS.items():
            # "auto" is what was asked for; a stream's last event names the tier that served.
            if isinstance(value := body.get(field), str) and value not in {"", "auto"}:
                self.attributes[name] = value
        if isinstance(usage := body.get("usage"), dict):
            self.attributes.update(usage_attributes(usage))
            self.has_usage = True
        self.failed = self.failed or bool(body.get("error")) or event.get("type") == "error"
        self._take_finish(body)

    def _take_finish(self, body: Mapping[str, Any]) -> None:
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if reason := choice.get("finish_reason"):
                self._finish[choice.get("index", 0)] = str(reason)
        status = body.get("status")
        if isinstance(status, str) and status not in _UNFINISHED:
            why = (body.get("incomplete_details") or {}).get("reason")
            self._finish[0] = str(why or status)

    def read(self, content: bytes | bytearray, *, whole: bool = True) -> None:
        """Read a JSON body or event; `whole` is False when its middle was dropped."""
        if whole and len(content) <= LARGE:
            self._parse(content)
            return
        ends = _ends(content)
        if whole and not {"usage", "model"} <= ends.keys():
            self._parse(content)
            return
        self.take(ends)
        for index, reason in enumerate(_FINISH.findall(content)):
            self._finish[index] = reason.decode()

    def _parse(self, content: bytes | bytearray) -> None:
        try:
            body = json.loads(content)
        except ValueError:  # a proxy's HTML page, or an app that asked for another format
            return
        if isinstance(body, dict):
            self.take(body)


def usage_attributes(usage: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Name the counts as the conventions do; Chat and Responses differ only in their keys."""
    totals = {
        "gen_ai.usage.input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "gen_ai.usage.output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
    }
    parts = (
        (_INPUT, usage.get("prompt_tokens_details") or usage.get("input_tokens_details")),
        (_OUTPUT, usage.get("completion_tokens_details") or usage.get("output_tokens_details")),
    )
    for names, details in parts:
        if isinstance(details, dict):
            totals.update((names[key], count) for key, count in details.items() if key in names)
    # Zero of a part says that it does not apply; zero in total is an answer.
    return {
        name: count
        for name, count in totals.items()
        if type(count) is int and (count or name in _TOTALS)
    }


# Inside of a JSON string each quote has a backslash, so prompts and answers never match these.
_TEXT_FIELD = re.compile(rb'"(id|model|service_tier|status)"\s*:\s*"([^"\\]*)"')
_USAGE = re.compile(rb'"usage"\s*:\s*(?=\{)')
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
                found["usage"], _ = json.JSONDecoder().raw_decode(text)
            except ValueError:  # cut off at the window's end
                continue
    return found
