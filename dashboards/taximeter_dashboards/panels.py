"""Panels as this product draws them; a caller says what is asked and how wide it is, of 24."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from taximeter_dashboards.columns import PLAIN, Levels, Table, properties, thresholds

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

NARROW: Final = 10
"""Of 24 columns: a legend beside the chart would take too much of it."""
HEADINGS: Final = {"sum": "Total", "max": "Max", "min": "Min", "lastNotNull": "Last *"}
"""What a legend calls its calculations."""

_Look = TypeVar("_Look", stat.Panel, timeseries.Panel, table.Panel, bargauge.Panel)


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


OTHERS: Final = Style(names=r"\(others\).*", color="#8e8e8e")


def row(number: int, title: str) -> Row:
    return Row(title).id(number)


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel and the question that it answers; a method draws the answer of some SQL."""

    number: int
    """For ever: links and alerts name it."""
    title: str
    question: str

    def figure(
        self,
        sql: str,
        unit: str,
        *,
        width: int = 4,
        decimals: int | None = None,
        levels: Levels = PLAIN,
        total: str = "",
    ) -> stat.Panel:
        """Show one number; with a `total` it is that of a series a day, drawn behind it."""
        query = Query(sql=sql, format=Format.TIME_SERIES if total else Format.TABLE)
        panel = (
            self._framed(stat.Panel(), query, unit, width, 4)
            .reduce_options(common.ReduceDataOptions().calcs([total or "lastNotNull"]))
            .graph_mode(BigValueGraphMode.AREA if total else BigValueGraphMode.NONE)
            .color_mode(BigValueColorMode.VALUE)
            .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
            .thresholds(thresholds(levels))
            .no_value(NO_CALLS if total else UNKNOWN)
        )
        return panel if decimals is None else panel.decimals(decimals)

    def bars(
        self,
        sql: str,
        unit: str,
        *,
        width: int = 12,
        height: int = 9,
        named_by: str | None = SERIES,
        styles: Sequence[Style] = (),
    ) -> timeseries.Panel:
        """Stack bars, one colour a series, with each series' total beside them."""
        panel = (
            self._drawn(sql, unit, width, height, named_by, ["sum"])
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
        self,
        sql: str,
        unit: str,
        *,
        width: int = 12,
        height: int = 9,
        named_by: str | None = SERIES,
        calculations: Sequence[str] = ("mean", "max"),
        styles: Sequence[Style] = (),
    ) -> timeseries.Panel:
        """Draw one line a series."""
        panel = (
            self._drawn(sql, unit, width, height, named_by, calculations)
            .draw_style(GraphDrawStyle.LINE)
            .line_width(2)
            .fill_opacity(0)
            .show_points(VisibilityMode.AUTO)
            .span_nulls(span_nulls=True)
        )
        return _with_styles(panel, styles)

    def gauges(
        self, sql: str, unit: str, *, levels: Levels, width: int, height: int = 9
    ) -> bargauge.Panel:
        """Show a bar a row: a name and a number."""
        query = Query(sql=sql, format=Format.TABLE)
        return (
            self._framed(bargauge.Panel(), query, unit, width, height)
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

    def rows(
        self,
        asked: Table,
        *,
        sorted_by: str = "",
        width: int = 24,
        height: int = 9,
        unit: str = "short",
    ) -> table.Panel:
        """Show rows of a table."""
        query = Query(sql=asked.sql, format=Format.TABLE)
        panel = self._framed(table.Panel(), query, unit, width, height)
        panel = panel.show_header(show_header=True).min_width(90)
        if sorted_by:
            field = common.TableSortByFieldState().display_name(sorted_by).desc(desc=True)
            panel = panel.sort_by([field])
        for column in asked.columns:
            if look := properties(column):
                panel = panel.override_by_name(column.name, look)
        return panel

    def _framed(self, panel: _Look, query: Query, unit: str, width: int, height: int) -> _Look:
        return (
            panel.id(self.number)
            .title(self.title)
            .description(self.question)
            .span(width)
            .height(height)
            .datasource(DATASOURCE)
            .with_target(query)
            .unit(unit)
            .no_value(UNKNOWN)
        )

    def _drawn(
        self,
        sql: str,
        unit: str,
        width: int,
        height: int,
        named_by: str | None,
        calculations: Sequence[str],
    ) -> timeseries.Panel:
        query = Query(sql=sql, format=Format.TIME_SERIES)
        legend = common.VizLegendOptions().show_legend(show_legend=True)
        if width > NARROW:
            legend = (
                legend.display_mode(LegendDisplayMode.TABLE)
                .placement(LegendPlacement.RIGHT)
                .calcs(list(calculations))
                .sort_by(HEADINGS[calculations[-1]])
                .sort_desc(sort_desc=True)
            )
        else:
            legend = legend.display_mode(LegendDisplayMode.LIST)
            legend = legend.placement(LegendPlacement.BOTTOM)
        tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
        panel = (
            self._framed(timeseries.Panel(), query, unit, width, height)
            .legend(legend)
            .tooltip(tooltip.sort(SortOrder.DESCENDING))
            .axis_soft_min(0)
            .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
            .thresholds(thresholds(PLAIN))
        )
        return panel.display_name(f"${{__field.labels.{named_by}}}") if named_by else panel


def _with_styles(panel: timeseries.Panel, styles: Sequence[Style]) -> timeseries.Panel:
    for style in styles:
        panel = panel.override_by_regexp(style.names, _styled(style))
    return panel


def _styled(style: Style) -> list[DynamicConfigValue]:
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
