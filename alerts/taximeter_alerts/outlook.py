"""What is coming: months on course to pass their budget, a burn too fast, unusual hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from taximeter_alerts.alert import Alert, AlertKey, Kind, Story
from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import alert_of, key_of
from taximeter_alerts.periods import Recurrence
from taximeter_alerts.register import Register
from taximeter_alerts.spending import spending_of
from taximeter_alerts.state import State
from taximeter_alerts.story import by_hour_of, forecast_for, pace_of
from taximeter_analysis.spikes import WEEKS, Unusual, unusual
from taximeter_collector.store import Dimension, Period, Store

EVERY_S: Final = 60
LARGEST_LOAD: Final = 0.1
"""The part of a core that it may cost."""
FORECAST_EVERY: Final = timedelta(minutes=15)
ON_COURSE: Final = 100
"""Percent of the limit from which a forecast counts."""
OFF_COURSE: Final = 95
SHORTEST: Final = timedelta(days=7)
"""Period that a forecast is told of; a day is over before it helps."""
HOUR: Final = timedelta(hours=1)
BURN: Final = ((HOUR, Decimal(4)), (6 * HOUR, Decimal("2.5")))
"""Both must burn so many times the even rate: the short one ends soon, the long one is no blip."""
DAILY: Final = Recurrence("day")


class Outlook:
    """Looks at every whole budget that asks for it."""

    def __init__(self, store: Store, state: State, register: Register) -> None:
        self._store = store
        self._state = state
        self._register = register
        self._forecast_at: datetime | None = None

    def tick(self, now: datetime) -> None:
        self.look([one for one in self._register.in_force(now) if one.each is None], now)

    def look(self, budgets: Sequence[Budget], now: datetime) -> list[Alert]:
        """Raise what is due; return the new alerts."""
        due = [*self._fast(budgets, now), *self._spikes(budgets, now)]
        if self._forecast_at is None or now - self._forecast_at >= FORECAST_EVERY:
            self._forecast_at = now
            due += self._forecasts(budgets, now)
        return [alert for alert in due if self._state.add(alert)]

    def _forecasts(self, budgets: Sequence[Budget], now: datetime) -> Iterator[Alert]:
        watched = [
            (budget, period)
            for budget in budgets
            for period in [budget.period_at(now)]
            if budget.forecast and budget.amount > 0 and period.end - period.start >= SHORTEST
        ]
        for one in spending_of(self._store, watched):
            if one.spent.cost >= one.budget.amount:
                continue
            forecast = forecast_for(one, by_hour_of(self._store, one, now), now)
            key = key_of(one, ON_COURSE, Kind.FORECAST)
            if forecast is None:
                continue
            if self._is_on_course(key, forecast.total / one.budget.amount, now):
                story = Story(forecast=forecast, pace=pace_of(one, now))
                yield alert_of(one, key, now, story=story)

    def _is_on_course(self, key: AlertKey, share: Decimal, now: datetime) -> bool:
        """Tell whether a forecast is over the limit and was at an earlier look, of any process."""
        if share * 100 < OFF_COURSE:
            self._state.off_course(key)
        if share * 100 < ON_COURSE:
            return False
        return now - self._state.on_course_since(key, now) >= FORECAST_EVERY

    def _fast(self, budgets: Sequence[Budget], now: datetime) -> Iterator[Alert]:
        watched = [
            (budget, budget.period_at(now))
            for budget in budgets
            if budget.pace and budget.amount > 0
        ]
        if not watched:
            return
        scopes = {budget.name: budget.scope for budget, _ in watched}
        windows = [
            (self._store.spent(Period(now - some, now), scopes), some, most) for some, most in BURN
        ]
        for one in spending_of(self._store, watched):
            hours = Decimal((one.period.end - one.period.start) / HOUR)
            even = one.budget.amount / hours
            rates = [
                (spent[one.budget.name].cost / Decimal(some / HOUR) / even, most)
                for spent, some, most in windows
            ]
            if all(rate > most for rate, most in rates):
                # Told once a day while it lasts.
                key = replace(
                    key_of(one, 0, Kind.PACE), period_start=DAILY.at(now, one.budget.zone).start
                )
                yield alert_of(one, key, now, story=Story(burn=rates[0][0]))

    def _spikes(self, budgets: Sequence[Budget], now: datetime) -> Iterator[Alert]:
        for budget in budgets:
            if budget.spikes is None:
                continue
            period = budget.period_at(now)
            (one,) = spending_of(self._store, [(budget, period)])
            for feature, found in self._unusual(budget, budget.spikes, now):
                day = DAILY.at(found.hour, budget.zone).start
                key = AlertKey(budget.name, day, Kind.SPIKE, 0, Decimal(0), feature)
                yield alert_of(one, key, now, story=Story(unusual=found))

    def _unusual(
        self, budget: Budget, floor_usd: Decimal, now: datetime
    ) -> Iterator[tuple[str, Unusual]]:
        """Yield the features whose last hour or the one before was unusual."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        since = hour - timedelta(weeks=WEEKS + 1)
        by_feature: dict[str, dict[datetime, Decimal]] = defaultdict(dict)
        rows = self._store.spend(
            Period(since, now), [Dimension.HOUR, Dimension.FEATURE], budget.scope
        )
        for row in rows:
            if row.at is not None:
                by_feature[row.key[0]][row.at] = row.cost
        for feature, by_hour in by_feature.items():
            first = max(since, min(by_hour))
            # The hour that runs counts, too: it can only become dearer.
            for some in (hour, hour - HOUR):
                if found := unusual(by_hour, first, some, floor_usd):
                    yield feature, found
                    break
