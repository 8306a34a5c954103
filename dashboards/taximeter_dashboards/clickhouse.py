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
IN_MOMENTS: Final = f"ts >= {START} and ts < {END}"


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


def chosen(*columns: str) -> str:
    """Keep the values that the variables of the same names hold; everything at All."""
    return "\n    and ".join(_chosen(column) for column in columns)


def _chosen(column: str) -> str:
    # The plugin joins values with quotes as they are, and no quoting format of Grafana escapes a
    # backslash: a value could end the literal. Percent-encoded it can't hold what would.
    # https://github.com/grafana/scenes/blob/main/packages/scenes/src/variables/interpolation/formatRegistry.ts
    values = f"splitByChar('&', '${{{column}:customqueryparam:v}}')"
    decoded = f"arrayMap(pair -> decodeURLComponent(substring(pair, 3)), {values})"
    return f"$__conditionalAll({named(column)} in ({decoded}), ${column})"
