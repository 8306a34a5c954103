"""Views of sums with their open hours and days written in, where one process makes all changes.

A view finds out at every question what is open, and is planned for all that might be: two thirds of
the time of a question. The embedded engine has one writer, this process, which knows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from taximeter_collector.store.scope import DAY, Period, ceiling, floor

OPEN: Final = """
select
    (select groupArray(hour) from taximeter.open_hours),
    (select groupArray(day) from taximeter.open_days),
    (select groupArray(day) from taximeter.open_user_days)
"""
VIEWS: Final = """
select name, as_select
from system.tables
where database = 'taximeter' and engine = 'View' and name like '%\\_by\\_%'
"""
ASKED: Final = re.compile(r"\(SELECT groupArray\(\w+\) FROM taximeter\.(open_\w+)\)")
ONLY_OPEN: Final = re.compile(r"(?<!NOT )has\(\[\]|arrayJoin\(\(?\[\]")
VIEW: Final = re.compile(r"\btaximeter\.(\w+_by_(?:hour|day))\b")
MOST: Final = 200
"""Moments that a statement names; with more it is quicker to let the engine find them."""

Rows = Sequence[Sequence[Any]]


class Unsettled(NamedTuple):
    """What is summed from calls."""

    hours: frozenset[datetime]
    days: frozenset[date]
    user_days: frozenset[date]

    def within(self, period: Period) -> Mapping[str, str]:
        """Return as SQL what is open on the days of a period, by the views that tell it."""
        days = Period(floor(period.start, DAY), ceiling(period.end, DAY))
        first, last = days.start.date(), days.end.date()
        return {
            "open_hours": _listed(
                f"toDateTime({hour.timestamp():.0f}, 'UTC')"
                for hour in self.hours
                if days.start <= hour < days.end
            ),
            "open_days": _listed(f"toDate('{day}')" for day in self.days if first <= day < last),
            "open_user_days": _listed(
                f"toDate('{day}')" for day in self.user_days if first <= day < last
            ),
        }


class Folding:
    """Keeps what is open, and reads views as what they are just now."""

    def __init__(self, read: Callable[[str], Rows]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: Unsettled | None = None
        self._changes = 0
        self._views: dict[str, list[str]] = {}

    def marked(self, hours: Iterable[datetime]) -> None:
        """Note that calls of these hours change from now on."""
        with self._lock:
            known, days = self._known, frozenset(hour.date() for hour in hours)
            if known is None or not known.hours.issuperset(hours):
                self._changes += 1
            if known is not None:
                self._known = Unsettled(
                    known.hours.union(hours), known.days | days, known.user_days | days
                )

    def changed(self) -> None:
        """Note that other sums are in force, or are about to be made."""
        with self._lock:
            self._known = None
            self._changes += 1

    def folded(self, sql: str, period: Period) -> tuple[str, int]:
        """Return the statement for what is open now, and the number of changes until then."""
        known, changes = self._now()
        if len(known.hours) + len(known.days) + len(known.user_days) > MOST:
            return sql, changes
        open_moments = known.within(period)

        def of_view(found: re.Match[str]) -> str:
            branches = [
                ASKED.sub(lambda asked: open_moments[asked[1]], one)
                for one in self._views[found[1]]
            ]
            needed = [one for one in branches if not ONLY_OPEN.search(one)]
            return f"({' UNION ALL '.join(needed)})"

        return VIEW.sub(of_view, sql), changes

    def is_unchanged(self, changes: int) -> bool:
        with self._lock:
            return self._changes == changes

    def _now(self) -> tuple[Unsettled, int]:
        with self._lock:
            known, changes = self._known, self._changes
        if known is None:
            if not self._views:
                self._views = {name: text.split(" UNION ALL ") for name, text in self._read(VIEWS)}
            known = Unsettled(*map(frozenset, self._read(OPEN)[0]))
            with self._lock:
                if self._changes == changes:
                    self._known = known
        return known, changes


def _listed(moments: Iterable[str]) -> str:
    return f"[{', '.join(moments)}]"
