"""The watch: compares what was spent with the budgets and raises what is due."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import Alert, due
from taximeter_alerts.state import State
from taximeter_collector.store import Dimension, Period, SpendRow, Store

log = logging.getLogger(__name__)

FEATURES_SHOWN = 3


def spent_by_budget(
    store: Store, watched: Iterable[tuple[Budget, Period]]
) -> list[tuple[Budget, Period, SpendRow]]:
    """Return the spend of budgets in periods, asked at once for all that share a period."""
    by_period: dict[Period, list[Budget]] = defaultdict(list)
    for budget, period in watched:
        by_period[period].append(budget)
    spending = []
    for period, sharing in by_period.items():
        spent = store.spent(period, {budget.name: budget.scope for budget in sharing})
        spending += [(budget, period, spent[budget.name]) for budget in sharing]
    return spending


def current(budgets: Sequence[Budget], now: datetime) -> list[tuple[Budget, Period]]:
    """Pair each budget with its current period."""
    return [(budget, budget.period_at(now)) for budget in budgets]


def evaluate(store: Store, state: State, budgets: Sequence[Budget], now: datetime) -> list[Alert]:
    """Raise the alerts that are due; return the new ones."""
    known_since = state.known_since([budget.name for budget in budgets], now)
    watched = [
        (budget, period)
        for budget in budgets
        for period in budget.periods_to_watch(now)
        if known_since[budget.name] < period.end
    ]
    spending = spent_by_budget(store, watched)
    alike = [set(budget.starts_alike(period)) for budget, period, _ in spending]
    raised = state.raised(sorted(set().union(*alike)))
    new = []
    for (budget, period, spent), starts in zip(spending, alike, strict=True):
        told = {
            replace(key, period_start=period.start)
            for key in raised
            if key.budget == budget.name and key.period_start in starts
        }
        alert = due(budget, period, spent, told, now)
        if alert is None:
            continue
        features = store.spend(period, [Dimension.FEATURE], budget.scope)[:FEATURES_SHOWN]
        alert = replace(alert, top_features=tuple((row.key[0], row.cost) for row in features))
        if state.add(alert):
            log.info(
                "a budget's threshold was crossed",
                extra={"budget": budget.name, "percent": alert.key.percent},
            )
            new.append(alert)
    return new
