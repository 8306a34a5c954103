"""The watch: compares what was spent with the budgets and raises what is due."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from taximeter_alerts.alert import MOST_SINGLY, Alert, AlertKey, Kind
from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import OVER, correction, due, ended, key_of, outgrown
from taximeter_alerts.register import Register
from taximeter_alerts.schedule import Pace
from taximeter_alerts.spending import Spending, spending_of
from taximeter_alerts.state import Silence, State
from taximeter_alerts.story import story_of
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Dimension, Period, Store

log = logging.getLogger(__name__)

FEATURES_SHOWN = 3
LARGEST_LOAD: Final = 0.1
"""The part of a core that budgets for each value may cost."""


class Watch:
    """Evaluates the budgets at every tick, those for each value as often as their cost allows."""

    def __init__(
        self, store: Store, state: State, register: Register, book: Callable[[], PriceBook]
    ) -> None:
        self._store = store
        self._state = state
        self._register = register
        self._book = book
        self._for_each = Pace(LARGEST_LOAD)
        self._watched: Set[str] | None = None

    def tick(self, now: datetime) -> None:
        budgets = self._register.in_force(now)
        self._end({budget.name for budget in budgets}, now)
        self._evaluate([one for one in budgets if one.each is None], now)
        self._for_each.run(lambda: self._evaluate([one for one in budgets if one.each], now))

    def _end(self, watched: Set[str], now: datetime) -> None:
        """Take back what was told of budgets that were deleted or paused, also before the start."""
        before = self._state.known_since([], now).keys() if self._watched is None else self._watched
        for name in sorted(before - watched):
            for alert in ended(self._state.open_alerts(name, now), now):
                self._state.add(alert)
        self._watched = watched

    def _evaluate(self, budgets: Sequence[Budget], now: datetime) -> None:
        evaluate(self._store, self._state, budgets, now, self._book())


def evaluate(
    store: Store,
    state: State,
    budgets: Sequence[Budget],
    now: datetime,
    book: PriceBook | None = None,
) -> list[Alert]:
    """Raise the alerts that are due; return the new ones."""
    watched = list(_watched(state, budgets, now))
    told = _told(state, watched)
    spending = spending_of(store, watched, _least_told(told))
    alerts = [
        (alert, one)
        for one in spending
        for raised in [told[one.budget.name, one.value]]
        # What closes an incident comes after what may open it.
        for alert in (
            due(one, raised, now) or correction(one, raised, now),
            outgrown(one, raised, now),
        )
        if alert is not None
    ]
    alerts.sort(key=lambda pair: -pair[0].spent)
    over = [one for one in spending if _was_over(one, told[one.budget.name, one.value])]
    silences = state.silences.at(now) if alerts else []
    new = []
    in_full = len(alerts) <= MOST_SINGLY
    for alert, one in alerts:
        full = _in_full(store, alert, one, now, book or PriceBook.shipped()) if in_full else alert
        opens = alert.key.kind == Kind.THRESHOLD
        heard = [other for other in over if opens and not _is_silenced(other, silences)]
        if state.add(full, _inhibited(one, heard)):
            if opens and alert.is_over:
                over.append(one)
            new.append(full)
    return new


def _watched(
    state: State, budgets: Sequence[Budget], now: datetime
) -> Iterator[tuple[Budget, Period]]:
    known_since = state.known_since([budget.name for budget in budgets], now)
    for budget in budgets:
        for period in budget.periods_to_watch(now):
            if known_since[budget.name] < period.end:
                yield budget, period


def _told(
    state: State, watched: Iterable[tuple[Budget, Period]]
) -> Mapping[tuple[str, str], set[AlertKey]]:
    """Return what was raised, by budget and value, as if of the periods that are watched."""
    alike: dict[str, dict[datetime, set[datetime]]] = defaultdict(lambda: defaultdict(set))
    for budget, period in watched:
        for start in budget.starts_alike(period):
            alike[budget.name][start].add(period.start)
    told: dict[tuple[str, str], set[AlertKey]] = defaultdict(set)
    starts = set().union(*alike.values()) if alike else set()
    for key in state.raised(sorted(starts)):
        for start in alike[key.budget].get(key.period_start, ()):
            told[key.budget, key.value].add(replace(key, period_start=start))
    return told


def _least_told(told: Mapping[tuple[str, str], Set[AlertKey]]) -> Mapping[str, Decimal]:
    """Return the lowest threshold that was told of each budget, in US dollars."""
    least: dict[str, Decimal] = {}
    for key in set().union(*told.values()):
        if key.kind == Kind.THRESHOLD:
            least[key.budget] = min(key.threshold_usd, least.get(key.budget, key.threshold_usd))
    return least


def _was_over(one: Spending, raised: Set[AlertKey]) -> bool:
    return any(
        percent >= OVER and key_of(one, percent) in raised for percent in one.budget.thresholds
    )


def _is_silenced(one: Spending, silences: Sequence[Silence]) -> bool:
    return any(silence.covers(key_of(one, OVER)) for silence in silences)


def _inhibited(one: Spending, over: Sequence[Spending]) -> set[str]:
    """Return the channels that were told that a budget which holds this one is over its limit."""
    holding = [
        other
        for other in over
        if other.budget.name != one.budget.name
        and other.period == one.period
        and other.scope.holds(one.scope)
        and not one.scope.holds(other.scope)
    ]
    return {channel for other in holding for channel in other.budget.channels}


def _in_full(store: Store, alert: Alert, one: Spending, now: datetime, book: PriceBook) -> Alert:
    """Return the alert with its story; without one rather than not at all."""
    try:
        features = store.spend(one.period, [Dimension.FEATURE], one.scope)[:FEATURES_SHOWN]
        return replace(
            alert,
            top_features=tuple((row.key[0], row.cost) for row in features),
            story=story_of(store, one, now, book),
        )
    except Exception:
        log.exception("an alert is told without its story", extra={"budget": alert.key.budget})
        return alert
