"""OpenAI's bill as values, and how its names meet ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from taximeter_collector.store.reconciliations import OwnUse

FOREIGN = "?"
"""Before the name of a key of ours that is none of the account's."""
LEAST_VISIBLE = 3

_MASK = re.compile(r".*[.*\N{HORIZONTAL ELLIPSIS}]")
_TOOLS = {
    "web search": "web search",
    "file search": "file search",
    "code interpreter": "container",
    "container": "container",
}
_CLASSES = {
    "cache write": "cache write",
    "cached": "cached input",
    "output": "output",
    "input": "input",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as OpenAI shows it."""

    id: str
    name: str
    project: str
    redacted: str

    @property
    def ending(self) -> str:
        """What is left of the key itself: "wxyz" of "sk-proj-****wxyz"."""
        return _MASK.sub("", self.redacted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A line of the bill: one UTC day, project, key and line item."""

    day: date
    project: str
    key: str
    line_item: str
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledUse:
    """What OpenAI counted in one hour; `used` follows `ITEMS`."""

    hour: datetime
    project: str
    key: str
    model: str
    batch: bool
    service_tier: str
    requests: int
    used: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What OpenAI says about a period."""

    charges: Sequence[Charge]
    use: Sequence[BilledUse]
    keys: Sequence[Key]
    projects: Mapping[str, str]
    """Names by id."""


def item_of(line_item: str) -> tuple[str, str, str]:
    """Return tier, model and item of a line like "priority | gpt-5.5, cached input".

    What names no model, like "web search tool calls", is its own item unless it is a tool of ours.
    """
    head, comma, rest = line_item.partition(", ")
    text = (rest or head).lower().replace("_", " ")
    if not comma:
        found = (item for words, item in _TOOLS.items() if words in text)
        return "", "", next(found, line_item)
    tier, _, named = head.rpartition(" | ")
    # "gpt-audio-mini audio, input": the modality is no part of the model's name.
    model = named.partition(" ")[0]
    classes = (item for words, item in _CLASSES.items() if words in text)
    return tier_of(tier), model, next(classes, "units")


def tier_of(name: str) -> str:
    """Return the service tier of a name; `fast` is another one for `priority`."""
    return "priority" if name.lower() == "fast" else name.lower()


def whose(use: OwnUse, keys: Sequence[Key], chosen: Mapping[str, str]) -> tuple[str, str]:
    """Return project and key of a use as OpenAI names them; `chosen` goes before the endings."""
    if not use.api_key_id:
        return use.project, ""
    # Our name is the key's last four characters and perhaps "-" and a keyed hash.
    last = use.api_key_id[:4]
    if use.api_key_id in chosen:
        found = [key for key in keys if key.id == chosen[use.api_key_id]]
    else:
        found = [
            key
            for key in keys
            if len(key.ending) >= LEAST_VISIBLE
            and last.endswith(key.ending[-4:])
            and use.project in ("", key.project)
        ]
    if len(found) == 1:
        return use.project or found[0].project, found[0].id
    return use.project, FOREIGN + use.api_key_id
