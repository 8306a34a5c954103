"""The page of budgets: what is spent of each, and the forms that make and change them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from taximeter_alerts.channels import Channels
from taximeter_alerts.register import KeptElsewhere, Register, Unknown
from taximeter_alerts.spending import now_spent
from taximeter_alerts.state import State
from taximeter_api.answers import FormData
from taximeter_api.budgeting import budget_of
from taximeter_api.csv_file import csv_file
from taximeter_api.live import answered
from taximeter_api.page.budgets import COLUMNS, BudgetRow, render_budgets
from taximeter_api.questions import BadQuestion
from taximeter_api.security import who
from taximeter_collector.store import Store

SCOPED: Final = ("feature", "team", "user", "model", "environment")
"""Dimensions that the form has a field for; the API knows all."""
REFUSALS: Final = (BadQuestion, KeptElsewhere, Unknown)


def budget_pages(store: Store, state: State, register: Register, channels: Channels) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/budgets")
    def budgets(
        request: Request,
        done: str = "",
        problem: str = "",
        format: str = "",  # noqa: A002 the address's word
    ) -> Response:
        now = datetime.now(UTC)
        kept = register.kept()
        known = [one.definition.in_force(now) for one in kept if one.definition]
        spent = {one.budget.name: one for one in now_spent(store, known, now)}
        rows = [
            BudgetRow(
                kept=one,
                spending=spent[one.budget],
                told=tuple(state.alerts_of(one.budget, spent[one.budget].period)),
            )
            for one in kept
        ]
        rows.sort(key=lambda row: -row.percent)
        if format == "csv":
            return csv_file("budgets", COLUMNS, (row.cells for row in rows))
        html = render_budgets(
            rows,
            channels=list(channels),
            scoped=SCOPED,
            done=done,
            problem=problem or register.problem,
            now=now,
        )
        return answered(request, html)

    @router.post("/budgets")
    def make(request: Request, form: FormData) -> RedirectResponse:
        name = form.get("name", "").strip()

        def made() -> str:
            if any(one.budget == name for one in register.kept()):
                raise BadQuestion(f"name={name!r}: is taken; give it its own")
            register.put(budget_of(_definition(form)), who(request.headers), datetime.now(UTC))
            return f"{name} is watched from now on."

        return _answered(made)

    @router.post("/budgets/change")
    def change(request: Request, form: FormData) -> RedirectResponse:
        name, now, by = form.get("name", ""), datetime.now(UTC), who(request.headers)

        def changed() -> str:
            if form.get("do") == "delete":
                register.delete(name, by, now)
                return f"{name} is deleted."
            before = register.find(name).definition
            fields = _changes(form)
            merged = {**(before.definition if before else {}), **fields}
            kept = {field: value for field, value in merged.items() if value is not None}
            register.put(budget_of(kept), by, now)
            return f"{name} is changed."

        return _answered(changed)

    return router


def _answered(work: Callable[[], str]) -> RedirectResponse:
    """Do it, and go back to the page, which says what was done or why not."""
    try:
        words = {"done": work()}
    except REFUSALS as error:
        detail = error.detail if isinstance(error, HTTPException) else str(error)
        words = {"problem": detail}
    return RedirectResponse(f"/budgets?{urlencode(words)}", 303)


def _definition(form: dict[str, str]) -> dict[str, Any]:
    given = {name: form.get(name, "").strip() for name in ("name", "amount", "period", "zone")}
    scope = {name: _listed(form[name]) for name in SCOPED if form.get(name, "").strip()}
    definition: dict[str, Any] = {name: value for name, value in given.items() if value}
    if scope:
        definition["scope"] = scope
    if form.get("each"):
        definition["each"] = form["each"]
    if form.get("channels", "").strip():
        definition["channels"] = _listed(form["channels"])
    return definition


def _changes(form: dict[str, str]) -> dict[str, Any]:
    """Return the fields that a button of a row changes; None is the default."""
    do = form.get("do", "")
    if do == "pause":
        return {"paused": True}
    if do == "resume":
        return {"paused": None}
    if do == "amount":
        return {"amount": form.get("amount", "")}
    if do == "raise":
        until = form.get("until", "")
        return {"raised": {"to": form.get("amount", ""), "until": f"{until}T00:00:00+00:00"}}
    raise BadQuestion(f"do={do!r}: give one of pause, resume, amount, raise, delete")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
