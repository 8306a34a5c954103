"""Who one call is for and what it serves, from all who say so; the more specific source wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import INVALID_SPAN, Span

from taximeter.answer import AttributeValue
from taximeter.guard import never_raise
from taximeter.labels import make_readable, readable
from taximeter.origin import calling_function, global_provider, request_served, server_around, watch
from taximeter.settings import Settings
from taximeter.tags import FEATURE, NAMES, attributes_of, current_tags

ALTERED = "taximeter.tags.altered"


class Attribution:
    __slots__ = ("_altered", "_caller", "_of_call", "_server", "_tags")

    def __init__(self, settings: Settings, parameters: Mapping[str, Any], parent: Span) -> None:
        """Note what holds where the call starts: its stream may be read elsewhere."""
        self._tags = {**defaults(settings), **stated_in(parameters), **current_tags()}
        self._of_call: Mapping[str, str] = {}
        self._altered = 0
        self._server: object = None
        self._caller: str | None = None
        if FEATURE not in self._tags:
            with never_raise("finding the feature of a call"):
                self._find(parent)

    def add(self, tags: Mapping[str, str]) -> None:
        """Add the tags of this call alone, by the keywords of `tag`."""
        self._of_call = attributes_of(tags)

    def add_of_client(self, tags: Mapping[str, str]) -> None:
        """Add the tags of all calls of the client, by the keywords of `tag`."""
        self._tags.update(attributes_of(tags))

    def attributes(self) -> Mapping[str, AttributeValue]:
        """Give the tags at the end of the call, when the app's framework has set its route."""
        self._tags.update(self._of_call)
        if FEATURE not in self._tags and (feature := self._served() or self._caller):
            self._tags[FEATURE] = feature
        self._altered += make_readable(self._tags)
        return {**self._tags, ALTERED: self._altered} if self._altered else self._tags

    def value(self, name: str) -> str:
        """Give a tag as far as it is known when the call starts, as the store will have it."""
        value = self._of_call.get(name) or self._tags.get(name)
        if value is None and name == FEATURE:
            value = self._served() or self._caller
        return readable(value) if value else ""

    def _find(self, parent: Span) -> None:
        if parent is not INVALID_SPAN:
            self._server = server_around(parent)
        if self._served() is None:
            self._caller = calling_function()
        watch(global_provider())

    def _served(self) -> str | None:
        return None if self._server is None else request_served(self._server)


def defaults(settings: Settings) -> dict[str, str]:
    if not (settings.feature or settings.team):
        return {}
    named = {FEATURE: settings.feature, NAMES["team"]: settings.team}
    return {key: value for key, value in named.items() if value}


def stated_in(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Read what the request itself tells the API."""
    stated: dict[str, Any] = {}
    if _STATING.isdisjoint(parameters):
        return stated
    if user := parameters.get("user") or parameters.get("safety_identifier"):
        stated[NAMES["user"]] = user
    if isinstance(metadata := parameters.get("metadata"), dict):
        stated |= {NAMES[name]: metadata.get(name) for name in ("feature", "team")}
    if isinstance(prompt := parameters.get("prompt"), dict):
        names = (("prompt_name", "id"), ("prompt_version", "version"))
        stated |= {NAMES[name]: prompt.get(key) for name, key in names}
    return {key: value for key, value in stated.items() if isinstance(value, str) and value}


_STATING = frozenset({"user", "safety_identifier", "metadata", "prompt"})
