"""Budgets as code: `budgets.yaml`, read once into values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from taximeter_alerts.periods import month_at
from taximeter_collector.labels import label
from taximeter_collector.store import Dimension, Period, Scope

SCOPES = {
    dimension.outside_name: dimension
    for dimension in Dimension
    if dimension not in {Dimension.HOUR, Dimension.DAY}
}


LATE = timedelta(days=3)
"""For how long after its end a period is still watched."""


class BudgetsError(Exception):
    """The file can't be used; the message names file, line, field and accepted form."""


def _zone(value: Any) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError("give an IANA time zone like Europe/Berlin")
    return ZoneInfo(value)


def _scope(value: Any) -> Scope:
    if isinstance(value, Scope):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("give dimensions and values like {feature: search}")  # noqa: TRY004
    values: dict[Dimension, tuple[str, ...]] = {}
    for name, wanted in value.items():
        if name not in SCOPES:
            raise ValueError(f"{name} is not a dimension; give some of {', '.join(sorted(SCOPES))}")
        several = wanted if isinstance(wanted, list) else [wanted]
        if not several or not all(isinstance(one, str) and one for one in several):
            raise ValueError(f"{name}: give a value or a list of values")
        # Stored labels are encoded; a scope must speak of them as they are stored.
        values[SCOPES[name]] = tuple(label(one) for one in several)
    return Scope(values)


def _ascending(value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(value)))


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value))


@dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True)
)
class Budget:
    """A ceiling in US dollars for a calendar month of a zone."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    amount: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]
    currency: Literal["USD"] = "USD"
    period: Literal["month"] = "month"
    zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("UTC")
    scope: Annotated[Scope, BeforeValidator(_scope)] = Field(default_factory=Scope)
    thresholds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000)], ...],
        Field(min_length=1),
        AfterValidator(_ascending),
    ] = (50, 75, 90, 100)
    channels: Annotated[tuple[Literal["slack"], ...], AfterValidator(_each_once)] = ("slack",)
    owner: Annotated[str, Field(max_length=80)] = ""

    def period_at(self, moment: datetime) -> Period:
        return month_at(moment, self.zone)

    def periods_to_watch(self, now: datetime) -> list[Period]:
        """Return the current period and, for a while, the last one: its calls may come late."""
        current = self.period_at(now)
        if now - current.start >= LATE:
            return [current]
        return [current, self.period_at(current.start - timedelta(microseconds=1))]


_BUDGETS = TypeAdapter(list[Budget])


def read_budgets(path: Path) -> list[Budget]:
    """Read the file; a missing one means no budgets. Raises BudgetsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise BudgetsError(f"{path}: {error}") from None
    return parse_budgets(text, str(path))


def parse_budgets(text: str, source: str) -> list[Budget]:
    """Parse the YAML text that came from `source`; raise BudgetsError."""
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        # Scalars stay text, so that an amount like 19.99 never is a binary float.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 BaseLoader makes text only
        _refuse_repeated_keys(source, root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BudgetsError(f"{source}:{line}: not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BudgetsError(f"{source}:{line}: not YAML: {error.reason}") from None
    except RecursionError:
        raise BudgetsError(f"{source}:1: nested too deeply to be budgets") from None
    if content is None:
        return []
    if not isinstance(content, dict) or list(content) != ["budgets"]:
        raise BudgetsError(f"{source}:1: give one list under the name `budgets:`")
    try:
        budgets = _BUDGETS.validate_python(content["budgets"] or [])
    except ValidationError as error:
        raise BudgetsError(_located(source, root, error)) from None
    names = [budget.name for budget in budgets]
    for index, name in enumerate(names):
        if name in names[:index]:
            line = _line(root, ("budgets", index, "name"))
            raise BudgetsError(f"{source}:{line}: name: {name!r} is taken; give each its own")
    return budgets


def _refuse_repeated_keys(source: str, node: yaml.Node | None) -> None:
    """Raise BudgetsError where YAML would silently keep only the last of two values."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        for index, (key, value) in enumerate(node.value):
            if key.value in keys[:index]:
                line = key.start_mark.line + 1
                raise BudgetsError(f"{source}:{line}: {key.value}: given twice; give it once")
            _refuse_repeated_keys(source, value)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _refuse_repeated_keys(source, one)


def _located(source: str, root: yaml.Node | None, error: ValidationError) -> str:
    first = error.errors()[0]
    path = ("budgets", *first["loc"])
    field = ".".join(str(part) for part in first["loc"][1:]) or "budgets"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "missing" else f"{first['input']!r}: "
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(Budget.__dataclass_fields__)
        given, message = "", f"not a field of a budget; give some of {known}"
    return f"{source}:{_line(root, path)}: {field}: {given}{message}"


def _line(node: yaml.Node | None, path: Sequence[int | str]) -> int:
    """Return the line, from 1, of the node at a path, or of its nearest parent."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
