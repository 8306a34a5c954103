"""What is told: alerts of budgets, and notices about the meter itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from taximeter_analysis.drivers import Causes, Driver
from taximeter_analysis.findings import Finding
from taximeter_analysis.forecast import Forecast
from taximeter_analysis.spikes import Unusual
from taximeter_collector.store import Period

MOST_SINGLY: Final = 5
"""More at once for one channel are told in one message, without what drives each: no storm."""


class Kind(StrEnum):
    """What happened."""

    THRESHOLD = "threshold"
    FORECAST = "forecast"
    CORRECTION = "correction"
    ENDED = "ended"
    """Its budget was deleted or paused."""
    SPIKE = "spike"
    PACE = "pace"
    ACKNOWLEDGED = "acknowledged"
    NOTICE = "notice"
    TEST = "test"


UNANSWERED: Final = (Kind.ENDED, Kind.ACKNOWLEDGED, Kind.TEST)
"""Kinds of what nobody needs to take care of."""


@dataclass(frozen=True, slots=True, order=True)
class AlertKey:
    """What makes an alert the same one: it is raised once, whoever evaluates and how often."""

    budget: str
    period_start: datetime
    kind: str
    percent: int
    threshold_usd: Decimal
    value: str = ""
    """Whose budget it is, of one for each user or the like."""

    @property
    def amount(self) -> Decimal:
        """The budget's when it was told, in US dollars."""
        return self.threshold_usd * 100 / self.percent

    @property
    def digest(self) -> str:
        """The same for the same alert everywhere, for receivers that know what they had."""
        parts = [self.budget, self.period_start.isoformat(), self.kind]
        parts += [str(self.percent), str(self.threshold_usd), *([self.value] if self.value else [])]
        return hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What there is to tell beside the figures; money in US dollars, absent where unknown."""

    pace: Decimal | None = None
    """Spend against that of an even burn, 1.1 for 10 % more."""
    burn: Decimal | None = None
    """Rate of the last hour against an even burn."""
    last_24_hours: Decimal | None = None
    usual_24_hours: Decimal | None = None
    """The same 24 hours a week before."""
    forecast: Forecast | None = None
    unusual: Unusual | None = None
    compared_with: Period | None = None
    causes: Causes | None = None
    """Of the change against `compared_with`."""
    drivers: tuple[Driver, ...] = ()
    savings: tuple[Finding, ...] = ()
    course: tuple[tuple[datetime, Decimal], ...] = ()
    """Cumulative spend of the period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The facts of what a budget's spend did, as they were when it was noticed."""

    key: AlertKey
    period: Period
    zone: str
    limit: Decimal
    spent: Decimal
    unpriced_calls: int
    also_passed: tuple[int, ...]
    """Lower thresholds crossed in the same moment; this alert speaks for them."""
    next_threshold: int | None
    at: datetime
    channels: tuple[str, ...]
    owner: str
    top_features: tuple[tuple[str, Decimal], ...] = ()
    rolling_days: int = 0
    """Of a period that moves on every day; 0 for one that ends."""
    revision: str = ""
    """Digest of the budget's definition."""
    calls: str = ""
    """The query of the calls it is about; "" where an address can't say it."""
    taken_by: str = ""
    """Who takes care, of an acknowledgement."""
    story: Story = Story()

    @property
    def is_over(self) -> bool:
        return self.key.percent >= 100

    @property
    def subject_digest(self) -> str:
        """The same for all alerts of a budget's period."""
        parts = (self.key.budget, self.key.value, self.key.period_start.isoformat())
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something about the meter itself that its owner must know."""

    key: AlertKey
    title: str
    text: str
    at: datetime
    channels: tuple[str, ...]

    @property
    def is_over(self) -> bool:
        return True

    @property
    def subject_digest(self) -> str:
        return self.key.digest


def notice(subject: str, title: str, text: str, now: datetime, channels: tuple[str, ...]) -> Notice:
    """Return what is told once a day while it lasts."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    key = AlertKey(subject, day, Kind.NOTICE, 100, Decimal(0))
    return Notice(key=key, title=title, text=text, at=now, channels=channels)


Told = Alert | Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What goes out in one message: an alert, or several in a digest."""

    told: tuple[Told, ...]
    id: str
    """The same at each attempt."""
    page_url: str
    answer_url: str = ""
    """Of a page that asks whether to acknowledge or snooze it."""
    may_be_repeat: bool = False
    """Nobody knows whether an earlier attempt arrived."""
