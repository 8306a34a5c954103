"""How panels look: where they stand, their columns, series and colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import GraphDrawStyle
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

Levels = Sequence[tuple[float | None, str]]
"""Colours by the value from which they hold; None is below every value."""

PLAIN: Final[Levels] = [(None, "text")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every panel has. The id is for ever: links and alerts name it."""

    id: int
    title: str
    question: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: its heading, and how its values look."""

    name: str
    unit: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the series look whose names match."""

    names: str
    """A regular expression."""
    color: str
    width: int | None = None
    fill: int | None = None
    dash: Sequence[int] = ()
    as_points: bool = False


def styled(style: Style) -> list[DynamicConfigValue]:
    named: dict[str, object] = {
        "color": {"mode": FieldColorModeId.FIXED, "fixedColor": style.color}
    }
    if style.width is not None:
        named["custom.lineWidth"] = style.width
    if style.fill is not None:
        named["custom.fillOpacity"] = style.fill
    if style.as_points:
        named |= {"custom.drawStyle": GraphDrawStyle.POINTS, "custom.pointSize": 9}
    if style.dash:
        named["custom.lineStyle"] = {"fill": "dash", "dash": list(style.dash)}
    return [DynamicConfigValue(id_val=name, value=value) for name, value in named.items()]


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
