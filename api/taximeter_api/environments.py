"""Environments to choose from on pages of spend and of calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from taximeter_api.kept import Kept
from taximeter_api.page import format as fmt
from taximeter_api.questions import tomorrow
from taximeter_collector.store import Dimension, Period, Store

DAYS: Final = timedelta(days=90)
"""Whole ones, which are summed already."""
MOST: Final = 5


def environments(store: Store, kept: Kept, now: datetime) -> Sequence[str]:
    """Return those of the last 90 days, the dearest first; none where there is no choice."""

    def take(now: datetime) -> list[str]:
        end = tomorrow(now)
        rows = store.spend(Period(end - DAYS, end), [Dimension.ENVIRONMENT], limit=MOST)
        return [row.key[0] for row in rows if fmt.query("environment", row.key[0])]

    names, _ = kept.get("environments", now, take)
    return names if len(names) > 1 else []
