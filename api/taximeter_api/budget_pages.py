"""The page of budgets: what is spent of each, and the forms that make and change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from taximeter_alerts.channels import Channels
from taximeter_alerts.register import KeptElsewhere, Register, Unknown
from taximeter_alerts.scope_words import written
from taximeter_alerts.state import State
from taximeter_api.answers import FormData
from taximeter_api.budget_forms import (
    BLANK,
    SCOPED,
    asked_of,
    definition_of,
    fields_of,
    scoped_in_words,
)
from taximeter_api.budgeting import budget_of, changed, with_spending
from taximeter_api.csv_file import csv_file
from taximeter_api.live import answered
from taximeter_api.page import PAGE_HEADERS
from taximeter_api.page.budgets import COLUMNS, BudgetRow, done_in_words
from taximeter_api.page.environment import template
from taximeter_api.questions import Refused, is_csv
from taximeter_api.security import who
from taximeter_collector.store import Store

REFUSALS: Final = (Refused, KeptElsewhere, Unknown)
Done = tuple[str, str]
"""What was done, by a name that the page has words for, and the budget it was done to."""


def budget_pages(store: Store, state: State, register: Register, channels: Channels) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def drawn(
        done: Done = ("", ""),
        *,
        changing: str = "",
        problem: str = "",
        typed: Mapping[str, str] | None = None,
    ) -> str:
        """Draw the page with a form: of the budget that is `changing`, or else of a new one.

        What was `typed` into it stays there.
        """
        rows = _rows(store, state, register, datetime.now(UTC))
        row = next((one for one in rows if one.kept.budget == changing and one.may_change), None)
        budget = row.kept.definition if row else None
        form = {**BLANK, "channels": ", ".join(channels) or "slack", "to": "", "until": ""}
        if row and budget:
            last = row.spending.period.end.astimezone(budget.zone).date()
            form |= {**fields_of(budget), "until": last.isoformat()}
        scoped = scoped_in_words(budget)
        return template("budgets.html").render(
            rows=rows,
            channels=list(channels),
            form={**form, **(typed or {})},
            scoped=scoped,
            kept_scope=sorted(written(budget.scope).keys() - set(scoped)) if budget else [],
            each=sorted({*SCOPED, form["each"]} - {""}),
            changing=row,
            done=done_in_words(rows, *done),
            problem=problem,
            file_problem=register.problem,
            path="/budgets",
        )

    def after(work: Callable[[], Done], form: Mapping[str, str], changing: str = "") -> Response:
        """Do it and go back to the page, or draw it again with what was typed and why not."""
        try:
            done, name = work()
        except REFUSALS as error:
            html = drawn(changing=changing, problem=str(error), typed=form)
            return HTMLResponse(html, 400, PAGE_HEADERS)
        return RedirectResponse(f"/budgets?{urlencode({'done': done, 'name': name})}", 303)

    @router.get("/budgets")
    def budgets(
        request: Request,
        change: str = "",
        done: str = "",
        name: str = "",
        format: str = "",  # noqa: A002 the address's word
    ) -> Response:
        if is_csv(format):
            now = datetime.now(UTC)
            cells = (row.cells for row in _rows(store, state, register, now))
            return csv_file("budgets", COLUMNS, cells)
        return answered(request, drawn((done, name), changing=change))

    @router.post("/budgets")
    def make(request: Request, form: FormData) -> Response:
        by, now = who(request.headers), datetime.now(UTC)
        return after(lambda: _make(register, form, by, now), form)

    @router.post("/budgets/change")
    def change(request: Request, form: FormData) -> Response:
        by, now = who(request.headers), datetime.now(UTC)
        return after(lambda: _change(register, form, by, now), form, form.get("name", ""))

    return router


def _rows(store: Store, state: State, register: Register, now: datetime) -> list[BudgetRow]:
    """Return the fullest first."""
    rows = [
        BudgetRow(
            kept=kept,
            spending=spending,
            alerts=tuple(state.told(spending.budget, spending.period)),
            now=now,
        )
        for kept, spending in with_spending(store, register, now)
    ]
    return sorted(rows, key=lambda row: -row.percent)


def _make(register: Register, form: Mapping[str, str], by: str, now: datetime) -> Done:
    name = form.get("name", "").strip()
    if any(one.budget == name for one in register.kept()):
        raise Refused(f"name={name!r}: is taken; give it its own")
    said = {"name": name or None, **definition_of(form)}
    budget = budget_of({field: value for field, value in said.items() if value is not None})
    register.put(budget, by, now)
    return "made", name


def _change(register: Register, form: Mapping[str, str], by: str, now: datetime) -> Done:
    name = form.get("name", "")
    if form.get("do") == "delete":
        register.delete(name, by, now)
        return "deleted", ""
    before = register.defined(name)
    done, fields = asked_of(form, before)
    register.put(changed(before, fields, now), by, now)
    return done, name
