"""What every dashboard has: variables, time, and the links to the others."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, QueryVariable
from grafana_foundation_sdk.models import dashboard as model

from taximeter_dashboards import questions
from taximeter_dashboards.clickhouse import DATASOURCE

TAG: Final = "taximeter"
AT_LEAST: Final = "Calls without a known price are not in it: it is at least this much."
WHOLE_DAYS: Final = "Whole UTC days, those of the range's ends included."


def board_of(uid: str, title: str, description: str) -> Dashboard:
    """Begin a dashboard; the uid is for ever."""
    others = (
        DashboardLink("Taximeter")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=True)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )
    return (
        Dashboard(f"Taximeter: {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("utc")
        .time("now-29d/d", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others)
        .variables([_variable(name) for name in questions.VARIABLES])
    )


def _variable(column: str) -> QueryVariable:
    sql = questions.values_of(column)
    return (
        QueryVariable(column)
        .label(column.capitalize())
        .description(f"Only calls of these values of {column}.")
        .datasource(DATASOURCE)
        .query({"refId": column, "queryType": "sql", "rawSql": sql})
        .definition(sql)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
