"""What tests do to a store that no program does."""

from __future__ import annotations

from taximeter_collector.store import Store
from taximeter_collector.store.keeping import ROLLUPS

TABLES = (
    "calls",
    "dirty_hours",
    "hours_done",
    "days_done",
    "user_days_done",
    "spend_hourly",
    "latency_hourly",
    "outcomes_hourly",
    "spend_daily",
    "users_daily",
    "reconciliations",
    "lost_spans",
    "repricings",
    "repricing_steps",
)


def empty(store: Store) -> None:
    for table in TABLES:
        store._connection.command(f"truncate table taximeter.{table}")


def keep_for_ever(store: Store) -> None:
    """Let no row age out: tests speak of fixed days."""
    for table in ("calls", *ROLLUPS):
        store._connection.command(f"alter table taximeter.{table} remove ttl")
