"""Environments to choose from on pages of spend and of calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from taximeter_api.kept import Kept
from taximeter_api.page import format as fmt
from taximeter_collector.store import Store

DAYS: Final = timedelta(days=90)
MOST: Final = 5


def environments(store: Store, kept: Kept, now: datetime) -> Sequence[str]:
    """Return those of the last 90 days with the most calls; none where there is no choice."""

    def take(now: datetime) -> list[str]:
        names = store.environments(now - DAYS, MOST)
        return [name for name in names if fmt.query("environment", name)]

    names, _ = kept.get("environments", now, take)
    return names if len(names) > 1 else []
