"""Scopes as people write them, like `{feature: [search, suggest], team: {not: web}}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from taximeter_collector.labels import label
from taximeter_collector.store import Dimension, Period, Scope

DIMENSIONS: Final = {
    dimension.outside_name: dimension
    for dimension in Dimension
    if dimension not in {Dimension.HOUR, Dimension.DAY}
}
TAGS: Final = "tags"
MOST_VALUES: Final = 50
"""In an address, which a page repeats in its links."""
LONGEST_QUERY: Final = 3_200
"""In characters: any one label fits."""


def read_scope(value: Any) -> Scope:
    """Read a scope; raises ValueError."""
    if isinstance(value, Scope):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("give dimensions and values like {feature: search}")  # noqa: TRY004
    tags = value.get(TAGS, {})
    if not isinstance(tags, Mapping):
        raise ValueError("tags: give names and values like {tags: {tier: pro}}")  # noqa: TRY004
    named = {name: wanted for name, wanted in value.items() if name != TAGS}
    for name in named:
        if name not in DIMENSIONS:
            known = ", ".join(sorted(DIMENSIONS))
            raise ValueError(f"{name} is not a dimension; give some of {known}, or {TAGS}")
    values, without = _parted(named)
    tag_values, without_tags = _parted(tags)
    return Scope(
        {DIMENSIONS[name]: some for name, some in values.items()},
        {DIMENSIONS[name]: some for name, some in without.items()},
        tag_values,
        without_tags,
    )


def written(scope: Scope) -> dict[str, Any]:
    """Return a scope as `read_scope` reads it."""
    named = _joined(
        {dimension.outside_name: some for dimension, some in scope.values.items()},
        {dimension.outside_name: some for dimension, some in scope.without.items()},
    )
    return named | ({TAGS: _joined(scope.tags, scope.without_tags)} if scope.has_tags else {})


def in_words(scope: Scope) -> str:
    """Return a scope in one line, like `feature=search|suggest, team≠web`."""
    named = written(scope)
    tags = named.pop(TAGS, {})
    pairs = [*named.items(), *((f"tag {name}", wanted) for name, wanted in tags.items())]
    words = [
        f"{name}≠{'|'.join(wanted['not'])}"
        if isinstance(wanted, Mapping)
        else f"{name}={'|'.join(wanted)}"
        for name, wanted in pairs
    ]
    return ", ".join(words) or "everything"


def query_of_calls(scope: Scope, period: Period) -> str:
    """Return the query of a scope's calls; "" where an address can't say it."""
    if scope.without or scope.has_tags or sum(map(len, scope.values.values())) > MOST_VALUES:
        return ""
    ends = [("from", period.start.isoformat()), ("to", period.end.isoformat())]
    words = [
        (dimension.outside_name, value)
        for dimension, values in scope.values.items()
        for value in values
    ]
    found = query([*ends, *words])
    return found if len(found) <= LONGEST_QUERY else ""


def query(words: Iterable[tuple[str, str]]) -> str:
    """Return words as the query of an address; "" for none."""
    text = urlencode(list(words), quote_via=quote)
    return f"?{text}" if text else ""


def _parted(
    wanted: Mapping[str, Any],
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return what is wanted and what is not, by name."""
    values, without = {}, {}
    for name, some in wanted.items():
        if isinstance(some, Mapping) and list(some) == ["not"]:
            without[name] = _labels(name, some["not"])
        else:
            values[name] = _labels(name, some)
    return values, without


def _joined(
    values: Mapping[str, tuple[str, ...]], without: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    joined: dict[str, Any] = {name: list(some) for name, some in values.items()}
    return joined | {name: {"not": list(some)} for name, some in without.items()}


def _labels(name: str, wanted: Any) -> tuple[str, ...]:
    several = wanted if isinstance(wanted, list) else [wanted]
    if not several or not all(isinstance(one, str) and one for one in several):
        raise ValueError(f"{name}: give a value, a list of values, or {{not: value}}")
    # Stored labels are encoded; a scope must speak of them as they are stored.
    return tuple(label(one) for one in several)
