"""What the overview says of features, from what each cost and called a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from taximeter_api.overview import Feature, Rise
from taximeter_collector.store import Dimension, Period, SpendRow, Store, total_of

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a feature cost a day, and in the last seven whole days and the seven before."""

    days: Mapping[datetime, Decimal]
    now: SpendRow
    before: SpendRow


def courses(daily: Sequence[SpendRow], end: datetime) -> Mapping[str, Course]:
    """Return the course of each feature; `end` is that of today, which is in no week.

    When not all of the week before was metered, nothing is told of it: it would look cheap.
    """
    by_feature: dict[str, dict[datetime, SpendRow]] = defaultdict(dict)
    for row in daily:
        if row.at is not None:
            by_feature[row.key[0]][row.at] = row
    this_week, week_before = end - DAY, end - DAY - WEEK
    first = min((at for rows in by_feature.values() for at in rows), default=end)
    is_known = first <= week_before - WEEK
    return {
        name: Course(
            days={at: row.cost for at, row in rows.items()},
            now=_week(rows, this_week),
            before=_week(rows, week_before) if is_known else SpendRow.nothing(),
        )
        for name, rows in by_feature.items()
    }


def features(
    store: Store, by_feature: Mapping[str, Course], month: Period, days: Period, total: Decimal
) -> Iterable[Feature]:
    p95_ms = store.p95_ms_by_feature(month)
    for row in store.spend(month, [Dimension.FEATURE]):
        name = row.key[0]
        course = by_feature.get(name, NOTHING)
        of_days = (course.days.get(days.start + count * DAY) for count in range(DAYS_SHOWN))
        yield Feature(
            sums=row,
            share=float(row.cost / total) if total else 0.0,
            last_30_days=tuple(cost or Decimal(0) for cost in of_days),
            week_on_week=change_of(course.now, course.before),
            p95_ms=p95_ms.get(name),
        )


def change_of(now: SpendRow, before: SpendRow) -> float | None:
    """Return 0.14 for +14 %; None when there was nothing, or calls of unknown cost are in it."""
    if now.unpriced_calls or before.unpriced_calls or not before.cost:
        return None
    return float(now.cost / before.cost - 1)


def rise_of(by_feature: Mapping[str, Course]) -> Rise | None:
    """Return the feature whose last seven whole days cost most beyond the seven before, if any.

    A feature with calls of unknown cost is left out.
    """
    spent = sum((course.now.cost for course in by_feature.values()), Decimal(0))
    least = max(LEAST_USD, LEAST_SHARE * spent)
    rises = [
        Rise(feature=name, now=course.now, before=course.before)
        for name, course in by_feature.items()
        if not (course.now.unpriced_calls or course.before.unpriced_calls)
    ]
    steep = [
        one for one in rises if one.usd >= least and one.now.cost >= STEEP * one.before.cost > 0
    ]
    return max(steep, key=lambda one: one.usd, default=None)


def _week(rows: Mapping[datetime, SpendRow], end: datetime) -> SpendRow:
    """Return the sum of the seven days before `end`."""
    return total_of(row for at, row in rows.items() if end - WEEK <= at < end)


NOTHING: Final = Course(days={}, now=SpendRow.nothing(), before=SpendRow.nothing())
