"""Spend in the columns of FOCUS 1.2 (https://focus.finops.org/focus-specification/v1-2/)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.resources import files
from typing import IO, Final, Literal

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.scope import Period, Scope
from taximeter_collector.store.spend import scope_condition

Format = Literal["csv", "parquet"]

ENGINE_FORMATS: Final = {"csv": "CSVWithNames", "parquet": "Parquet"}
SETTINGS: Final = {
    "date_time_output_format": "iso",
    "format_csv_null_representation": "",
    "max_execution_time": 600,
}

SQL: Final = files(__package__).joinpath("focus.sql").read_text("utf-8")


def focus(
    connection: Connection, period: Period, scope: Scope, form: Format
) -> AbstractContextManager[IO[bytes]]:
    """Give a file of the spend of whole days; calls without a price are left out."""
    condition, bound = scope_condition(scope)
    return connection.stream(
        SQL.replace("__CONDITION__", condition),
        {**bound, "start": period.start, "end": period.end},
        ENGINE_FORMATS[form],
        SETTINGS,
    )
