"""Which thresholds a spend has crossed, and what is new about it. Pure."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from taximeter_alerts.budgets import Budget
from taximeter_alerts.spending import Spending
from taximeter_collector.store import Period


@dataclass(frozen=True, slots=True, order=True)
class AlertKey:
    """What makes an alert the same one: it is raised once, whoever evaluates and how often."""

    budget: str
    period_start: datetime
    kind: str
    percent: int
    threshold_usd: Decimal
    value: str = ""
    """Whose budget it is, of one for each user or the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The facts of a threshold crossed, as they were when it was noticed."""

    key: AlertKey
    period: Period
    zone: str
    limit: Decimal
    spent: Decimal
    unpriced_calls: int
    also_passed: tuple[int, ...]
    """Lower thresholds crossed in the same moment; this alert speaks for them."""
    next_threshold: int | None
    at: datetime
    channels: tuple[str, ...]
    owner: str
    top_features: tuple[tuple[str, Decimal], ...] = ()
    rolling_days: int = 0
    """Of a period that moves on every day; 0 for one that ends."""


def crossed(budget: Budget, spend: Decimal) -> list[int]:
    """Return the thresholds in percent that the spend has reached."""
    if spend <= 0:
        return []
    return [percent for percent in budget.thresholds if spend * 100 >= budget.amount * percent]


def due(one: Spending, raised: Set[AlertKey], now: datetime) -> Alert | None:
    """Return the alert for what was crossed and not raised yet: one, for the highest threshold."""
    budget, spent = one.budget, one.spent
    keys = {percent: key_of(one, percent) for percent in crossed(budget, spent.cost)}
    new = [percent for percent, key in keys.items() if key not in raised]
    if not new:
        return None
    highest = max(new)
    if any(percent > highest for percent in keys):
        return None  # a threshold added below one that was already raised is no news
    later = [percent for percent in budget.thresholds if percent > highest]
    return Alert(
        key=keys[highest],
        period=one.period,
        zone=budget.zone.key,
        limit=budget.amount,
        spent=spent.cost,
        unpriced_calls=spent.unpriced_calls,
        also_passed=tuple(percent for percent in new if percent < highest),
        next_threshold=min(later, default=None),
        at=now,
        channels=budget.channels,
        owner=budget.owner,
        rolling_days=budget.period.rolling_days,
    )


def key_of(one: Spending, percent: int) -> AlertKey:
    threshold_usd = (one.budget.amount * percent / 100).normalize()
    start = one.period.start
    return AlertKey(one.budget.name, start, "threshold", percent, threshold_usd, one.value)
