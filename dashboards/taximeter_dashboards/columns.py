"""Tables: what is asked for each column and how it looks; those first that several share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.clickhouse import COLUMNS, named
from taximeter_dashboards.questions import ERROR_RATE, PER_1000_CALLS, SPEND, WITH_USER

Levels = Sequence[tuple[float | None, str]]
"""Colours by the value from which they hold; None is below every value."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, what is asked for it, and how its values look."""

    name: str
    sql: str
    unit: str = ""
    """"" for the panel's own, as whatever else is not said."""
    _: KW_ONLY
    decimals: int | None = None
    levels: Levels | None = None
    """Colours of the cell behind the value."""
    states: Mapping[str, str] = field(default_factory=dict)
    """Colours of the text by the text."""
    color: str = ""
    """Of the text."""
    bar: Levels | None = None
    """Colours of a bar from 0 to 1 in the cell."""
    wraps: bool = False
    missing: str = ""
    """What stands for no value; "" for "unknown"."""
    link: tuple[str, str] | None = None
    """Title and address."""
    width: int | None = None

    def of(self, sql: str) -> Column:
        """Give a column that looks the same and asks for something else."""
        return replace(self, sql=sql)


@dataclass(frozen=True, slots=True)
class Table:
    """What a panel of rows asks and shows."""

    columns: Sequence[Column]
    rest: str
    """Of the question, from its `from` on."""
    given: str = ""
    """Of the question, before its `select`."""

    @property
    def sql(self) -> str:
        asked = ",\n".join(f'    {column.sql} as "{column.name}"' for column in self.columns)
        return f"{self.given}select\n{asked}\n{self.rest}"


WHOLE: Final = "locale"
"""Whole numbers, with their thousands apart."""

PLAIN: Final[Levels] = [(None, "text")]
BLUE: Final[Levels] = [(None, "blue")]
GREEN: Final[Levels] = [(None, "green")]
RED_FROM_ONE: Final[Levels] = [(None, "transparent"), (1, "red")]
GOOD_UNTIL: Final[Levels] = [(None, "green"), (0.01, "yellow"), (0.05, "red")]
GOOD_AT_NONE: Final[Levels] = [(None, "green"), (1, "red")]
OF_A_LIMIT: Final[Levels] = [(None, "green"), (0.75, "yellow"), (0.9, "orange"), (1, "red")]
SPENT: Final = Column("Spend", SPEND, Dollars, decimals=2)
OF_ALL_SPENT: Final = 'toFloat64("Spend") / nullIf(toFloat64(sum("Spend") over ()), 0)'
SHARE: Final = Column("Share", OF_ALL_SPENT, PercentUnit, decimals=0, bar=BLUE)
CALLS: Final = Column("Calls", "sum(calls)", WHOLE)
PER_1000: Final = Column("Per 1k calls", PER_1000_CALLS, Dollars, decimals=4)
ERRORS: Final = Column("Errors", ERROR_RATE, PercentUnit, decimals=1)
UNPRICED: Final = Column("Unpriced", "sum(unpriced_calls)", Short, levels=RED_FROM_ONE, width=90)
A_CALL: Final = "sum({}) / nullIf(sum(calls), 0)"
INPUT_A_CALL: Final = Column("Input a call", A_CALL.format("input_tokens"), WHOLE, decimals=0)
OUTPUT_A_CALL: Final = Column("Output a call", A_CALL.format("output_tokens"), WHOLE, decimals=0)


def text(name: str, sql: str, width: int | None = None, *, wraps: bool = False) -> Column:
    return Column(name, sql, "string", width=width, wraps=wraps)


def linked(
    variable: str,
    uid: str,
    title: str,
    *,
    kept: Sequence[str] = WITH_USER,
    width: int | None = None,
) -> Column:
    """Give a column of a variable's values, each a link to a dashboard of that value alone.

    The dashboard also gets what the variables in `kept` hold here.
    """
    others = [f"${{{one}:queryparam}}" for one in kept if one != variable]
    this = f"var-{variable}=${{__value.raw:percentencode}}"
    url = f"/d/{uid}?" + "&".join(["${__url_time_range}", *others, this])
    sql = named(COLUMNS.get(variable, variable))
    return Column(variable.capitalize(), sql, "string", link=(title, url), width=width)


def count(name: str, sql: str) -> Column:
    return Column(name, sql, WHOLE)


def dollars(name: str, sql: str) -> Column:
    return Column(name, sql, Dollars, decimals=2)


def properties(column: Column) -> list[DynamicConfigValue]:
    plain = {
        "unit": column.unit or None,
        "decimals": column.decimals,
        "custom.width": column.width,
        "noValue": column.missing or None,
        "custom.wrapText": column.wraps or None,
    }
    found: dict[str, object] = {name: one for name, one in plain.items() if one is not None}
    if column.bar is not None:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        found |= {"custom.cellOptions": cell, "min": 0, "max": 1}
        found["thresholds"] = thresholds(column.bar).build()
        found["color"] = {"mode": FieldColorModeId.THRESHOLDS}
    if column.levels is not None:
        found["thresholds"] = thresholds(column.levels).build()
        found["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.states or column.color:
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.color:
        found["color"] = {"mode": FieldColorModeId.FIXED, "fixedColor": column.color}
    if column.states:
        options = {text: {"color": color} for text, color in column.states.items()}
        found["mappings"] = [{"type": "value", "options": options}]
    if column.link is not None:
        title, url = column.link
        found["links"] = [{"title": title, "url": url}]
    return [DynamicConfigValue(id_val=name, value=value) for name, value in found.items()]


def thresholds(levels: Levels) -> ThresholdsConfig:
    steps = [Threshold(value=value, color=color) for value, color in levels]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
