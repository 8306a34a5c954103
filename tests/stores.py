"""What tests do to a store that no program does."""

from __future__ import annotations

from taximeter_collector.store import Store
from taximeter_collector.store.rollups import NOTES, ROLLUPS

TABLES = (
    "calls",
    "dirty_hours",
    *NOTES,
    *ROLLUPS,
    "reconciliations",
    "lost_spans",
    "repricings",
    "repricing_steps",
    "budget_lines",
    "alert_log",
    "finding_lines",
    "month_forecasts",
    "prompt_versions",
    "meter_lines",
)


def empty(store: Store, *tables: str) -> None:
    """Empty the tables named, or all."""
    for table in tables or TABLES:
        database = store._connection.shard_database
        store._connection.command(f"truncate table {database}.{table}")


def keep_for_ever(store: Store) -> None:
    """Let no row age out: tests speak of fixed days."""
    for table in ("calls", *ROLLUPS):
        store._connection.alter(table, "remove ttl")
