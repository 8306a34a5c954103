"""What the watch must not forget: SQLite for one process, Postgres for several."""

from taximeter_alerts.state.answers import Silence
from taximeter_alerts.state.database import StateUnavailable, condition_of
from taximeter_alerts.state.deliveries import (
    LEASE,
    LONGEST_WAIT,
    QUIET,
    SILENCED,
    Delivery,
    DeliveryState,
    is_of_now,
)
from taximeter_alerts.state.revisions import Change, Origin, Revision
from taximeter_alerts.state.state import IN_MEMORY, Passed, State, superseded

__all__ = [
    "IN_MEMORY",
    "LEASE",
    "LONGEST_WAIT",
    "QUIET",
    "SILENCED",
    "Change",
    "Delivery",
    "DeliveryState",
    "Origin",
    "Passed",
    "Revision",
    "Silence",
    "State",
    "StateUnavailable",
    "condition_of",
    "is_of_now",
    "superseded",
]
