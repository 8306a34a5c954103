"""Budgets as code: `budgets.yaml`, read once into values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic.dataclasses import dataclass

from taximeter_alerts.periods import MONTH, Recurrence
from taximeter_collector.labels import label
from taximeter_collector.store import Dimension, Period, Scope
from taximeter_collector.yaml_file import Form, Mistake, Source, text_of

SCOPES = {
    dimension.outside_name: dimension
    for dimension in Dimension
    if dimension not in {Dimension.HOUR, Dimension.DAY}
}


ChannelName = Literal["slack", "webhook"]
LATE = timedelta(days=3)
"""For how long after its end a period is still watched."""


BudgetsError = Mistake


def _zone(value: Any) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError("give an IANA time zone like Europe/Berlin")
    return ZoneInfo(value)


def _recurrence(value: Any) -> Recurrence:
    return value if isinstance(value, Recurrence) else Recurrence.parse(str(value))


def _scope(value: Any) -> Scope:
    if isinstance(value, Scope):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("give dimensions and values like {feature: search}")  # noqa: TRY004
    values: dict[Dimension, tuple[str, ...]] = {}
    without: dict[Dimension, tuple[str, ...]] = {}
    for name, wanted in value.items():
        if name not in SCOPES:
            raise ValueError(f"{name} is not a dimension; give some of {', '.join(sorted(SCOPES))}")
        if isinstance(wanted, Mapping) and list(wanted) == ["not"]:
            without[SCOPES[name]] = _labels(name, wanted["not"])
        else:
            values[SCOPES[name]] = _labels(name, wanted)
    return Scope(values, without)


def _labels(name: str, wanted: Any) -> tuple[str, ...]:
    several = wanted if isinstance(wanted, list) else [wanted]
    if not several or not all(isinstance(one, str) and one for one in several):
        raise ValueError(f"{name}: give a value, a list of values, or {{not: value}}")
    # Stored labels are encoded; a scope must speak of them as they are stored.
    return tuple(label(one) for one in several)


def _ascending(value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(value)))


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value))


@dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True)
)
class Budget:
    """A ceiling in US dollars for each period of a zone's calendar."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    amount: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]
    currency: Literal["USD"] = "USD"
    period: Annotated[Recurrence, BeforeValidator(_recurrence)] = MONTH
    zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("UTC")
    scope: Annotated[Scope, BeforeValidator(_scope)] = Field(default_factory=Scope)
    thresholds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000)], ...],
        Field(min_length=1),
        AfterValidator(_ascending),
    ] = (50, 75, 90, 100)
    channels: Annotated[tuple[ChannelName, ...], AfterValidator(_each_once)] = ("slack",)
    owner: Annotated[str, Field(max_length=80)] = ""

    def period_at(self, moment: datetime) -> Period:
        return self.period.at(moment, self.zone)

    def periods_to_watch(self, now: datetime) -> list[Period]:
        """Return the current period and those that ended a while ago: their calls may come late."""
        if self.period.rolling_days:
            return [self.period_at(now)]
        periods = [self.period_at(now)]
        while now - periods[-1].start < LATE:
            periods.append(self.period_at(periods[-1].start - timedelta(microseconds=1)))
        return periods

    def starts_alike(self, period: Period) -> list[datetime]:
        """Return the starts of the periods that this one shares its alerts with.

        What moves on every day is crossed once, not again on each day that it stays so.
        """
        if not self.period.rolling_days:
            return [period.start]
        # About noon, so that no change of the clock makes a step of 24 hours skip a day.
        noon = period.end - timedelta(hours=12)
        days = range(self.period.rolling_days)
        return [self.period_at(noon - timedelta(days=day)).start for day in days]


_BUDGETS = Form.several(Budget)


def read_budgets(path: Path) -> list[Budget]:
    """Read the file; a missing one means no budgets. Raises BudgetsError."""
    text = text_of(path)
    return [] if text is None else parse_budgets(text, str(path))


def parse_budgets(text: str, name: str) -> list[Budget]:
    """Parse the YAML text that came from `name`; raise BudgetsError."""
    source = Source(text, name)
    if source.content is None:
        return []
    if not isinstance(source.content, dict) or list(source.content) != ["budgets"]:
        raise BudgetsError(f"{name}:1: give one list under the name `budgets:`")
    budgets = source.read(_BUDGETS, "budgets")
    names = [budget.name for budget in budgets]
    for index, taken in enumerate(names):
        if taken in names[:index]:
            raise source.mistake(
                ("budgets", index, "name"), f"name: {taken!r} is taken; give each its own"
            )
    return budgets
