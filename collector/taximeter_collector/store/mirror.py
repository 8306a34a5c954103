"""What the watch says, copied for dashboards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from taximeter_collector.store.connection import Connection


class Mirror(StrEnum):
    """Tables of copies; the value is the table."""

    BUDGETS = "budget_lines"
    ALERTS = "alert_log"
    FINDINGS = "finding_lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """A budget's current period; money in US dollars."""

    budget: str
    value: str
    period_start: datetime
    period_end: datetime
    amount: Decimal
    spent: Decimal
    unpriced_calls: int
    forecast: Decimal | None
    thresholds: Sequence[int]
    taken_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """A delivery of an alert to a channel."""

    at: datetime
    id: str
    channel: str
    budget: str
    value: str
    kind: str
    percent: int
    spent: Decimal | None
    amount: Decimal | None
    state: str
    attempts: int
    error: str
    taken_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """Something that would save money, in US dollars a month."""

    taken_at: datetime
    kind: str
    feature: str
    model: str
    advice: str
    evidence: str
    usd_a_month: Decimal
    confidence: str


Line = BudgetLine | AlertLine | FindingLine


def keep(connection: Connection, mirror: Mirror, lines: Sequence[Line]) -> None:
    """Copy lines; a newer one of the same budget's period or delivery takes the older's place."""
    if lines:
        rows = [asdict(line) for line in lines]
        connection.insert(mirror, {name: [row[name] for row in rows] for name in rows[0]})
