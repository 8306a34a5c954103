"""Copies what the watch says into the store, where dashboards read it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from taximeter_alerts.alert import Alert
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.spending import Spending, now_spent
from taximeter_alerts.state import Delivery, State
from taximeter_alerts.story import by_hour_of, forecast_for
from taximeter_collector.store import (
    AlertLine,
    BudgetLine,
    FindingLine,
    Mirror,
    Store,
)

EVERY_S: Final = 60
LARGEST_LOAD: Final = 0.05
NEWEST_DELIVERIES: Final = 500
FINDINGS_EVERY: Final = timedelta(hours=1)


class Mirroring:
    def __init__(self, store: Store, state: State, register: Register, savings: Savings) -> None:
        self._store = store
        self._state = state
        self._register = register
        self._savings = savings
        self._again_at: datetime | None = None
        self._findings_at: datetime | None = None

    def tick(self, now: datetime) -> None:
        """Copy what is known now, as often as its cost allows."""
        if self._again_at is not None and now < self._again_at:
            return
        began = time.monotonic()
        self.copy(now)
        self._again_at = now + timedelta(seconds=time.monotonic() - began) / LARGEST_LOAD

    def copy(self, now: datetime) -> None:
        spending = now_spent(self._store, self._register.in_force(now), now)
        self._store.keep_mirror(Mirror.BUDGETS, [self._budget(one, now) for one in spending])
        newest = self._state.deliveries.newest(NEWEST_DELIVERIES)
        self._store.keep_mirror(Mirror.ALERTS, [_alert(one, now) for one in newest])
        if self._findings_at is None or now - self._findings_at >= FINDINGS_EVERY:
            self._findings_at = now
            lines = [
                FindingLine(
                    taken_at=now,
                    kind=one.kind,
                    feature=one.feature,
                    model=one.model,
                    advice=one.advice,
                    evidence=one.evidence,
                    usd_a_month=round(one.usd_a_month, 12),
                    confidence=one.confidence,
                )
                for one in self._savings.at(now)[0]
            ]
            self._store.keep_mirror(Mirror.FINDINGS, lines)

    def _budget(self, one: Spending, now: datetime) -> BudgetLine:
        forecast = None
        if one.budget.each is None:
            forecast = forecast_for(one, by_hour_of(self._store, one, now), now)
        return BudgetLine(
            budget=one.budget.name,
            value=one.value,
            period_start=one.period.start,
            period_end=one.period.end,
            amount=one.budget.amount,
            spent=one.spent.cost,
            unpriced_calls=one.spent.unpriced_calls,
            forecast=None if forecast is None else forecast.total,
            thresholds=one.budget.thresholds,
            taken_at=now,
        )


def _alert(one: Delivery, now: datetime) -> AlertLine:
    told = one.alert
    return AlertLine(
        at=told.at,
        id=told.key.digest,
        channel=one.channel,
        budget=told.key.budget,
        value=told.key.value,
        kind=told.key.kind,
        percent=told.key.percent,
        spent=told.spent if isinstance(told, Alert) else None,
        amount=told.limit if isinstance(told, Alert) else None,
        state=one.state,
        attempts=one.attempts,
        error=one.error,
        taken_at=now,
    )
