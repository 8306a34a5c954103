"""What may be asked for: dimensions, periods and scopes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dimension(StrEnum):
    """What spend can be divided by or narrowed to; the value is the column."""

    FEATURE = "feature"
    TEAM = "team"
    USER = "user_id"
    MODEL = "model"
    ENVIRONMENT = "environment"
    SERVICE = "service"
    PROVIDER = "provider"
    SERVICE_TIER = "service_tier"
    OPERATION = "operation"
    API_KEY = "api_key_id"
    PROMPT_NAME = "prompt_name"
    PROMPT_VERSION = "prompt_version"
    HOUR = "hour"
    DAY = "day"

    @property
    def outside_name(self) -> str:
        """What people call it, like `user` or `api_key`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open, in UTC: start <= t < end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if not self.start.tzinfo == self.end.tzinfo == UTC:
            raise ValueError(f"a period is in UTC, not from {self.start!r} to {self.end!r}")

    def whole_hours(self) -> Period:
        """Return the period of all hours that this one touches."""
        return Period(floor(self.start, HOUR), ceiling(self.end, HOUR))


@dataclass(frozen=True, slots=True)
class Scope:
    """Calls that have one of the values, and none of the others, of each named dimension.

    A scope that names nothing is all calls.
    """

    values: Mapping[Dimension, tuple[str, ...]] = field(default_factory=dict)
    without: Mapping[Dimension, tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """An app's own tags, which are asked of the rows of calls: slower than dimensions."""
    without_tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return tuple(sorted({*self.values, *self.without}))

    @property
    def has_tags(self) -> bool:
        return bool(self.tags or self.without_tags)

    @property
    def is_everything(self) -> bool:
        return not (self.dimensions or self.has_tags)

    def has(self, dimension: Dimension, value: str) -> bool:
        """Tell whether calls with this value may be in the scope."""
        wanted = self.values.get(dimension)
        return (wanted is None or value in wanted) and value not in self.without.get(dimension, ())

    def holds(self, other: Scope) -> bool:
        """Tell whether every call of the other scope is surely in this one."""
        return _hold(self.values, self.without, other.values, other.without) and _hold(
            self.tags, self.without_tags, other.tags, other.without_tags
        )

    def narrowed(self, dimension: Dimension, *values: str) -> Scope:
        return replace(self, values={**self.values, dimension: values})

    @classmethod
    def of(cls, columns: Mapping[str, Iterable[str]]) -> Scope:
        return cls({Dimension(name): tuple(values) for name, values in columns.items()})


def _hold(
    values: Mapping[Any, tuple[str, ...]],
    without: Mapping[Any, tuple[str, ...]],
    inner: Mapping[Any, tuple[str, ...]],
    inner_without: Mapping[Any, tuple[str, ...]],
) -> bool:
    named = all(name in inner and set(inner[name]) <= set(some) for name, some in values.items())
    return named and all(
        set(some) <= set(inner_without.get(name, ()))
        or (name in inner and not set(inner[name]) & set(some))
        for name, some in without.items()
    )


def floor(moment: datetime, grain: timedelta) -> datetime:
    return moment - (moment - EPOCH) % grain


def ceiling(moment: datetime, grain: timedelta) -> datetime:
    return moment + (EPOCH - moment) % grain
