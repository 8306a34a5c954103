"""Where spend is heading: the weekday's mean of the last four weeks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from taximeter_collector.store import Period

DAY = timedelta(days=1)
LEAST_DAYS = 7
MOST_DAYS = 28


def expected_day(history: Mapping[date, Decimal], day: date) -> Decimal | None:
    """Return a day's expected spend from the whole days before it; None with too few of them.

    `history` maps days to spend; a day without an entry, after the first, had none.
    """
    first = min(history, default=day)
    before = [day - count * DAY for count in range(1, MOST_DAYS + 1)]
    known = [one for one in before if one >= first]
    if len(known) < LEAST_DAYS:
        return None
    alike = [one for one in known if one.weekday() == day.weekday()]
    return sum((history.get(one, Decimal(0)) for one in alike), Decimal(0)) / len(alike)


def ahead(
    history: Mapping[date, Decimal], spent: Decimal, now: datetime, period: Period
) -> list[tuple[datetime, Decimal]]:
    """Return the cumulative spend expected from now to the end of the period.

    `history` holds the whole days before today, by the calendar of `now`'s zone; `spent` is the
    period's spend so far. Empty when there is too little history.
    """
    whole = {day: usd for day, usd in history.items() if day < now.date()}
    points = [(now, spent)]
    moment = now
    end = period.end.astimezone(now.tzinfo)
    while moment < end:
        midnight = datetime.combine(moment.date() + DAY, datetime.min.time(), tzinfo=now.tzinfo)
        following = min(midnight, end)
        usual_day = moment.date() if moment.date() == now.date() else _same_weekday(moment, now)
        expected = expected_day(whole, usual_day)
        if expected is None:
            return []
        part = Decimal((following - moment) / DAY)
        points.append((following, points[-1][1] + expected * min(part, Decimal(1))))
        moment = following
    return points


def _same_weekday(moment: datetime, now: datetime) -> date:
    """Return the day within a week from today that has the moment's weekday."""
    days = (moment.date() - now.date()).days % 7
    return now.date() + days * DAY


def reached_at(points: list[tuple[datetime, Decimal]], limit: Decimal) -> datetime | None:
    """Return when a cumulative line first reaches a limit, on a straight line between points."""
    for (before, low), (after, high) in pairwise(points):
        if low < limit <= high:
            return before + (after - before) * float((limit - low) / (high - low))
    return None
