"""The page of budgets, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from taximeter_alerts.periods import name_of
from taximeter_alerts.scope_words import in_words, query_of_calls, written
from taximeter_alerts.spending import Spending
from taximeter_alerts.state import Origin, Passed, Revision
from taximeter_api.budget_forms import BLANK, SCOPED, fields_of, scoped_in_words
from taximeter_api.csv_file import known
from taximeter_api.page import format as fmt
from taximeter_api.page.environment import template

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
    """A budget with what is spent of it and what was told of its period."""

    kept: Revision
    spending: Spending
    told: tuple[Passed, ...]
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
    def told_in_words(self) -> str:
        return ", ".join(map(self._told, self.told))

    def _told(self, one: Passed) -> str:
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


def render_budgets(
    rows: Sequence[BudgetRow],
    *,
    channels: Sequence[str],
    changing: str,
    typed: Mapping[str, str],
    done: tuple[str, str],
    problem: str,
    file_problem: str,
    now: datetime,
) -> str:
    """Return the HTML; with the form of the budget that is `changing`, else with one for a new one.

    What was `typed` into the form stays there.
    """
    row = next((one for one in rows if one.kept.budget == changing and one.may_change), None)
    budget = row.kept.definition if row else None
    form = {**BLANK, "channels": ", ".join(channels) or "slack", "to": "", "until": ""}
    if row and budget:
        last = row.spending.period.end.astimezone(budget.zone).date()
        form |= {**fields_of(budget), "until": last.isoformat()}
    scoped = scoped_in_words(budget)
    return template("budgets.html").render(
        rows=rows,
        channels=channels,
        form={**form, **typed},
        scoped=scoped,
        kept_scope=sorted(written(budget.scope).keys() - set(scoped)) if budget else [],
        each=sorted({*SCOPED, form["each"]} - {""}),
        changing=row,
        done=_done(rows, *done),
        problem=problem,
        file_problem=file_problem,
        now=now,
        path="/budgets",
    )


def _done(rows: Sequence[BudgetRow], done: str, name: str) -> str:
    """Say what was done to a budget; nothing of the address but names that are known."""
    if done == "deleted":
        return DELETED
    row = next((one for one in rows if one.kept.budget == name), None)
    if row is None or done not in DONE:
        return ""
    words = DONE[done].format(fmt.name(name))
    present = fmt.limit(row.spending.budget.amount)
    return f"{words} It is {present} {row.raised}." if row.raised else words
