"""Made-up spend, hour by hour, of several kinds of teams: to judge forecasts and spike rules on.

Each series is fixed by its regime and seed. `TUNING` seeds are for choosing methods and constants,
`JUDGING` seeds only for the bars.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

TUNING: Final = range(100, 112)
JUDGING: Final = range(500, 524)
START: Final = datetime(2025, 1, 6, tzinfo=UTC)
"""A Monday."""
DAYS: Final = 450
HOUR: Final = timedelta(hours=1)
WEEK: Final = 7 * 24
SATURDAY: Final = 5


@dataclass(frozen=True)
class Regime:
    """How spend moves: by the hour, by the week, over months, and by chance."""

    level_usd: float
    """Of an hour, on average."""
    by_hour: float
    """How much of it follows the working day; 0 for none."""
    weekend: float
    """Of a weekday's spend."""
    growth_a_month: float = 0.0
    noise: float = 0.15
    """Standard deviation of an hour's logarithm."""
    day_noise: float = 0.06
    drift: float = 0.02
    """Standard deviation of the level's daily step, which stays, as a logarithm."""
    steps: Sequence[tuple[int, float]] = ()
    """On these days the level is multiplied by that."""
    month_end: float = 1.0
    """The last three days of a month, against the others."""


REGIMES: Final[Mapping[str, Regime]] = {
    "office": Regime(2.0, by_hour=0.8, weekend=0.25),
    "consumer": Regime(5.0, by_hour=0.5, weekend=1.3),
    "steady": Regime(1.0, by_hour=0.0, weekend=1.0, noise=0.08),
    "growing": Regime(1.5, by_hour=0.6, weekend=0.6, growth_a_month=0.12),
    "shrinking": Regime(8.0, by_hour=0.6, weekend=0.5, growth_a_month=-0.06),
    "noisy": Regime(0.8, by_hour=0.6, weekend=0.7, noise=0.45, day_noise=0.18),
    "launches": Regime(1.0, by_hour=0.7, weekend=0.5, steps=((150, 2.5), (300, 1.8))),
    "wandering": Regime(3.0, by_hour=0.5, weekend=0.6, drift=0.05),
    "month's end": Regime(2.5, by_hour=0.7, weekend=0.4, month_end=1.35),
}


HAPPENINGS: Final[Mapping[str, Callable[[random.Random], tuple[int, float, float]]]] = {
    "nothing": lambda _: (0, 1, 0),
    "a burst of an hour": lambda dice: (1, 1, dice.uniform(5, 30)),
    "a burst that ends": lambda dice: (dice.randrange(3, 13), dice.uniform(3, 10), 0),
    "a burst of a weekend": lambda dice: (dice.randrange(3, 13), dice.uniform(3, 10), 0),
    "a runaway loop": lambda dice: (dice.randrange(6, 73), 1, dice.uniform(5, 30)),
    "a new feature": lambda dice: (DAYS * 24, dice.uniform(2, 5), 0),
    "a quiet night": lambda _: (7, 0.1, 0),
}
"""For how many hours what is spent is multiplied, and how many mean hours are added to each."""


@dataclass(frozen=True)
class Spike:
    begin: int
    """Hour of the series."""
    hours: int
    factor: float


def series(regime: Regime, seed: int, spikes: Sequence[Spike] = ()) -> list[float]:
    """Return the dollars of each hour from START on."""
    dice = random.Random(f"{regime}/{seed}")
    dollars = []
    wandered, days = 0.0, []
    for _ in range(DAYS):
        wandered += dice.gauss(0, regime.drift)
        days.append(wandered + dice.gauss(0, regime.day_noise))
    for hour in range(DAYS * 24):
        day = hour // 24
        chance = days[day] + dice.gauss(0, regime.noise)
        dollars.append(_usual(regime, hour) * math.exp(chance))
    for spike in spikes:
        for hour in range(spike.begin, spike.begin + spike.hours):
            dollars[hour] *= spike.factor
    return dollars


def happened(dollars: Sequence[float], name: str, day: int, seed: int) -> tuple[int, list[float]]:
    """Return the hour in which something of HAPPENINGS begins, that day or soon, and the series."""
    dice = random.Random(f"{name}/{day}/{seed}")
    hours, factor, added = HAPPENINGS[name](dice)
    begin = day * 24 + dice.randrange(24)
    if name == "a burst of a weekend":
        begin += (SATURDAY - day) % 7 * 24
    if name == "a quiet night":
        begin = day * 24
    mean = sum(dollars[begin - WEEK : begin]) / WEEK
    then = [usd * factor + added * mean for usd in dollars[begin : begin + hours]]
    return begin, [*dollars[:begin], *then, *dollars[begin + hours :]]


def spikes_of(seed: int) -> list[Spike]:
    """Return spikes of a series, more than a week apart, after the first ten weeks."""
    dice = random.Random(f"spikes/{seed}")
    spikes: list[Spike] = []
    hour = 10 * 7 * 24
    while True:
        hour += dice.randrange(9 * 24, 20 * 24)
        if hour > (DAYS - 2) * 24:
            return spikes
        spikes.append(Spike(hour, dice.randrange(2, 13), dice.uniform(3, 10)))


def moment(hour: int) -> datetime:
    return START + hour * HOUR


def _usual(regime: Regime, hour: int) -> float:
    at = moment(hour)
    day = hour // 24
    level: float = regime.level_usd * (1 + regime.growth_a_month) ** (day / 30.4)
    for since, factor in regime.steps:
        level *= factor if day >= since else 1
    level *= 1 + regime.by_hour * math.sin((at.hour - 8) / 24 * 2 * math.pi)
    level *= regime.weekend if at.weekday() >= 5 else 1
    is_late = (at + timedelta(days=3)).month != at.month
    return level * (regime.month_end if is_late else 1)
