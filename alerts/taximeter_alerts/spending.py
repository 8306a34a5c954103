"""What was spent of budgets, asked of the store at once for all that can share a question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from taximeter_alerts.budgets import Budget
from taximeter_collector.store import Dimension, Period, Scope, SpendRow, Store

SMALLEST: Final = Decimal("0.000000000001")
NOTHING_TOLD: Final[Mapping[str, Decimal]] = {}


@dataclass(frozen=True, slots=True)
class Spending:
    """The spend of a budget, or of one value of a budget for each value, in a period."""

    budget: Budget
    period: Period
    spent: SpendRow
    value: str = ""

    @property
    def scope(self) -> Scope:
        if self.budget.each is None:
            return self.budget.scope
        return self.budget.scope.narrowed(self.budget.each, *([self.value] if self.value else []))

    @property
    def percent(self) -> Decimal:
        """Of the amount; endless where something is spent of nothing."""
        if self.budget.amount:
            return self.spent.cost * 100 / self.budget.amount
        return Decimal("Infinity" if self.spent.cost > 0 else 0)


def spending_of(
    store: Store,
    watched: Iterable[tuple[Budget, Period]],
    least_told: Mapping[str, Decimal] = NOTHING_TOLD,
) -> list[Spending]:
    """Return the spend of budgets in periods; whole ones that share a period share a query.

    Of a budget for each value: the values that reached its lowest threshold, or the lowest that
    was told, in US dollars, when its amount was another one.
    """
    spending = []
    by_period: dict[Period, list[Budget]] = defaultdict(list)
    for budget, period in watched:
        if budget.each is None:
            by_period[period].append(budget)
            continue
        lowest = budget.amount * budget.thresholds[0] / 100
        least = max(min(lowest, least_told.get(budget.name, lowest)), SMALLEST)
        rows = spent_by_value(store, budget, budget.each, period, least=least)
        spending += [Spending(budget, period, row, row.key[0]) for row in rows]
    for period, sharing in by_period.items():
        spent = store.spent(period, {budget.name: budget.scope for budget in sharing})
        spending += [Spending(budget, period, spent[budget.name]) for budget in sharing]
    return spending


def spent_by_value(
    store: Store,
    budget: Budget,
    each: Dimension,
    period: Period,
    *,
    limit: int | None = None,
    least: Decimal | None = None,
) -> list[SpendRow]:
    """Return what each value spent, the dearest first; calls without one are nobody's."""
    scope = budget.scope
    nobody = (*scope.without.get(each, ()), "")
    scope = replace(scope, without={**scope.without, each: nobody})
    return store.spend(period, [each], scope, limit, least)


def now_spent(store: Store, budgets: Sequence[Budget], now: datetime) -> list[Spending]:
    """Return the spend of each budget in its current period; the dearest value of split ones."""
    current = [(budget, budget.period_at(now)) for budget in budgets]
    spending = spending_of(store, [pair for pair in current if pair[0].each is None])
    for budget, period in current:
        if budget.each is not None:
            rows = spent_by_value(store, budget, budget.each, period, limit=1)
            row = rows[0] if rows else SpendRow.nothing()
            spending.append(Spending(budget, period, row, "".join(row.key)))
    return spending
