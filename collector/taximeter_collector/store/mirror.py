"""What the watch says, copied for dashboards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from taximeter_collector.store.connection import Connected
from taximeter_collector.store.keeping import WAITING, digest_of

Points = Sequence[tuple[datetime, Decimal]]
"""Cumulative spend in US dollars."""

NOTE_VERSIONS: Final = """
insert into taximeter.prompt_versions
    (environment, team, feature, prompt_name, prompt_version, first_at)
select environment, team, feature, prompt_name, prompt_version, min(hour)
from taximeter.spend_by_hour
where prompt_version != '' and hour >= {since:DateTime('UTC')}
group by environment, team, feature, prompt_name, prompt_version
"""
IS_OF_VALUE: Final = """hex(SHA256(value)) = {value:String} and budget in {budgets:Array(String)}"""
FORGET_LINES: Final = f"""
insert into taximeter.budget_lines
select * replace ('' as value)
from (
    select *
    from taximeter.budget_lines final
    where {IS_OF_VALUE}
)
"""  # noqa: S608 text of ours


class Mirror(StrEnum):
    """Tables of copies; the value is the table."""

    BUDGETS = "budget_lines"
    ALERTS = "alert_log"
    FINDINGS = "finding_lines"
    MONTHS = "month_forecasts"
    METER = "meter_lines"


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
    forecast_high: Decimal | None
    """The upper end of its range; None when that is not known."""
    thresholds: Sequence[int]
    is_everything: bool
    """Its scope is all calls."""
    course: Points
    ahead: Points
    """From now to the period's end; empty without a forecast."""
    taken_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthLine:
    """All spend of a calendar month in UTC; money in US dollars."""

    month: date
    spent: Decimal
    unpriced_calls: int
    forecast: Decimal | None
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
    """Something that would save money, in US dollars a month; a moment alone: it was looked for."""

    taken_at: datetime
    kind: str = ""
    feature: str = ""
    model: str = ""
    advice: str = ""
    evidence: str = ""
    usd_a_month: Decimal = Decimal(0)
    confidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLine:
    """How the meter itself is doing."""

    at: datetime
    lag_s: float
    rejected: Mapping[str, int]
    """Spans and what was set aside since the line before, by reason."""


Line = BudgetLine | AlertLine | FindingLine | MonthLine | MeterLine


class Mirrored(Connected):
    def keep_mirror(self, mirror: Mirror, lines: Sequence[Line]) -> None:
        """Copy lines; a newer one of the same period or delivery takes the older's place."""
        self._connection.insert_lines(mirror, lines)

    def forget_mirrored(self, value: str, budgets: Collection[str]) -> None:
        """Take a value of budgets for each value off the copies; the lines of alerts with it."""
        bound = {"value": digest_of(value), "budgets": list(budgets)}
        self._connection.command(FORGET_LINES, bound)
        for table in (Mirror.BUDGETS, Mirror.ALERTS):
            self._connection.alter(table, f"delete where {IS_OF_VALUE}", bound, WAITING)

    def note_prompt_versions(self, since: datetime) -> None:
        """Note the versions of prompts in hours from then on; any number of times."""
        self._connection.command(NOTE_VERSIONS, {"since": since})
