"""Panels as this product draws them; a caller says what is asked and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, Row, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BarAlignment,
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    BarGaugeSizing,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.units import Dollars

from taximeter_dashboards.clickhouse import DATASOURCE, Format, Query

# A label column of this name makes one series of each of its values.
SERIES: Final = "series"

# An unknown is not zero, and a day without a row had no calls.
UNKNOWN: Final = "unknown"
NO_CALLS: Final = "no calls"

Levels = Sequence[tuple[float | None, str]]
"""Colours by the value from which they hold; None is below every value."""

PLAIN: Final[Levels] = [(None, "text")]

_Panel = TypeVar("_Panel", stat.Panel, timeseries.Panel, table.Panel, bargauge.Panel)


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
    link: tuple[str, str] | None = None
    """Title and address."""
    width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the lines look whose names match."""

    names: str
    """A regular expression."""
    color: str
    width: int = 2
    fill: int = 0
    dash: Sequence[int] = ()


def row(panel_id: int, title: str) -> Row:
    return Row(title).id(panel_id)


def figure(
    frame: Frame,
    sql: str,
    *,
    unit: str,
    decimals: int | None = None,
    levels: Levels = PLAIN,
    per_day: bool = False,
    total: str = "sum",
) -> stat.Panel:
    """Show one number; `per_day` draws a series behind the number, which is its `total`."""
    query = Query(sql=sql, format=Format.TIME_SERIES if per_day else Format.TABLE)
    panel = (
        _framed(stat.Panel(), frame, query, unit)
        .reduce_options(common.ReduceDataOptions().calcs([total if per_day else "lastNotNull"]))
        .graph_mode(BigValueGraphMode.AREA if per_day else BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(levels))
        .no_value(NO_CALLS if per_day else UNKNOWN)
    )
    return panel if decimals is None else panel.decimals(decimals)


def bars(frame: Frame, sql: str, *, unit: str, named_by: str | None = SERIES) -> timeseries.Panel:
    """Stack bars, one colour a series, with each series' total beside them."""
    panel = (
        _drawn(frame, sql, unit=unit, named_by=named_by, calculations=["sum"])
        .draw_style(GraphDrawStyle.BARS)
        .bar_alignment(BarAlignment.AFTER)
        .bar_width_factor(0.8)
        .line_width(0)
        .fill_opacity(85)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    )
    return panel.decimals(2) if unit == Dollars else panel


def lines(
    frame: Frame,
    sql: str,
    *,
    unit: str,
    named_by: str | None = SERIES,
    calculations: Sequence[str] = ("mean", "max"),
    styles: Sequence[Style] = (),
) -> timeseries.Panel:
    """Draw one line a series."""
    panel = (
        _drawn(frame, sql, unit=unit, named_by=named_by, calculations=list(calculations))
        .draw_style(GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(0)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(span_nulls=True)
    )
    for style in styles:
        panel = panel.override_by_regexp(style.names, list(_styled(style)))
    return panel


def gauges(
    frame: Frame, sql: str, *, unit: str, levels: Levels, most: float | None = None
) -> bargauge.Panel:
    """Show a bar a row: a name and a number."""
    panel = (
        _framed(bargauge.Panel(), frame, Query(sql=sql, format=Format.TABLE), unit)
        .reduce_options(common.ReduceDataOptions().values(values=True).calcs([]).limit(12))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.GRADIENT)
        .name_placement(BarGaugeNamePlacement.TOP)
        .sizing(BarGaugeSizing.AUTO)
        .max_viz_height(60)
        .show_unfilled(show_unfilled=True)
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(levels))
        .min(0)
    )
    return panel if most is None else panel.max(most)


def rows(
    frame: Frame, sql: str, columns: Sequence[Column], *, sorted_by: str, unit: str = "short"
) -> table.Panel:
    """Show rows; the columns' names are the headings, as the query names them."""
    query = Query(sql=sql, format=Format.TABLE)
    panel = (
        _framed(table.Panel(), frame, query, unit)
        .show_header(show_header=True)
        .sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(desc=True)])
    )
    for column in columns:
        panel = panel.override_by_name(column.name, list(_properties(column)))
    return panel


def _framed(panel: _Panel, frame: Frame, query: Query, unit: str) -> _Panel:
    return (
        panel.id(frame.id)
        .title(frame.title)
        .description(frame.question)
        .span(frame.width)
        .height(frame.height)
        .datasource(DATASOURCE)
        .with_target(query)
        .unit(unit)
        .no_value(UNKNOWN)
    )


def _drawn(
    frame: Frame, sql: str, *, unit: str, named_by: str | None, calculations: list[str]
) -> timeseries.Panel:
    query = Query(sql=sql, format=Format.TIME_SERIES)
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.RIGHT)
        .show_legend(show_legend=True)
        .calcs(calculations)
        .sort_by(HEADINGS[calculations[-1]])
        .sort_desc(sort_desc=True)
    )
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = (
        _framed(timeseries.Panel(), frame, query, unit)
        .legend(legend)
        .tooltip(tooltip)
        .axis_soft_min(0)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .thresholds(_thresholds(PLAIN))
    )
    return panel.display_name(f"${{__field.labels.{named_by}}}") if named_by else panel


HEADINGS: Final = {"sum": "Total", "max": "Max", "min": "Min", "lastNotNull": "Last *"}
"""What a legend calls its calculations."""


def _styled(style: Style) -> list[DynamicConfigValue]:
    properties: dict[str, object] = {
        "color": {"mode": FieldColorModeId.FIXED, "fixedColor": style.color},
        "custom.lineWidth": style.width,
        "custom.fillOpacity": style.fill,
    }
    if style.dash:
        properties["custom.lineStyle"] = {"fill": "dash", "dash": list(style.dash)}
    return [DynamicConfigValue(id_val=name, value=value) for name, value in properties.items()]


def _properties(column: Column) -> list[DynamicConfigValue]:
    properties: dict[str, object] = {"unit": column.unit}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.width is not None:
        properties["custom.width"] = column.width
    if column.bar is not None:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        properties |= {"custom.cellOptions": cell, "min": 0, "max": 1}
        properties["thresholds"] = _thresholds(column.bar).build()
        properties["color"] = {"mode": FieldColorModeId.THRESHOLDS}
    if column.levels is not None:
        properties["thresholds"] = _thresholds(column.levels).build()
        properties["custom.cellOptions"] = {"type": "color-background"}
    if column.states or column.color:
        properties["custom.cellOptions"] = {"type": "color-text"}
    if column.color:
        properties["color"] = {"mode": FieldColorModeId.FIXED, "fixedColor": column.color}
    if column.states:
        options = {text: {"color": color} for text, color in column.states.items()}
        properties["mappings"] = [{"type": "value", "options": options}]
    if column.link is not None:
        title, url = column.link
        properties["links"] = [{"title": title, "url": url}]
    return [DynamicConfigValue(id_val=name, value=value) for name, value in properties.items()]


def _thresholds(levels: Levels) -> ThresholdsConfig:
    steps = [Threshold(value=value, color=color) for value, color in levels]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
