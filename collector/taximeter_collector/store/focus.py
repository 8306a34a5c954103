"""Spend in the columns of FOCUS 1.2 (https://focus.finops.org/focus-specification/v1-2/)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.resources import files
from typing import IO, Final, Literal

from taximeter_collector.store.connection import Connected
from taximeter_collector.store.question import calls_within
from taximeter_collector.store.scope import Period, Scope

Format = Literal["csv", "parquet"]

ENGINE_FORMATS: Final = {"csv": "CSVWithNames", "parquet": "Parquet"}
SETTINGS: Final = {
    "date_time_output_format": "iso",
    "format_csv_null_representation": "",
    "max_execution_time": 600,
}

SQL: Final = files(__package__).joinpath("focus.sql").read_text("utf-8")


class FocusExport(Connected):
    def focus(
        self, period: Period, scope: Scope, form: Format
    ) -> AbstractContextManager[IO[bytes]]:
        """Give a file of the spend of whole days; calls without a price are left out."""
        condition, bound = calls_within(period, scope)
        return self._connection.stream(
            SQL.replace("__CONDITION__", condition),
            bound,
            ENGINE_FORMATS[form],
            SETTINGS,
        )
