"""What the watch must not forget: SQLite for one process, Postgres for several."""

from taximeter_alerts.state.answers import Silence
from taximeter_alerts.state.database import StateUnavailable, condition_of
from taximeter_alerts.state.deliveries import Delivery, DeliveryState
from taximeter_alerts.state.revisions import Change, Origin, Revision
from taximeter_alerts.state.state import IN_MEMORY, Passed, State

__all__ = [
    "IN_MEMORY",
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
]
