"""What the overview page says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from taximeter_analysis.findings import Finding
from taximeter_collector.store import Period, SpendRow
from taximeter_collector.store.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One line of the feature table."""

    sums: SpendRow
    """Of this month."""
    share: float
    """Of this month's spend, 0 to 1."""
    last_30_days: tuple[Decimal, ...]
    week_on_week: float | None
    """The last 7 days against the 7 before, 0.14 for +14 %; None when that can't be told."""
    p95_ms: float | None

    @property
    def name(self) -> str:
        return self.sums.key[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A feature that costs much more in a week than in the week before."""

    feature: str
    now: SpendRow
    before: SpendRow

    @property
    def usd(self) -> Decimal:
        return self.now.cost - self.before.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    name: str
    spent: Decimal
    limit: Decimal
    percent: Decimal
    unpriced_calls: int
    thresholds: tuple[int, ...] = (50, 75, 90, 100)
    period: str = ""
    """What people call it; empty for the calendar's month, which the page is about."""
    is_of_all: bool = False
    """Whether it is of all spend."""
    calls: str = ""
    """The query of the calls that are spent on it; "" where an address can't say it."""

    @property
    def is_used_up(self) -> bool:
        return self.percent >= 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMark:
    """An alert that was raised, on the burn-up chart."""

    at: datetime
    percent: int
    spent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnUp:
    """Cumulative spend of the month, hour by hour at most, and where it is heading."""

    period: Period
    points: tuple[tuple[datetime, Decimal], ...]
    forecast: Decimal | None
    """At the end of the period; None before there is enough to go on."""
    forecast_high: Decimal | None
    """The upper end of its range; None when that is not known."""
    forecast_points: tuple[tuple[datetime, Decimal], ...]
    budget: BudgetLine | None
    """The budget of all spend, if there is one."""
    alerts: tuple[AlertMark, ...]
    limit_reached_at: datetime | None
    """When the forecast reaches the budget's limit, within the period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the page shows, taken at one moment."""

    taken_at: datetime
    zone: str
    last_call_at: datetime | None
    spent: Decimal
    unpriced_calls: int
    """Above 0, `spent` and everything drawn from it is at least what is shown."""
    estimated_cost: Decimal
    calls: int
    gone_channels: Mapping[str, str] = field(default_factory=dict)
    """By name: why a channel takes no messages."""
    lost_spans: Mapping[str, int] = field(default_factory=dict)
    """By service: calls of this month that it could not deliver, so that no sum holds them."""
    yesterday: Decimal
    yesterday_unpriced_calls: int = 0
    per_1000_calls: Decimal | None
    burn_up: BurnUp
    days: tuple[tuple[date, Mapping[str, Decimal]], ...]
    """The last 30 UTC days, each with its spend by feature."""
    features: tuple[Feature, ...]
    rise: Rise | None = None
    savings: tuple[Finding, ...] = ()
    """What would save money, the largest first."""
    budgets: tuple[BudgetLine, ...]
    models: tuple[SpendRow, ...]
    users: tuple[tuple[SpendRow, str], ...]
    """Each with the feature that the user spent most on."""
    last_24_hours: Traffic
    book_version: str
