"""Take the overview: a handful of questions to the store, asked once for all readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from taximeter_alerts.alert import Kind
from taximeter_alerts.budgets import Budget
from taximeter_alerts.periods import MONTH, month_at, name_of
from taximeter_alerts.scope_words import query_of_calls
from taximeter_alerts.spending import Spending, now_spent
from taximeter_alerts.state import State, StateUnavailable
from taximeter_alerts.story import HISTORY
from taximeter_analysis.findings import Finding
from taximeter_analysis.forecast import forecast_of
from taximeter_api.by_feature import DAYS_SHOWN, courses, features, rise_of, spend_by_day
from taximeter_api.kept import Kept
from taximeter_api.overview import AlertMark, BudgetLine, BurnUp, Overview
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import (
    Dimension,
    Period,
    Scope,
    SpendRow,
    Store,
    StoreUnavailable,
    summed_by,
)

DAY = timedelta(days=1)
USERS_SHOWN = 6


class Snapshots:
    """The overview, taken once for all readers."""

    def __init__(
        self,
        kept: Kept,
        store: Store,
        state: State,
        budgets: Callable[[datetime], Sequence[Budget]],
        prices: Callable[[], PriceBook],
        savings: Callable[[], Sequence[Finding]] = tuple,
    ) -> None:
        self._kept = kept
        self._store = store
        self._state = state
        self._budgets = budgets
        self._prices = prices
        self._savings = savings
        self._seen: tuple[bool, Sequence[Budget]] | None = None

    def newest(self, now: datetime) -> Overview:
        """Return the newest overview, with the last call as it is now."""
        last = None
        with suppress(StoreUnavailable, StateUnavailable):
            last = self._store.last_call_at()
            self._look_at(has_calls=last is not None, budgets=self._budgets(now))
        newest, _ = self._kept.get("overview", now, self._take)
        return replace(newest, last_call_at=last or newest.last_call_at)

    def _look_at(self, *, has_calls: bool, budgets: Sequence[Budget]) -> None:
        """Drop answers from before the first call, and an overview of other budgets.

        Looked for here and not told by who changes them: a file and other services do, too.
        """
        had_calls, before = self._seen or (has_calls, budgets)
        if has_calls != had_calls:
            self._kept.clear()
        elif budgets != before:
            self._kept.drop("overview")
        self._seen = has_calls, budgets

    def _take(self, now: datetime) -> Overview:
        taken = overview(self._store, self._state, self._budgets(now), now, self._prices().version)
        return replace(taken, savings=tuple(self._savings()))


def overview(
    store: Store, state: State, budgets: Sequence[Budget], now: datetime, book_version: str
) -> Overview:
    """Ask the store for everything that the overview page says."""
    lines = {one.budget.name: _budget_line(one) for one in now_spent(store, budgets, now)}
    main = _main_budget(budgets, lines)
    zone = main.zone if main else ZoneInfo("UTC")
    month = month_at(now, zone)
    so_far = Period(month.start, now)
    last_30_days = _days_until(now, DAYS_SHOWN)
    daily = store.spend(last_30_days, [Dimension.DAY, Dimension.FEATURE])
    by_feature = courses(daily, last_30_days.end)
    total = store.spend(so_far)[0]
    yesterday = _yesterday(store, now.astimezone(zone))
    return Overview(
        taken_at=now,
        zone=zone.key,
        last_call_at=store.last_call_at(),
        spent=total.cost,
        unpriced_calls=total.unpriced_calls,
        estimated_cost=total.estimated_cost,
        calls=total.calls,
        gone_channels=state.channels.gone(),
        lost_spans=store.lost_spans(so_far),
        yesterday=yesterday.cost,
        yesterday_unpriced_calls=yesterday.unpriced_calls,
        per_1000_calls=total.per_1000_calls,
        burn_up=_burn_up(store, state, now.astimezone(zone), month, main, lines),
        days=tuple(spend_by_day(daily, last_30_days)),
        features=tuple(features(store, by_feature, so_far, last_30_days, total.cost)),
        rise=rise_of(by_feature),
        budgets=tuple(sorted(lines.values(), key=lambda line: -line.percent)),
        models=tuple(store.spend(so_far, [Dimension.MODEL])),
        users=tuple(_users(store, so_far)),
        last_24_hours=store.traffic(Period(now - DAY, now)),
        book_version=book_version,
    )


def _yesterday(store: Store, local_now: datetime) -> SpendRow:
    midnight = local_now.replace(hour=0, minute=0, second=0, microsecond=0)
    period = Period((midnight - DAY).astimezone(UTC), midnight.astimezone(UTC))
    return store.spend(period)[0]


def _main_budget(budgets: Sequence[Budget], lines: Mapping[str, BudgetLine]) -> Budget | None:
    """Return the monthly budget of all spend that the month is drawn against.

    It is the largest of those that are used up, else the one that is used up next.
    """
    of_all = [one for one in budgets if _is_of_all(one) and one.period == MONTH]
    of_all.sort(key=lambda budget: budget.amount)
    used_up = [one for one in of_all if lines[one.name].is_used_up]
    return next(iter([*reversed(used_up), *of_all]), None)


def _is_of_all(budget: Budget) -> bool:
    return budget.scope.is_everything and budget.each is None


def _budget_line(one: Spending) -> BudgetLine:
    budget, period, spent = one.budget, one.period, one.spent
    return BudgetLine(
        name=f"{budget.name}: {one.value}" if one.value else budget.name,
        spent=spent.cost,
        limit=budget.amount,
        percent=one.percent,
        unpriced_calls=spent.unpriced_calls,
        thresholds=budget.thresholds,
        is_of_all=_is_of_all(budget),
        calls=query_of_calls(one.scope, period),
        period="" if budget.period == MONTH else name_of(period, budget.zone),
    )


def _burn_up(
    store: Store,
    state: State,
    now: datetime,
    month: Period,
    main: Budget | None,
    lines: Mapping[str, BudgetLine],
) -> BurnUp:
    by_hour = _by_hour(store, month.start, now)
    points = [(month.start, Decimal(0))]
    for at in sorted(by_hour):
        if at > points[-1][0]:  # hours without spend are level, not a slope
            points.append((at, points[-1][1]))
        following = min(at + timedelta(hours=1), now)
        points.append((following, points[-1][1] + by_hour[at]))
    spent = points[-1][1]
    points.append((now, spent))
    line = lines[main.name] if main else None
    since = (now.astimezone(UTC) - HISTORY).replace(minute=0, second=0, microsecond=0)
    history = _by_hour(store, since, now)
    forecast = forecast_of(history, spent, now, month, line.limit if line else None)
    return BurnUp(
        period=month,
        points=tuple(points),
        forecast=forecast.total if forecast else None,
        forecast_high=forecast.high if forecast else None,
        forecast_points=forecast.points if forecast else (),
        budget=line,
        alerts=tuple(_marks(state, main, month)),
        limit_reached_at=forecast.reached_at if forecast else None,
    )


def _by_hour(store: Store, start: datetime, now: datetime) -> dict[datetime, Decimal]:
    rows = store.spend(Period(start, now.astimezone(UTC)), [Dimension.HOUR])
    return {row.at: row.cost for row in rows if row.at is not None}


def _marks(state: State, budget: Budget | None, month: Period) -> Iterable[AlertMark]:
    for alert in state.alerts_of(budget.name, month) if budget else ():
        if alert.key.kind == Kind.THRESHOLD:
            yield AlertMark(at=alert.at, percent=alert.key.percent, spent=alert.spent)


def _users(store: Store, period: Period) -> Iterable[tuple[SpendRow, str]]:
    dearest = Scope().narrowed(Dimension.USER, *store.dearest_users(period, limit=USERS_SHOWN))
    by_feature = store.spend(period, [Dimension.USER, Dimension.FEATURE], dearest)
    features: dict[str, str] = {}
    for row in by_feature:
        features.setdefault(*row.key)
    for row in summed_by(by_feature)[:USERS_SHOWN]:
        yield row, features[row.key[0]]


def _days_until(now: datetime, days: int) -> Period:
    """Return whole UTC days, today the last of them."""
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    return Period(tomorrow - days * DAY, tomorrow)
