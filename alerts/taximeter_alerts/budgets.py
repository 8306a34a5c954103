"""Budgets: what a definition says, whether it came from `budgets.yaml` or through the API."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from taximeter_alerts.periods import MONTH, Recurrence
from taximeter_alerts.scope_words import DIMENSIONS, read_scope, written
from taximeter_collector.accepted import said
from taximeter_collector.store import Dimension, Period, Scope
from taximeter_collector.yaml_file import Mistake, Source, text_of

LATE: Final = timedelta(days=3)
"""For how long after its end a period is still watched."""


BudgetsError = Mistake

ChannelName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$"),
    said("give a channel's name: up to 40 small letters, digits, - and _"),
]
Usd = Annotated[
    Decimal,
    Field(ge=0, max_digits=18, decimal_places=6),
    said("give dollars as a number, like 100 or 99.50"),
]
Line = Annotated[
    str,
    Field(max_length=80, pattern=r"^[^\x00-\x1f]*$"),
    said("give one line of at most 80 characters"),
]
CHECKED: Final = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def _zone(value: Any) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError("give an IANA time zone like Europe/Berlin")
    return ZoneInfo(value)


Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]


def _recurrence(value: Any) -> Recurrence:
    return value if isinstance(value, Recurrence) else Recurrence.parse(str(value))


def _dimension(value: Any) -> Dimension | None:
    if value is None or isinstance(value, Dimension):
        return value
    if not isinstance(value, str) or value not in DIMENSIONS:
        raise ValueError(f"give one of {', '.join(sorted(DIMENSIONS))}")
    return DIMENSIONS[value]


def _ascending(value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(value)))


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value))


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Raise:
    """Another amount for a while."""

    to: Usd
    until: AwareDatetime


STOP_DIMENSIONS: Final = {
    Dimension.FEATURE: "taximeter.feature",
    Dimension.TEAM: "taximeter.team",
    Dimension.USER: "user.id",
    Dimension.MODEL: "gen_ai.request.model",
    Dimension.API_KEY: "taximeter.api_key",
    Dimension.PROMPT_NAME: "taximeter.prompt.name",
    Dimension.PROMPT_VERSION: "taximeter.prompt.version",
}
"""What an app knows of a call before it is made, by its names on a span."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Stop:
    """What apps that ask for it do when the budget is used up."""

    at: Annotated[int, Field(ge=1, le=1000)] = 100
    """Percent of the amount."""
    action: Literal["block", "downgrade_model"] = "block"
    model: str = ""
    """The model to use instead."""
    when_unsure: Literal["allow", "block"] = "allow"
    """What to do after a minute without news from the service."""

    def __post_init__(self) -> None:
        if (self.action == "downgrade_model") != bool(self.model):
            raise ValueError("give a model with action downgrade_model, and only then")


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Budget:
    """A ceiling in US dollars for each period of a zone's calendar."""

    name: Annotated[Line, Field(min_length=1)]
    amount: Usd
    currency: Literal["USD"] = "USD"
    period: Annotated[Recurrence, BeforeValidator(_recurrence)] = MONTH
    zone: Zone = ZoneInfo("UTC")
    scope: Annotated[Scope, BeforeValidator(read_scope)] = Field(default_factory=Scope)
    each: Annotated[Dimension | None, BeforeValidator(_dimension)] = None
    """One such budget for each value, like each user."""
    thresholds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000)], ...],
        Field(min_length=1),
        AfterValidator(_ascending),
    ] = (50, 75, 90, 100)
    channels: Annotated[tuple[ChannelName, ...], AfterValidator(_each_once)] = ("slack",)
    forecast: bool = True
    """Whether a period on course to pass the amount is told."""
    pace: bool = False
    """Whether a burn of several times the even rate is told at once."""
    spikes: Usd | None = None
    """From how many dollars beyond the usual an unusual hour of a feature is told; none: never."""
    owner: Line = ""
    paused: bool = False
    raised: Raise | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        named = {*self.scope.dimensions, *([self.each] if self.each else [])}
        unknown = sorted(one.outside_name for one in named - STOP_DIMENSIONS.keys())
        if self.stop and unknown:
            known = ", ".join(one.outside_name for one in STOP_DIMENSIONS)
            raise ValueError(
                f"stop: an app does not know {', '.join(unknown)} of a call before it is made; "
                f"give a scope of {known} and tags"
            )

    def in_force(self, now: datetime) -> Budget:
        """Return it with the amount that counts now."""
        runs = self.raise_at(now)
        return replace(self, amount=runs.to) if runs else self

    def raise_at(self, now: datetime) -> Raise | None:
        """Return the raise that runs."""
        return self.raised if self.raised and now < self.raised.until else None

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

    @property
    def definition(self) -> dict[str, Any]:
        """What was written to get it: text, numbers and lists, without the defaults."""
        plain = Budget(name=self.name, amount=self.amount)
        said = {
            field.name: _plain(getattr(self, field.name))
            for field in fields(self)
            if getattr(self, field.name) != getattr(plain, field.name)
        }
        return {"name": self.name, "amount": _plain(self.amount)} | said

    @property
    def digest(self) -> str:
        """Of the content: the same definition has the same one everywhere."""
        text = json.dumps(self.definition, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, Scope):
        return written(value)
    if isinstance(value, (ZoneInfo, Recurrence)):
        return str(value)
    if isinstance(value, Dimension):
        return value.outside_name
    if isinstance(value, Raise):
        return {"to": _plain(value.to), "until": value.until.astimezone(UTC).isoformat()}
    if isinstance(value, Stop):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return list(value) if isinstance(value, tuple) else value


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
    budgets = source.read("budgets", list[Budget], Budget)
    names = [budget.name for budget in budgets]
    for index, taken in enumerate(names):
        if taken in names[:index]:
            raise source.mistake(
                ("budgets", index, "name"), f"name: {taken!r} is taken; give each its own"
            )
    return budgets
