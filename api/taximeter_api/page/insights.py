"""The pages of findings and of health, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from taximeter_alerts.savings import HABITS
from taximeter_analysis.findings import Finding
from taximeter_api.checks.finding import Finding as CheckFinding
from taximeter_api.page.environment import template
from taximeter_collector.store import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    wrong: Sequence[CheckFinding]
    last_call_at: datetime | None
    journal_bytes: int
    journal_age_s: float
    store_bytes: int
    free_bytes: int
    quality: Quality
    """Of the hours that `since` and `until` bound."""
    since: datetime
    until: datetime
    versions: Mapping[str, str]


def render_findings(found: Sequence[Finding], looked_at: datetime, *, now: datetime) -> str:
    return template("findings.html").render(
        found=found,
        total=sum((one.usd_a_month for one in found), Decimal(0)),
        looked_at=looked_at,
        habits=HABITS,
        now=now,
        path="/findings",
    )


def render_health(facts: HealthFacts, *, now: datetime) -> str:
    return template("health.html").render(
        facts=facts,
        since=facts.since.isoformat(),
        until=facts.until.isoformat(),
        now=now,
        path="/health",
    )
