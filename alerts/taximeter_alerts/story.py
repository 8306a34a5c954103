"""What an alert tells beside its figures: pace, forecast, who drives it, what would save most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

from taximeter_alerts.alert import Story
from taximeter_alerts.savings import savings_of
from taximeter_alerts.spending import Spending
from taximeter_analysis.drivers import Causes, Driver, causes, drivers
from taximeter_analysis.forecast import Forecast, forecast_of
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Dimension, Period, SpendRow, Store, summed_by

HISTORY: Final = timedelta(days=120)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
SAVINGS_SHOWN: Final = 2
USERS_COMPARED: Final = 50
DETAILED: Final = (Dimension.FEATURE, Dimension.MODEL, Dimension.PROMPT_VERSION)
WHY: Final = {
    "volume": "more calls",
    "mix": "dearer models or prompts",
    "new": "new",
    "use": "more tokens a call",
    "price": "dearer tokens",
}

ByHour = Mapping[datetime, Decimal]


def story_of(store: Store, one: Spending, now: datetime, book: PriceBook) -> Story:
    """Ask the store what there is to tell of a budget's spend."""
    by_hour = by_hour_of(store, one, now)
    period, before = compared(one, now)
    rows, rows_before = (store.spend(some, DETAILED, one.scope) for some in (period, before))
    return Story(
        pace=pace_of(one, now),
        last_24_hours=_sum(by_hour, now - DAY, now),
        usual_24_hours=_sum(by_hour, now - DAY - WEEK, now - WEEK),
        forecast=forecast_for(one, by_hour, now),
        compared_with=before if rows_before else None,
        causes=causes(rows, rows_before) if rows_before else None,
        drivers=tuple(_drivers(store, one, period, before, rows, rows_before))
        if rows_before
        else (),
        savings=tuple(savings_of(store, book, now, one.scope)[:SAVINGS_SHOWN]),
        course=tuple(course_of(by_hour, one, now)),
    )


def by_hour_of(store: Store, one: Spending, now: datetime) -> ByHour:
    """Return the spend of the hours that forecasts are made from."""
    since = (now - HISTORY).replace(minute=0, second=0, microsecond=0)
    rows = store.spend(Period(since, now), [Dimension.HOUR], one.scope)
    return {row.at: row.cost for row in rows if row.at is not None}


def by_day_of(store: Store, one: Spending, now: datetime) -> ByHour:
    """Return the spend of UTC's days, each told at midnight where the budget is."""
    since = (now - HISTORY).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = store.spend(Period(since, now), [Dimension.DAY], one.scope)
    zone = one.budget.zone
    return {
        datetime.combine(row.at.date(), time(), zone): row.cost
        for row in rows
        if row.at is not None
    }


def forecast_for(one: Spending, by_hour: ByHour, now: datetime) -> Forecast | None:
    """Return the forecast of a budget's period; None for one that has no end."""
    if one.budget.period.rolling_days or now >= one.period.end:
        return None
    local = now.astimezone(one.budget.zone)
    return forecast_of(by_hour, one.spent.cost, local, one.period, one.budget.amount)


def pace_of(one: Spending, now: datetime) -> Decimal | None:
    """Return the spend against that of an even burn, 1.1 for 10 % more; None when none is due."""
    period = one.period
    gone = Decimal(min(now, period.end).timestamp() - period.start.timestamp())
    even = one.budget.amount * gone / Decimal((period.end - period.start).total_seconds())
    return one.spent.cost / even if even > 0 else None


def compared(one: Spending, now: datetime) -> tuple[Period, Period]:
    """Return the period, and as much of the one before as is gone of it."""
    period = one.period
    gone = max(min(now, period.end) - period.start, timedelta(seconds=1))
    if one.budget.period.rolling_days:
        start = period.start - one.budget.period.rolling_days * DAY
        return period, Period(start, start + gone)
    last = one.budget.period_at(period.start - timedelta(microseconds=1))
    return period, Period(last.start, min(last.start + gone, last.end))


def _drivers(
    store: Store,
    one: Spending,
    period: Period,
    before: Period,
    rows: Sequence[SpendRow],
    rows_before: Sequence[SpendRow],
) -> Iterator[Driver]:
    """Yield the feature, the model and the user whose spend rose most."""
    for dimension in DETAILED[:2]:
        yield from islice(risen(dimension, rows, rows_before), 1)
    if one.budget.each is Dimension.USER or Dimension.USER in one.scope.values:
        return
    users = store.spend(period, [Dimension.USER], one.scope, USERS_COMPARED)
    known = [row for row in users if row.key[0]]
    if known:
        scope = one.scope.narrowed(Dimension.USER, *(row.key[0] for row in known))
        then = store.spend(before, [Dimension.USER], scope)
        for driver in drivers(Dimension.USER.outside_name, known, then)[:1]:
            scope = one.scope.narrowed(Dimension.USER, driver.name)
            yield from _risen(
                driver, *(store.spend(some, DETAILED, scope) for some in (period, before))
            )


def risen(
    dimension: Dimension, rows: Sequence[SpendRow], rows_before: Sequence[SpendRow]
) -> Iterator[Driver]:
    """Yield the values of one of the `DETAILED` whose spend rose, the largest rise first."""
    place = DETAILED.index(dimension)
    parts = (summed_by(some, [place]) for some in (rows, rows_before))
    for driver in drivers(dimension.outside_name, *parts):
        its = (
            [row for row in some if row.key[place] == driver.name] for some in (rows, rows_before)
        )
        yield from _risen(driver, *its)


def _risen(
    driver: Driver, rows: Sequence[SpendRow], rows_before: Sequence[SpendRow]
) -> Iterator[Driver]:
    if driver.change > 0:
        yield replace(driver, why=_why(driver, causes(rows, rows_before)))


def _why(driver: Driver, split: Causes) -> str:
    if not driver.before:
        return WHY["new"]
    return WHY[max(WHY, key=lambda name: getattr(split, name))]


def course_of(by_hour: ByHour, one: Spending, now: datetime) -> Iterator[tuple[datetime, Decimal]]:
    """Yield the cumulative spend of the period, a point a day, the last one now."""
    zone = one.budget.zone
    known = [hour for hour in sorted(by_hour) if one.period.start <= hour < one.period.end]
    yield one.period.start, Decimal(0)
    # A long period began before the hours that are known.
    spent = one.spent.cost - sum(by_hour[hour] for hour in known)
    day = one.period.start.astimezone(zone).date()
    for hour in known:
        local = hour.astimezone(zone)
        if local.date() > day:
            day = local.date()
            yield hour, spent
        spent += by_hour[hour]
    yield min(now, one.period.end), one.spent.cost


def _sum(by_hour: ByHour, start: datetime, end: datetime) -> Decimal:
    return sum((usd for hour, usd in by_hour.items() if start <= hour < end), Decimal(0))
