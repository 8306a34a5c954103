"""Columns of tables and their colours, those first that several dashboards share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.questions import WITH_USER

Levels = Sequence[tuple[float | None, str]]
"""Colours by the value from which they hold; None is below every value."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and how its values look."""

    name: str
    unit: str
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


WHOLE: Final = "locale"
"""Whole numbers, with their thousands apart."""

PLAIN: Final[Levels] = [(None, "text")]
BLUE: Final[Levels] = [(None, "blue")]
GREEN: Final[Levels] = [(None, "green")]
RED_FROM_ONE: Final[Levels] = [(None, "transparent"), (1, "red")]
GOOD_UNTIL: Final[Levels] = [(None, "green"), (0.01, "yellow"), (0.05, "red")]
GOOD_AT_NONE: Final[Levels] = [(None, "green"), (1, "red")]
OF_A_LIMIT: Final[Levels] = [(None, "green"), (0.75, "yellow"), (0.9, "orange"), (1, "red")]
SPENT: Final = Column("Spend", Dollars, decimals=2)
SHARE: Final = Column("Share", PercentUnit, decimals=0, bar=BLUE)
CALLS: Final = Column("Calls", WHOLE)
PER_1000: Final = Column("Per 1k calls", Dollars, decimals=4)
ERRORS: Final = Column("Errors", PercentUnit, decimals=1)
UNPRICED: Final = Column("Unpriced", Short, levels=RED_FROM_ONE, width=90)
INPUT_A_CALL: Final = Column("Input a call", WHOLE, decimals=0)
OUTPUT_A_CALL: Final = Column("Output a call", WHOLE, decimals=0)


def text(name: str, width: int | None = None, *, wraps: bool = False) -> Column:
    return Column(name, "string", width=width, wraps=wraps)


def linked(
    name: str,
    variable: str,
    uid: str,
    title: str,
    *,
    kept: Sequence[str] = WITH_USER,
    width: int | None = None,
) -> Column:
    """Give a column of names that lead to a dashboard of that name alone; `kept` are variables."""
    others = [f"${{{one}:queryparam}}" for one in kept if one != variable]
    this = f"var-{variable}=${{__value.raw:percentencode}}"
    url = f"/d/{uid}?" + "&".join(["${__url_time_range}", *others, this])
    return Column(name, "string", link=(title, url), width=width)


def counts(*names: str) -> list[Column]:
    return [Column(name, WHOLE) for name in names]


def dollars(*names: str) -> list[Column]:
    return [Column(name, Dollars, decimals=2) for name in names]


def properties(column: Column) -> list[DynamicConfigValue]:
    named: dict[str, object] = {"unit": column.unit}
    plain = {
        "decimals": column.decimals,
        "custom.width": column.width,
        "noValue": column.missing or None,
        "custom.wrapText": column.wraps or None,
    }
    named |= {name: value for name, value in plain.items() if value is not None}
    if column.bar is not None:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        named |= {"custom.cellOptions": cell, "min": 0, "max": 1}
        named["thresholds"] = thresholds(column.bar).build()
        named["color"] = {"mode": FieldColorModeId.THRESHOLDS}
    if column.levels is not None:
        named["thresholds"] = thresholds(column.levels).build()
        named["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.states or column.color:
        named["custom.cellOptions"] = {"type": "color-text"}
    if column.color:
        named["color"] = {"mode": FieldColorModeId.FIXED, "fixedColor": column.color}
    if column.states:
        options = {text: {"color": color} for text, color in column.states.items()}
        named["mappings"] = [{"type": "value", "options": options}]
    if column.link is not None:
        title, url = column.link
        named["links"] = [{"title": title, "url": url}]
    return [DynamicConfigValue(id_val=name, value=value) for name, value in named.items()]


def thresholds(levels: Levels) -> ThresholdsConfig:
    steps = [Threshold(value=value, color=color) for value, color in levels]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
