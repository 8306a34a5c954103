"""The store of calls: the one place that knows ClickHouse.

`chdb:///path` is the engine in this process, `clickhouse://user:password@host:port` a server; both
speak through the same client. What only look-ups, re-pricing, reconciliations or the mirror speak
of is in the modules of these.
"""

from taximeter_collector.store.condition import Condition, condition_of
from taximeter_collector.store.errors import (
    QueryRefused,
    RowsRefused,
    StoreError,
    StoreInUse,
    StoreUnavailable,
)
from taximeter_collector.store.focus import Format
from taximeter_collector.store.habits import Habit
from taximeter_collector.store.keeping import Retention
from taximeter_collector.store.quality import Quality
from taximeter_collector.store.reading import Reader
from taximeter_collector.store.schema import pending_migrations
from taximeter_collector.store.scope import Dimension, Period, Scope
from taximeter_collector.store.spend_row import MEASURES, SpendRow, summed_by, total_of
from taximeter_collector.store.store import Store

__all__ = [
    "MEASURES",
    "Condition",
    "Dimension",
    "Format",
    "Habit",
    "Period",
    "Quality",
    "QueryRefused",
    "Reader",
    "Retention",
    "RowsRefused",
    "Scope",
    "SpendRow",
    "Store",
    "StoreError",
    "StoreInUse",
    "StoreUnavailable",
    "condition_of",
    "pending_migrations",
    "summed_by",
    "total_of",
]
