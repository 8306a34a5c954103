"""What the page of budgets says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from taximeter_alerts.periods import name_of
from taximeter_alerts.scope_words import in_words, query_of_calls
from taximeter_alerts.spending import Spending
from taximeter_alerts.state import Origin, Passed, Revision
from taximeter_api.csv_file import known
from taximeter_api.page import format as fmt

COLUMNS = (
    "budget",
    "value",
    "spent",
    "unpriced_calls",
    "amount",
    "from",
    "to",
    "about",
    "kept_in",
)
KEPT = {Origin.FILE: "budgets.yaml", Origin.APPLIED: "an applied file", Origin.API: "here"}

DONE = {
    "made": "{} is watched from now on.",
    "changed": "{} is changed.",
    "raised": "{} is raised.",
    "ended": "{} is not raised any more.",
    "paused": "{} is paused.",
    "resumed": "{} is watched again.",
}
DELETED = "The budget is deleted."


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget with what is spent of it and the alerts of its period."""

    kept: Revision
    spending: Spending
    alerts: tuple[Passed, ...]
    now: datetime

    @property
    def percent(self) -> Decimal:
        return self.spending.percent

    @property
    def raised(self) -> str:
        """Until when another amount is in force, and what it is then; "" for none."""
        kept = self.kept.definition
        runs = kept.raise_at(self.now) if kept else None
        if kept is None or runs is None:
            return ""
        return f"until {fmt.until(runs.until, kept.zone)}, then {fmt.limit(kept.amount)}"

    @property
    def alerts_in_words(self) -> str:
        return ", ".join(map(self._alert, self.alerts))

    def _alert(self, one: Passed) -> str:
        each = self.spending.budget.each
        if each is None:
            return f"{one.percent} %"
        whose = fmt.name(one.value or "(none)", 24)
        if one.values > 1:
            whose = f"{one.values:,} {each.outside_name}s"
        return f"{one.percent} % ({whose})"

    @property
    def may_change(self) -> bool:
        return self.kept.origin is Origin.API

    @property
    def where(self) -> str:
        return KEPT[self.kept.origin]

    @property
    def scope(self) -> str:
        each = self.spending.budget.each
        words = in_words(self.spending.budget.scope)
        return f"{words}, for each {each.outside_name}" if each else words

    @property
    def period(self) -> str:
        return name_of(self.spending.period, self.spending.budget.zone)

    @property
    def calls(self) -> str:
        """The query of the calls that are spent on it; "" where an address can't say it."""
        return query_of_calls(self.spending.scope, self.spending.period)

    @property
    def cells(self) -> tuple[object, ...]:
        one = self.spending
        return (
            self.kept.budget,
            one.value,
            known(one.spent.cost, one.spent.unpriced_calls),
            one.spent.unpriced_calls,
            one.budget.amount,
            one.period.start.isoformat(),
            one.period.end.isoformat(),
            self.scope,
            self.where,
        )


def done_in_words(rows: Sequence[BudgetRow], done: str, name: str) -> str:
    """Say what was done to a budget; nothing of the address but names that are known."""
    if done == "deleted":
        return DELETED
    row = next((one for one in rows if one.kept.budget == name), None)
    if row is None or done not in DONE:
        return ""
    words = DONE[done].format(fmt.name(name))
    present = fmt.limit(row.spending.budget.amount)
    return f"{words} It is {present} {row.raised}." if row.raised else words
