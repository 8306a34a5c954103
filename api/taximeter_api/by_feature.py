"""What the overview says of features, from what each cost and called a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from taximeter_api.overview import Feature, Rise
from taximeter_collector.store import Dimension, Period, SpendRow, Store, summed_by

DAY: Final = timedelta(days=1)
WEEK: Final = 7 * DAY
DAYS_SHOWN: Final = 30
STEEP: Final = Decimal("1.5")
LEAST_USD: Final = Decimal(1)
LEAST_SHARE: Final = Decimal("0.05")
"""Of the week's spend."""


def spend_by_day(
    daily: Sequence[SpendRow], period: Period
) -> Iterable[tuple[date, Mapping[str, Decimal]]]:
    by_day: dict[date, dict[str, Decimal]] = {
        day: {} for day in (period.start.date() + count * DAY for count in range(DAYS_SHOWN))
    }
    for row in daily:
        if row.at is not None:
            by_day[row.at.date()][row.key[0]] = row.cost
    return by_day.items()


def features(
    store: Store, daily: Sequence[SpendRow], month: Period, days: Period, total: Decimal
) -> Iterable[Feature]:
    p95_ms = store.p95_ms_by_feature(month)
    for row in store.spend(month, [Dimension.FEATURE]):
        name = row.key[0]
        of_day = {one.at: one.cost for one in daily if one.key[0] == name}
        series = [of_day.get(days.start + count * DAY, Decimal(0)) for count in range(DAYS_SHOWN)]
        # Today is not over, so the last seven whole days are compared.
        week, before = sum(series[-8:-1]), sum(series[-15:-8])
        yield Feature(
            name=name,
            cost=row.cost,
            share=float(row.cost / total) if total else 0.0,
            last_30_days=tuple(series),
            week_on_week=float(week / before - 1) if before else None,
            calls=row.calls,
            unpriced_calls=row.unpriced_calls,
            per_1000_calls=per_1000(row),
            cached_input_share=share(row.cached_input_tokens, row.input_tokens),
            error_share=row.errors / row.calls,
            p95_ms=p95_ms.get(name),
        )


def rise_of(daily: Sequence[SpendRow], end: datetime) -> Rise | None:
    """Return the feature whose last seven whole days cost most beyond the seven before, if any.

    `end` is the end of today. A feature with calls of unknown cost is left out.
    """
    now, before = (_week(daily, end - back) for back in (DAY, DAY + WEEK))
    least = max(LEAST_USD, LEAST_SHARE * sum((row.cost for row in now.values()), Decimal(0)))
    rises = [
        Rise(feature=name, now=now[name], before=before[name])
        for name in now.keys() & before.keys()
        if not (now[name].unpriced_calls or before[name].unpriced_calls)
    ]
    steep = [
        one for one in rises if one.usd >= least and one.now.cost >= STEEP * one.before.cost > 0
    ]
    return max(steep, key=lambda one: one.usd, default=None)


def _week(daily: Sequence[SpendRow], end: datetime) -> dict[str, SpendRow]:
    """Return the sums by feature of the seven days before `end`."""
    of_week = (row for row in daily if row.at is not None and end - WEEK <= row.at < end)
    return {row.key[0]: row for row in summed_by(of_week)}


def per_1000(row: SpendRow) -> Decimal | None:
    """Return dollars per 1,000 priced calls."""
    priced = row.calls - row.unpriced_calls
    return row.cost * 1000 / priced if priced else None


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
