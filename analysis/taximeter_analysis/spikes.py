"""Hours that cost unusually much, against the same hours of the weeks before. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)
WEEKS: Final = 6
LEAST_WEEKS: Final = 3
FARTHEST: Final = 4.5
"""In standard deviations."""
LEAST_SCALE: Final = 0.2
"""Smallest standard deviation of a logarithm: steadier spend is not watched more closely."""
LEAST_RATIO: Final = 2.0
NORMAL: Final = 1.4826
SMALLEST_USD: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Unusual:
    """An hour, what it cost and what it usually does, in US dollars."""

    hour: datetime
    cost: Decimal
    usual: Decimal

    @property
    def more(self) -> Decimal:
        return self.cost - self.usual


def unusual(
    by_hour: Mapping[datetime, Decimal], since: datetime, hour: datetime, floor_usd: Decimal
) -> Unusual | None:
    """Return the hour when it cost unusually much, and at least `floor_usd` more than usual.

    `by_hour` maps the starts of hours to spend; one without an entry, from `since` on, had none.
    """
    weeks = [hour - week * WEEK for week in range(1, WEEKS + 1) if hour - week * WEEK > since]
    if len(weeks) < LEAST_WEEKS:
        return None
    cost = by_hour.get(hour, Decimal(0))
    logs = [
        _log(by_hour.get(week + near * HOUR, Decimal(0))) for week in weeks for near in (-1, 0, 1)
    ]
    middle = median(logs)
    scale = max(LEAST_SCALE, NORMAL * median([abs(one - middle) for one in logs]))
    # What runs at this hour of every week, as a nightly job does, is usual however sharp it is.
    same = median(_log(by_hour.get(week, Decimal(0))) for week in weeks)
    usual = Decimal(round(math.exp(max(middle, same)), 9))
    found = Unusual(hour, cost, usual)
    far = _log(cost) - middle > FARTHEST * scale
    enough = found.more >= floor_usd and float(cost) >= LEAST_RATIO * float(usual)
    return found if far and enough else None


def _log(usd: Decimal) -> float:
    return math.log(max(float(usd), SMALLEST_USD))
