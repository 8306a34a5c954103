"""Alerts about the meter itself: no calls, calls that come late, calls without a price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from taximeter_alerts.alert import Notice, notice
from taximeter_alerts.state import State
from taximeter_collector.prices import what_helps
from taximeter_collector.store import Dimension, Period, Store

EVERY_S: Final = 60
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
WEEKS_COMPARED: Final = 3
LEAST_USUAL_CALLS: Final = 20
LONGEST_LAG_S: Final = 300
LEAST_UNPRICED: Final = 10
MODELS_NAMED: Final = 5
REASONS_NAMED: Final = 10


class OwnAlerts:
    """Looks at the meter as its owner would; each trouble is told once a day while it lasts."""

    def __init__(
        self,
        store: Store,
        state: State,
        lag_s: Callable[[], float],
        channels: tuple[str, ...],
    ) -> None:
        self._store = store
        self._state = state
        self._lag_s = lag_s
        self._channels = channels

    def look(self, now: datetime) -> list[Notice]:
        """Raise what is due; return the new notices."""
        if not self._channels:
            return []
        due = [*self._silence(now), *self._lag(now), *self._unpriced(now)]
        return [notice for notice in due if self._state.add(notice)]

    def _silence(self, now: datetime) -> Iterator[Notice]:
        """Tell of an hour without a call where the same hour of past weeks had some."""
        calls = [self._calls(now - week * WEEK) for week in range(WEEKS_COMPARED + 1)]
        if calls[0] == 0 and min(calls[1:]) >= LEAST_USUAL_CALLS:
            last = self._store.last_call_at()
            known = f"the last one is of {last:%d %b %H:%M} UTC" if last else "there never was one"
            yield self._notice(
                "no calls",
                "No calls for an hour",
                f"At this hour of the week there were at least {min(calls[1:]):,}; {known}. "
                "Do the apps still reach the collector?",
                now,
            )

    def _calls(self, now: datetime) -> int:
        return self._store.spend(Period(now - HOUR, now))[0].calls

    def _lag(self, now: datetime) -> Iterator[Notice]:
        lag_s = self._lag_s()
        if lag_s > LONGEST_LAG_S:
            yield self._notice(
                "ingest lag",
                f"Calls come {lag_s / 60:.0f} minutes late",
                "They are safe in the journal; the store does not take them fast enough. "
                "Budgets see them late, too. taximeter doctor says more.",
                now,
            )

    def _unpriced(self, now: datetime) -> Iterator[Notice]:
        rows = self._store.spend(Period(now - DAY, now), [Dimension.MODEL])
        found = [row for row in rows if row.unpriced_calls >= LEAST_UNPRICED]
        if found:
            found.sort(key=lambda row: -row.unpriced_calls)
            models = ", ".join(
                f"{row.key[0] or '(none)'} ({row.unpriced_calls:,})" for row in found[:MODELS_NAMED]
            )
            yield self._notice(
                "unpriced",
                "Calls without a known price",
                f"In the last day, by model: {models}. What they cost is in no sum. "
                "Why, and what helps: " + " ".join(self._mends(now)),
                now,
            )

    def _mends(self, now: datetime) -> Iterator[str]:
        """Yield what helps, with the reasons it helps against; the most calls first."""
        reasons = self._store.quality(Period(now - DAY, now).whole_hours()).unpriced_calls
        by_mend: dict[str, list[str]] = defaultdict(list)
        for reason, calls in islice(reasons.items(), REASONS_NAMED):
            by_mend[what_helps(reason)].append(f"{reason} ({calls:,})")
        for mend, against in by_mend.items():
            yield f"{', '.join(against)}: {mend}."

    def _notice(self, subject: str, title: str, text: str, now: datetime) -> Notice:
        return notice(f"meter: {subject}", title, text, now, self._channels)
