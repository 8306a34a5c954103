"""Which thresholds a spend has crossed, and what is new about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from taximeter_alerts.alert import Alert, AlertKey, Kind, Story
from taximeter_alerts.budgets import Budget
from taximeter_alerts.scope_words import query_of_calls
from taximeter_alerts.spending import Spending

OVER: Final = 100
"""Percent of the limit from which a budget is over."""
CORRECTED_BY: Final = 5
"""Percentage points that spend must fall under a threshold before its alert is taken back."""
NO_STORY: Final = Story()


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
    return alert_of(
        one,
        keys[highest],
        now,
        also_passed=tuple(percent for percent in new if percent < highest),
        next_threshold=min(later, default=None),
    )


def correction(one: Spending, raised: Set[AlertKey], now: datetime) -> Alert | None:
    """Return what is told when spend fell well below a threshold that was told; once for each."""
    budget = one.budget
    told = [percent for percent in budget.thresholds if key_of(one, percent) in raised]
    if not told or budget.period.rolling_days:
        return None
    highest = max(told)
    key = key_of(one, highest, Kind.CORRECTION)
    if key in raised or one.spent.cost * 100 > budget.amount * (highest - CORRECTED_BY):
        return None
    return alert_of(one, key, now)


def outgrown(one: Spending, raised: Set[AlertKey], now: datetime) -> Alert | None:
    """Return what is told when the amount was raised beyond what was told; once for each."""
    budget = one.budget
    told = [
        key
        for key in raised
        if key.period_start == one.period.start
        and key.kind in (Kind.THRESHOLD, Kind.FORECAST)
        and key.amount < budget.amount
        and key.percent > one.percent
    ]
    if not told or one.percent >= OVER or budget.period.rolling_days:
        return None
    highest = max(told, key=lambda key: (key.threshold_usd, key.percent))
    key = replace(highest, kind=Kind.CORRECTION)
    return None if key in raised else alert_of(one, key, now)


def ended(told: Iterable[Alert], now: datetime) -> Iterator[Alert]:
    """Yield what takes alerts back whose budget is not watched any more: one for each subject.

    Of what was told, the oldest first, nothing that was taken back already.
    """
    highest: dict[str, Alert] = {}
    for one in sorted(told, key=lambda one: (one.key.threshold_usd, one.key.percent)):
        highest[one.subject_digest] = one
    for one in highest.values():
        if one.key.kind != Kind.CORRECTION:
            yield replace(
                one,
                key=replace(one.key, kind=Kind.ENDED),
                at=now,
                also_passed=(),
                next_threshold=None,
                top_features=(),
                story=NO_STORY,
            )


def alert_of(
    one: Spending,
    key: AlertKey,
    now: datetime,
    *,
    also_passed: tuple[int, ...] = (),
    next_threshold: int | None = None,
    story: Story = NO_STORY,
) -> Alert:
    return Alert(
        key=key,
        period=one.period,
        zone=one.budget.zone.key,
        limit=one.budget.amount,
        spent=one.spent.cost,
        unpriced_calls=one.spent.unpriced_calls,
        also_passed=also_passed,
        next_threshold=next_threshold,
        at=now,
        channels=one.budget.channels,
        owner=one.budget.owner,
        rolling_days=one.budget.period.rolling_days,
        revision=one.budget.digest,
        calls=query_of_calls(one.scope, one.period),
        story=story,
    )


def key_of(one: Spending, percent: int, kind: Kind = Kind.THRESHOLD) -> AlertKey:
    threshold_usd = (one.budget.amount * percent / 100).normalize()
    start = one.period.start
    return AlertKey(one.budget.name, start, kind, percent, threshold_usd, one.value)
