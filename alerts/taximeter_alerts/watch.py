"""The watch: compares what was spent with the budgets and raises what is due."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import Alert, due
from taximeter_alerts.state import State
from taximeter_collector.store import Dimension, Period, SpendRow, Store

log = logging.getLogger(__name__)

FEATURES_SHOWN = 3


def spent_by_budget(
    store: Store, budgets: Sequence[Budget], now: datetime
) -> list[tuple[Budget, Period, SpendRow]]:
    """Return the spend of each budget's current period, one query for all that share it."""
    by_period: dict[Period, list[Budget]] = defaultdict(list)
    for budget in budgets:
        by_period[budget.period_at(now)].append(budget)
    answers = {
        period: store.spent(period, {budget.name: budget.scope for budget in sharing})
        for period, sharing in by_period.items()
    }
    periods = [(budget, budget.period_at(now)) for budget in budgets]
    return [(budget, period, answers[period][budget.name]) for budget, period in periods]


def evaluate(store: Store, state: State, budgets: Sequence[Budget], now: datetime) -> list[Alert]:
    """Raise the alerts that are due; return the new ones."""
    spending = spent_by_budget(store, budgets, now)
    raised = state.raised([period.start for _, period, _ in spending])
    new = []
    for budget, period, spent in spending:
        alert = due(budget, spent, raised, now)
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
