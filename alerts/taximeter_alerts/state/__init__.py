"""What the watch must not forget: SQLite for one process, Postgres for several."""

from taximeter_alerts.state.database import StateUnavailable
from taximeter_alerts.state.revisions import Change, Origin, Revision
from taximeter_alerts.state.state import (
    LEASE,
    LONGEST_WAIT,
    Delivery,
    DeliveryState,
    State,
    superseded,
)

__all__ = [
    "LEASE",
    "LONGEST_WAIT",
    "Change",
    "Delivery",
    "DeliveryState",
    "Origin",
    "Revision",
    "State",
    "StateUnavailable",
    "superseded",
]
