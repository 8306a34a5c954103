"""The store of calls: the one place that knows ClickHouse.

`chdb:///path` is the engine in this process, `clickhouse://user:password@host:port` a server; both
speak through the same client.
"""

from taximeter_collector.store.calls import CallDetail, Only
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
from taximeter_collector.store.lookup import Clue, Found, FoundCall, ListedCall
from taximeter_collector.store.mirror import (
    AlertLine,
    BudgetLine,
    FindingLine,
    MeterLine,
    Mirror,
    MonthLine,
)
from taximeter_collector.store.quality import Quality
from taximeter_collector.store.reading import Reader
from taximeter_collector.store.reconciliations import (
    ITEMS,
    TOKEN_ITEMS,
    TOOL_ITEMS,
    BilledDay,
    BilledLine,
    Cause,
    CauseKind,
    Gap,
    OwnUse,
    Reconciliation,
)
from taximeter_collector.store.repricing import RepricedModel, Repricing, Span, Step, summed
from taximeter_collector.store.schema import pending_migrations
from taximeter_collector.store.scope import Dimension, Period, Scope
from taximeter_collector.store.spend import MEASURES, SpendRow, summed_by, total_of
from taximeter_collector.store.store import Store

__all__ = [
    "ITEMS",
    "MEASURES",
    "TOKEN_ITEMS",
    "TOOL_ITEMS",
    "AlertLine",
    "BilledDay",
    "BilledLine",
    "BudgetLine",
    "CallDetail",
    "Cause",
    "CauseKind",
    "Clue",
    "Condition",
    "Dimension",
    "FindingLine",
    "Format",
    "Found",
    "FoundCall",
    "Gap",
    "Habit",
    "ListedCall",
    "MeterLine",
    "Mirror",
    "MonthLine",
    "Only",
    "OwnUse",
    "Period",
    "Quality",
    "QueryRefused",
    "Reader",
    "Reconciliation",
    "RepricedModel",
    "Repricing",
    "Retention",
    "RowsRefused",
    "Scope",
    "Span",
    "SpendRow",
    "Step",
    "Store",
    "StoreError",
    "StoreInUse",
    "StoreUnavailable",
    "condition_of",
    "pending_migrations",
    "summed",
    "summed_by",
    "total_of",
]
