"""What every dashboard has: variables, time, annotations, and the links to the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, QueryVariable, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from taximeter_dashboards import questions
from taximeter_dashboards.annotations import drawn_over
from taximeter_dashboards.clickhouse import DATASOURCE

TAG: Final = "taximeter"
AT_LEAST: Final = "Calls without a known price are not in it: it is at least this much."
WHOLE_DAYS: Final = "Whole UTC days, those of the range's ends included."
WHATEVER_IS_CHOSEN: Final = "Of all calls, whatever is chosen above."
FROM_CALLS: Final = (
    "No rollup has it: read from the calls, of the last seven days of the range at most."
)


def board_of(
    uid: str,
    title: str,
    description: str,
    *panels: Row | Builder[model.Panel],
    variables: Sequence[str] = (),
    charts: bool = True,
) -> Dashboard:
    """Build a dashboard; the uid is for ever. One without charts has nothing to draw over."""
    others = (
        DashboardLink("Taximeter")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=True)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )
    board = (
        Dashboard(f"Taximeter: {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("utc")
        .time("now-29d/d", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others)
        .annotations(list(drawn_over(variables)) if charts else [])
    )
    for name in variables:
        board.with_variable(_variable(name))
    for panel in panels:
        board.with_row(panel) if isinstance(panel, Row) else board.with_panel(panel)
    return board


def variable(name: str, label: str, description: str, sql: str) -> QueryVariable:
    """Offer what a query answers; without more, one value of it and the first one at first."""
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query({"refId": name, "queryType": "sql", "rawSql": sql})
        .definition(sql)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def several(offered: QueryVariable) -> QueryVariable:
    """Let several values or all be chosen, all at first."""
    return (
        offered.multi(multi=True)
        .include_all(include_all=True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _variable(name: str) -> QueryVariable:
    if name == "user":
        about = (
            "Only calls of these users. Offered are the 300 dearest of the range's last week; any "
            "other may be typed. Read from the sums of users, which no smaller rollup has."
        )
        offered = variable(name, "User", about, questions.DEAREST_USERS)
        return several(offered.allow_custom_value(allow_custom_value=True))
    about = f"Only calls of these values of {name}."
    sql = questions.offered_values_of(name)
    return several(variable(name, name.capitalize(), about, sql))
