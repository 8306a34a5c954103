"""Panels as this product draws them; a caller says what is asked and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, Row
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
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, FieldColorModeId
from grafana_foundation_sdk.models.units import Dollars

from taximeter_dashboards.clickhouse import DATASOURCE, Format, Query
from taximeter_dashboards.looks import (
    PLAIN,
    Column,
    Frame,
    Levels,
    Style,
    properties,
    styled,
    thresholds,
)

# A label column of this name makes one series of each of its values.
SERIES: Final = "series"

# An unknown is not zero, and a day without a row had no calls.
UNKNOWN: Final = "unknown"
NO_CALLS: Final = "no calls"

UNPRICED: Final = r".* \(no known price\)"
NOT_ZERO: Final = DynamicConfigValue(
    id_val="mappings", value=[{"type": "value", "options": {"0": {"text": UNKNOWN}}}]
)
"""A legend adds up no amounts to 0."""
OTHERS: Final = Style(names=r"\(others\).*", color="#8e8e8e")

NARROW: Final = 10
"""Of 24 columns: a legend beside the chart would take too much of it."""

_Panel = TypeVar("_Panel", stat.Panel, timeseries.Panel, table.Panel, bargauge.Panel)


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
        .thresholds(thresholds(levels))
        .no_value(NO_CALLS if per_day else UNKNOWN)
    )
    return panel if decimals is None else panel.decimals(decimals)


def bars(
    frame: Frame,
    sql: str,
    *,
    unit: str,
    named_by: str | None = SERIES,
    styles: Sequence[Style] = (),
) -> timeseries.Panel:
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
    if unit == Dollars:
        panel = panel.decimals(2).override_by_regexp(UNPRICED, [NOT_ZERO])
    return _with_styles(panel, [*styles, OTHERS])


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
    return _with_styles(panel, styles)


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
        .thresholds(thresholds(levels))
        .min(0)
    )
    return panel if most is None else panel.max(most).decimals(0)


def rows(
    frame: Frame, sql: str, columns: Sequence[Column], *, sorted_by: str, unit: str = "short"
) -> table.Panel:
    """Show rows; the columns' names are the headings, as the query names them."""
    query = Query(sql=sql, format=Format.TABLE)
    panel = _framed(table.Panel(), frame, query, unit).show_header(show_header=True).min_width(90)
    if sorted_by:
        field = common.TableSortByFieldState().display_name(sorted_by).desc(desc=True)
        panel = panel.sort_by([field])
    for column in columns:
        panel = panel.override_by_name(column.name, list(properties(column)))
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
    legend = common.VizLegendOptions().show_legend(show_legend=True)
    if frame.width > NARROW:
        legend = (
            legend.display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.RIGHT)
            .calcs(calculations)
            .sort_by(HEADINGS[calculations[-1]])
            .sort_desc(sort_desc=True)
        )
    else:
        legend = legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = (
        _framed(timeseries.Panel(), frame, query, unit)
        .legend(legend)
        .tooltip(tooltip)
        .axis_soft_min(0)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .thresholds(thresholds(PLAIN))
    )
    return panel.display_name(f"${{__field.labels.{named_by}}}") if named_by else panel


HEADINGS: Final = {"sum": "Total", "max": "Max", "min": "Min", "lastNotNull": "Last *"}
"""What a legend calls its calculations."""


def _with_styles(panel: timeseries.Panel, styles: Sequence[Style]) -> timeseries.Panel:
    for style in styles:
        panel = panel.override_by_regexp(style.names, list(styled(style)))
    return panel
