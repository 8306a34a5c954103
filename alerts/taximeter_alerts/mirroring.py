"""Copies what the watch says into the store, where dashboards read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from taximeter_alerts.alert import Alert
from taximeter_alerts.budgets import Budget
from taximeter_alerts.register import Register
from taximeter_alerts.savings import FRESH_FOR, Savings
from taximeter_alerts.spending import Spending, now_spent, spending_of
from taximeter_alerts.state import Delivery, State
from taximeter_alerts.story import by_day_of, by_hour_of, course_of, forecast_for
from taximeter_collector.store import Dimension, Store
from taximeter_collector.store.mirror import (
    AlertLine,
    BudgetLine,
    FindingLine,
    MeterLine,
    Mirror,
    MonthLine,
)

EVERY_S: Final = 60
LARGEST_LOAD: Final = 0.05
"""The part of a core that it may cost."""
NEWEST_DELIVERIES: Final = 500
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATE: Final = timedelta(days=2)
"""Versions of calls that come later are noted at the next start."""
FINDINGS_EVERY: Final = timedelta(hours=1)
ALL_SPEND: Final = Budget(name="all spend", amount=Decimal(0))
"""Its period is the calendar month in UTC."""


@dataclass(frozen=True, slots=True)
class MeterState:
    """How the meter is doing."""

    lag_s: float
    """For how long the oldest calls have waited for the store."""
    rejected: Mapping[str, int]
    """Spans and what was set aside since the process began, by reason."""


class Mirroring:
    def __init__(
        self,
        store: Store,
        state: State,
        register: Register,
        savings: Savings,
        meter: Callable[[], MeterState],
    ) -> None:
        self._store = store
        self._state = state
        self._register = register
        self._savings = savings
        self._meter = meter
        self._rejected: Mapping[str, int] = {}
        self._versions_since = EVER
        self._findings_again_at: datetime | None = None

    def copy(self, now: datetime) -> None:
        """Copy what is known now."""
        meter = self._meter()
        self._store.keep_mirror(Mirror.METER, [self._meter_line(meter, now)])
        self._rejected = meter.rejected
        spending = now_spent(self._store, self._register.in_force(now), now)
        self._store.keep_mirror(Mirror.BUDGETS, [self._budget(one, now) for one in spending])
        self._store.keep_mirror(Mirror.MONTHS, [self._month(now)])
        newest = self._state.deliveries.newest(NEWEST_DELIVERIES)
        self._store.keep_mirror(Mirror.ALERTS, [alert_line(one, now) for one in newest])
        self._store.note_prompt_versions(self._versions_since)
        self._versions_since = now - LATE
        if self._findings_again_at is None or now >= self._findings_again_at:
            found = self._findings(now)
            # A line that names nothing: without one, what is done would be found for ever.
            self._store.keep_mirror(Mirror.FINDINGS, [FindingLine(taken_at=now), *found])
            # Where there was nothing yet, something is looked for again soon.
            self._findings_again_at = now + (FINDINGS_EVERY if found else FRESH_FOR)

    def _findings(self, now: datetime) -> list[FindingLine]:
        return [
            FindingLine(taken_at=now, **asdict(one) | {"usd_a_month": round(one.usd_a_month, 12)})
            for one in self._savings.at(now)[0]
        ]

    def _budget(self, one: Spending, now: datetime) -> BudgetLine:
        # Of users there are sums of days alone: their hours would be read from the calls.
        known = by_day_of if Dimension.USER in one.scope.values else by_hour_of
        by_hour = known(self._store, one, now)
        forecast = forecast_for(one, by_hour, now)
        return BudgetLine(
            budget=one.budget.name,
            value=one.value,
            period_start=one.period.start,
            period_end=one.period.end,
            amount=one.budget.amount,
            spent=one.spent.cost,
            unpriced_calls=one.spent.unpriced_calls,
            forecast=forecast.total if forecast else None,
            forecast_high=forecast.high if forecast else None,
            thresholds=one.budget.thresholds,
            is_everything=one.scope.is_everything,
            course=list(course_of(by_hour, one, now)),
            ahead=forecast.points if forecast else (),
            taken_at=now,
        )

    def _month(self, now: datetime) -> MonthLine:
        (one,) = spending_of(self._store, [(ALL_SPEND, ALL_SPEND.period_at(now))])
        forecast = forecast_for(one, by_hour_of(self._store, one, now), now)
        return MonthLine(
            month=one.period.start.date(),
            spent=one.spent.cost,
            unpriced_calls=one.spent.unpriced_calls,
            forecast=forecast.total if forecast else None,
            taken_at=now,
        )

    def _meter_line(self, state: MeterState, now: datetime) -> MeterLine:
        since = {
            reason: count - self._rejected.get(reason, 0)
            for reason, count in state.rejected.items()
            if count > self._rejected.get(reason, 0)
        }
        return MeterLine(at=now, lag_s=state.lag_s, rejected=since)


def alert_line(one: Delivery, now: datetime) -> AlertLine:
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
