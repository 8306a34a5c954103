"""Where spend is heading: the weekday's profile times a level that follows the last weeks. Pure.

The level is an exponentially weighted mean of days, each divided by what its weekday usually is; a
day far from it counts only in part. With under two weeks of history it is the mean day. A burst
that goes on is expected to last half as long again as it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from statistics import fmean, median, quantiles
from typing import Final

from taximeter_collector.store import Period

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = 7
LEAST_DAYS: Final = 7
LEAST_DAYS_OF_PROFILE: Final = 14
MOST_DAYS: Final = 56
MEAN_OF_DAYS: Final = 28
FOLLOWS: Final = 0.2
"""How much of a day's difference the level takes over."""
FARTHEST_MADS: Final = 4.0
SMALLEST_FACTOR: Final = 0.02
NORMAL: Final = 1.4826
"""From a median absolute deviation to a standard deviation."""
SHOWN_TO: Final = Decimal("0.000001")
LEAST_PAST_FORECASTS: Final = 4
"""So many more are within the largest error of them in four cases of five."""
MOST_PAST_FORECASTS: Final = 16
LAST_PERIODS: Final = 2
"""The range holds their errors, too, as of the same day: a month's last days may cost more."""
HOURS_OF_BURST: Final = 24
"""How far back a burst is looked for; the level takes up what lasts longer."""
HOURS_STILL: Final = 3
"""A burst is over when these last ones were usual."""
LASTS: Final = 0.5
"""So many times as long again as it has lasted a burst is expected to go on."""
MAY_LAST: Final = 24.0
"""And so many times it may: that of an hour for a day, that of a day until the month's end."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a day is expected to cost, in US dollars."""

    level: float
    farthest: float
    """How far from the level a day is not unusual."""
    factors: tuple[float, ...]
    """By weekday, Monday first; about 1."""

    def expected(self, day: date) -> float:
        return self.level * self.factors[day.weekday()]

    def beyond(self, day: date, usd: float) -> float:
        """Return how much more than expected it is; 0 for what is not unusual."""
        more = usd - self.expected(day)
        return more if more > self.farthest * self.factors[day.weekday()] else 0.0


@dataclass(frozen=True, slots=True)
class Burst:
    """Spend far beyond the usual that still goes on."""

    usd: float
    """Beyond the usual, so far."""
    usd_an_hour: float

    @property
    def lasted(self) -> timedelta:
        return self.usd / self.usd_an_hour * HOUR

    def further(self, times: float, left: timedelta) -> Decimal:
        """Return what it costs when it lasts so many times as long again, but ends with `left`."""
        return _usd(self.usd_an_hour * (min(times * self.lasted, left) / HOUR))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Expected spend at the end of a period."""

    total: Decimal
    low: Decimal | None
    """Of an 80 % range, with a burst that ends now; None with too few past forecasts."""
    high: Decimal | None
    """With a burst that lasts; without one None with too few past forecasts."""
    error: float | None
    """Mean absolute error of past forecasts, 0.06 for 6 %."""
    reached_at: datetime | None
    """When the limit is reached, within the period."""
    points: tuple[tuple[datetime, Decimal], ...] = ()
    """The cumulative spend on the way there."""


def profile_of(history: Mapping[date, Decimal], today: date) -> Profile | None:
    """Return the profile by the whole days before today; None with too few of them.

    A day without an entry, after the first, had no spend.
    """
    first = min(history, default=today)
    count = min(MOST_DAYS, (today - first).days)
    days = [today - back * DAY for back in range(count, 0, -1)]
    return _profile(days, [float(history.get(day, 0)) for day in days])


def ahead(
    history: Mapping[date, Decimal],
    spent: Decimal,
    now: datetime,
    period: Period,
    burst: Burst | None = None,
) -> list[tuple[datetime, Decimal]]:
    """Return the cumulative spend expected from now to the end of the period.

    `history` holds the days before today, by the calendar of `now`'s zone; `spent` is the period's
    spend so far. Empty when there is too little history.
    """
    profile = profile_of(history, now.date())
    usual, points = spent, [(now, spent)]
    moment = now
    end = period.end.astimezone(now.tzinfo)
    over = now + LASTS * burst.lasted if burst else now
    while profile is not None and moment < end:
        midnight = datetime.combine(moment.date() + DAY, datetime.min.time(), tzinfo=now.tzinfo)
        following = min(one for one in (midnight, end, over) if one > moment)
        part = min((following - moment) / DAY, 1.0)
        usual += _usd(profile.expected(moment.date()) * part)
        more = burst.further(LASTS, following - now) if burst else Decimal(0)
        points.append((following, usual + more))
        moment = following
    return points if profile is not None else []


def burst_of(by_hour: Mapping[datetime, Decimal], now: datetime) -> Burst | None:
    """Return what the last day cost beyond the usual, if its last hours still do."""
    day, still = (_beyond(by_hour, now, hours) for hours in (HOURS_OF_BURST, HOURS_STILL))
    if not day or not still:
        return None
    return Burst(day, max(day / HOURS_OF_BURST, still / HOURS_STILL))


def forecast_of(
    by_hour: Mapping[datetime, Decimal],
    spent: Decimal,
    now: datetime,
    period: Period,
    limit: Decimal | None = None,
) -> Forecast | None:
    """Return the forecast with how far past ones like it were off.

    `by_hour` maps the starts of hours until now to spend; see `ahead` for the rest.
    """
    history: dict[date, Decimal] = defaultdict(Decimal)
    for hour, usd in by_hour.items():
        history[hour.astimezone(now.tzinfo).date()] += usd
    burst = burst_of(by_hour, now)
    points = ahead(history, spent, now, period, burst)
    if not points:
        return None
    end = period.end.astimezone(now.tzinfo)
    gone = (now.date() - period.start.astimezone(now.tzinfo).date()).days
    left = (end.date() - now.date()).days
    errors = list(islice(past_errors(history, now.date(), gone, left, WEEK), MOST_PAST_FORECASTS))
    total = points[-1][1]
    more, most = (burst.further(times, end - now) if burst else 0 for times in (LASTS, MAY_LAST))
    low, high = None, total - more + most if burst else None
    if len(errors) >= LEAST_PAST_FORECASTS:
        same_day = past_errors(history, now.date(), gone, left, gone + left)
        off = max([quantiles(errors, n=5)[-1], *islice(same_day, LAST_PERIODS)])
        low = max(spent, _times(total - more, 1 - off))
        high = max(spent, _times(total - more + most, 1 + off))
    return Forecast(
        total=total,
        low=low,
        high=high,
        error=fmean(errors) if errors else None,
        reached_at=None if limit is None else reached_at(points, limit),
        points=tuple(points),
    )


def past_errors(
    history: Mapping[date, Decimal], today: date, gone: int, left: int, every: int
) -> Iterator[float]:
    """Yield how far past forecasts were off, as far into a period as today is, newest first.

    Each is as of a day, so many days before the other: `gone` days were over, `left` were ahead.
    Errors are relative and without a sign, as periods that overlap err to one side together.
    """
    first = min(history, default=today)
    days = [first + count * DAY for count in range((today - first).days)]
    usd = [float(history.get(day, 0)) for day in days]
    newest = len(days) - -(-left // every) * every
    for at in range(newest, max(gone, LEAST_DAYS_OF_PROFILE) - 1, -every):
        profile = _profile(days[max(0, at - MOST_DAYS) : at], usd[max(0, at - MOST_DAYS) : at])
        before = sum(usd[at - gone : at])
        told = before + sum(profile.expected(day) for day in days[at : at + left]) if profile else 0
        if told > 0:
            yield abs((before + sum(usd[at : at + left])) / told - 1)


def reached_at(points: Sequence[tuple[datetime, Decimal]], limit: Decimal) -> datetime | None:
    """Return when a cumulative line first reaches a limit, on a straight line between points."""
    for (before, low), (after, high) in pairwise(points):
        if low < limit <= high:
            return before + (after - before) * float((limit - low) / (high - low))
    return None


def _beyond(by_hour: Mapping[datetime, Decimal], now: datetime, hours: int) -> float:
    """Return what the last whole hours cost beyond the usual of these hours of the weekday."""
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    count = min(MOST_DAYS, (end - min(by_hour, default=end)) // DAY - 1)
    ends = [end - back * DAY for back in range(count, -1, -1)]
    usd = [
        float(sum(by_hour.get(one - hour * HOUR, 0) for hour in range(1, hours + 1)))
        for one in ends
    ]
    profile = _profile([one.date() for one in ends[:-1]], usd[:-1])
    return profile.beyond(end.date(), usd[-1]) if profile else 0.0


def _profile(days: Sequence[date], usd: Sequence[float]) -> Profile | None:
    if len(days) < LEAST_DAYS:
        return None
    if len(days) < LEAST_DAYS_OF_PROFILE:
        level = fmean(usd[-MEAN_OF_DAYS:])
        return Profile(level, _farthest([abs(one - level) for one in usd]), (1.0,) * WEEK)
    factors = _factors(days, usd)
    usual = [
        one / factors[day.weekday()]
        for day, one in zip(days, usd, strict=True)
        if factors[day.weekday()] > SMALLEST_FACTOR
    ]
    return Profile(*_level(usual), factors)


def _factors(days: Sequence[date], usd: Sequence[float]) -> tuple[float, ...]:
    """Return what each weekday costs against the mean of the week around it."""
    ratios: list[list[float]] = [[] for _ in range(WEEK)]
    for place in range(WEEK // 2, len(days) - WEEK // 2):
        around = fmean(usd[place - WEEK // 2 : place + WEEK // 2 + 1])
        if around > 0:
            ratios[days[place].weekday()].append(usd[place] / around)
    factors = [median(some) if some else 1.0 for some in ratios]
    mean = fmean(factors)
    return tuple(factor / mean for factor in factors) if mean > 0 else (1.0,) * WEEK


def _level(usual: Sequence[float]) -> tuple[float, float]:
    """Return the level and how far from it is not unusual."""
    level = fmean(usual[:WEEK])
    distances: list[float] = []
    for one in usual:
        difference = one - level
        if len(distances) >= WEEK:
            farthest = _farthest(distances)
            # A level that never moved says nothing about how far is far.
            if farthest > 0:
                difference = max(-farthest, min(farthest, difference))
        distances.append(abs(one - level))
        level += FOLLOWS * difference
    return level, _farthest(distances)


def _farthest(distances: Sequence[float]) -> float:
    return FARTHEST_MADS * NORMAL * median(distances[-MEAN_OF_DAYS:])


def _times(total: Decimal, factor: float) -> Decimal:
    return (total * Decimal(factor)).quantize(SHOWN_TO)


def _usd(amount: float) -> Decimal:
    return Decimal(amount).quantize(SHOWN_TO)
