"""The page of budgets, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from taximeter_alerts.alert import Alert
from taximeter_alerts.periods import name_of
from taximeter_alerts.scope_words import in_words, query_of_calls
from taximeter_alerts.spending import Spending
from taximeter_alerts.state import Origin, Revision
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


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget with what is spent of it and what was told of its period."""

    kept: Revision
    spending: Spending
    told: tuple[Alert, ...]

    @property
    def percent(self) -> Decimal:
        spent, limit = self.spending.spent.cost, self.spending.budget.amount
        return spent * 100 / limit if limit else Decimal(100 if spent > 0 else 0)

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
            one.spent.cost,
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
    scoped: Sequence[str],
    done: str,
    problem: str,
    now: datetime,
) -> str:
    return template("budgets.html").render(
        rows=rows,
        channels=channels,
        scoped=scoped,
        done=done,
        problem=problem,
        now=now,
        tomorrow=(now + timedelta(days=1)).date(),
        path="/budgets",
    )
