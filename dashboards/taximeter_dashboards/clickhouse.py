"""Queries for Grafana's ClickHouse plugin, and the conditions that they share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef

PLUGIN: Final = "grafana-clickhouse-datasource"
PLUGIN_VERSION: Final = "4.20.0"
DATASOURCE: Final = DataSourceRef(type_val=PLUGIN, uid="taximeter-clickhouse")

# Whole UTC days of both ends: a chart by day, its total and a table under it must agree. A Date
# refuses the text that `$__timeFilter` compares it with, and `$__dateFilter` cuts days in a zone
# that the panel does not choose.
IN_DAYS: Final = "day >= toDate($__fromTime, 'UTC') and day <= toDate($__toTime, 'UTC')"
START: Final = "toStartOfDay($__fromTime, 'UTC')"
END: Final = "toStartOfDay($__toTime, 'UTC') + interval 1 day"
IN_HOURS: Final = f"hour >= {START} and hour < {END}"

# Calls themselves are read where no rollup has what is asked: a week of them at most, or those of
# chosen users, which an index finds.
WEEK_START: Final = f"greatest({START}, toStartOfDay($__toTime, 'UTC') - interval 6 day)"
IN_LAST_WEEK: Final = f"toStartOfHour(ts) >= {WEEK_START} and ts >= {WEEK_START} and ts < {END}"

# A point an hour for a week, a point a day for longer.
IS_LONG: Final = "dateDiff('day', $__fromTime, $__toTime) > 8"
MOMENT: Final = f"if({IS_LONG}, toStartOfDay(hour), hour)"

BUDGET: Final = "concat(budget, if(value = '', '', concat(': ', value)))"
"""The name of a budget, and whose it is where each user or the like has one."""
COLUMNS: Final = {"user": "user_id", "budget": BUDGET}
"""Of the variables whose column has another name."""


class Format(IntEnum):
    """How the plugin shapes the rows of an answer."""

    TIME_SERIES = 0
    TABLE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Builder[Dataquery], Dataquery):
    """One query of a panel: the plugin's own model, which the SDK does not have."""

    sql: str
    format: Format

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": DATASOURCE,
            "refId": "A",
            "pluginVersion": PLUGIN_VERSION,
            "editorType": "sql",
            "rawSql": self.sql,
            "format": self.format,
        }


def named(column: str) -> str:
    """Name the values of a label, also where the app gave none.

    Grafana takes a variable's empty value for All, so an absent label needs a name of its own.
    """
    return f"if({column} = '', '(none)', {column})"


def chosen(*variables: str) -> str:
    """Keep the values that the variables hold; everything at All."""
    return "\n    and ".join(_chosen(variable) for variable in variables)


def values_of(variable: str) -> str:
    """Give what a variable holds as an array.

    The plugin joins values with quotes as they are, and no quoting format of Grafana escapes a
    backslash: a value could end the literal. Percent-encoded it can't hold what would.
    https://github.com/grafana/scenes/blob/main/packages/scenes/src/variables/interpolation/formatRegistry.ts
    """
    values = f"splitByChar('&', '${{{variable}:customqueryparam:v}}')"
    return f"arrayMap(pair -> decodeURLComponent(substring(pair, 3)), {values})"


def at_all(variable: str) -> str:
    """Hold only where a variable is at All."""
    return f"$__conditionalAll(1 = 0, ${variable})"


def or_else(variable: str, rows: str) -> str:
    """Take other rows where a variable is not at All, as the last condition of a select.

    The macro holds all of them: at All the engine does not even plan to read them.
    """
    return f"$__conditionalAll(1 = 0 union all select * from ({rows}), ${variable})"  # noqa: S608


def held(variable: str) -> str:
    """Keep the values that a variable holds, which is not at All."""
    return f"{named(COLUMNS.get(variable, variable))} in ({values_of(variable)})"


def _chosen(variable: str) -> str:
    return f"$__conditionalAll({held(variable)}, ${variable})"
