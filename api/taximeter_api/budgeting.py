"""Budgets over HTTP: read, made, changed, and where each is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Body, Request
from pydantic import TypeAdapter, ValidationError

from taximeter_alerts.budgets import Budget
from taximeter_alerts.evaluate import crossed
from taximeter_alerts.register import Register
from taximeter_alerts.scope_words import written
from taximeter_alerts.spending import Spending, now_spent
from taximeter_alerts.state import Revision
from taximeter_api.page import format as fmt
from taximeter_api.questions import Refused
from taximeter_api.security import who
from taximeter_collector.accepted import accepted, given
from taximeter_collector.store import Store

_BUDGET = TypeAdapter(Budget)


def budgets_api(store: Store, register: Register) -> APIRouter:
    router = APIRouter(prefix="/api/budgets", tags=["budgets"])

    @router.get("")
    def list_budgets() -> dict[str, Any]:
        """Every budget with the spend of its current period."""
        now = datetime.now(UTC)
        told = [
            _kept(kept) | _spending(spending) | _raised(kept.definition, now)
            for kept, spending in with_spending(store, register, now)
        ]
        return {"budgets": told, "problem": register.problem or None}

    @router.post("/apply")
    def apply(
        request: Request, budgets: list[dict[str, Any]], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Make these the budgets that are kept in a file elsewhere; those left out are deleted."""
        read = [budget_of(one) for one in budgets]
        if len({one.name for one in read}) < len(read):
            raise Refused("budgets: give each a name of its own")
        changes = register.apply(read, who(request.headers), datetime.now(UTC), dry=dry_run)
        return {"changes": [{"budget": one.budget, "changes": one.changes} for one in changes]}

    @router.get("/{name:path}/revisions")
    def revisions(name: str) -> dict[str, Any]:
        """Who changed a budget, when and how; the newest first."""
        return {"revisions": [_kept(one) for one in register.history(name)]}

    @router.put("/{name:path}")
    def put(request: Request, name: str, definition: dict[str, Any]) -> dict[str, Any]:
        """Make a budget, or replace one that was made here."""
        now = datetime.now(UTC)
        before = next((one.definition for one in register.kept() if one.budget == name), None)
        budget = budget_of(_called(name, definition))
        return _put(request, with_a_raise_that_raises(budget, before, now), now)

    @router.patch("/{name:path}")
    def change(
        request: Request,
        name: str,
        fields: dict[str, Any] = Body(  # noqa: B008
            description="Fields to change; null for the default", examples=[{"paused": True}]
        ),
    ) -> dict[str, Any]:
        """Change some fields: an amount, `paused`, or `raised` for a while."""
        now = datetime.now(UTC)
        fields = _called(name, fields)
        return _put(request, changed(register.defined(name), fields, now), now)

    @router.delete("/{name:path}")
    def delete(request: Request, name: str) -> dict[str, Any]:
        register.delete(name, who(request.headers), datetime.now(UTC))
        return {"deleted": name}

    def _put(request: Request, budget: Budget, now: datetime) -> dict[str, Any]:
        register.put(budget, who(request.headers), now)
        return _kept(register.find(budget.name))

    return router


def with_spending(
    store: Store, register: Register, now: datetime
) -> Iterator[tuple[Revision, Spending]]:
    """Yield each budget that is kept, with the spend of its current period."""
    kept = register.kept()
    budgets = [one.definition.in_force(now) for one in kept if one.definition]
    spending = {one.budget.name: one for one in now_spent(store, budgets, now)}
    for one in kept:
        yield one, spending[one.budget]


def budget_of(definition: dict[str, Any]) -> Budget:
    """Read a definition; raises Refused."""
    try:
        return _BUDGET.validate_python(definition)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        value = f"={given(first)}" if given(first) else ""
        said = accepted(first, first["loc"], Budget)
        raise Refused(f"{field}{value}: {said}" if field else said) from None


def changed(before: Budget, fields: Mapping[str, Any], now: datetime) -> Budget:
    """Return a budget with some fields changed, None for a default; raises Refused."""
    merged = {**before.definition, **fields}
    budget = budget_of({name: value for name, value in merged.items() if value is not None})
    return with_a_raise_that_raises(budget, before, now)


def with_a_raise_that_raises(budget: Budget, before: Budget | None, now: datetime) -> Budget:
    """Return the budget; raises Refused for a new raise that does not raise it."""
    new, old = budget.raised, before.raised if before else None
    if new is None or new == old:
        return budget
    if new.until <= now:
        until = fmt.until(new.until, budget.zone)
        raise Refused(f"raised until {until}: give a day or a time to come")
    present = replace(budget, raised=old).in_force(now).amount
    if new.to <= budget.amount or new.to < present:
        raise Refused(
            f"raised to {fmt.limit(new.to)}: give more than the present {fmt.limit(present)}"
        )
    return budget


def _called(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    given = definition.get("name", name)
    if given != name:
        raise Refused(f"name={given!r}: a budget keeps its name; make a new one, delete {name!r}")
    return {**definition, "name": name}


def _kept(one: Revision) -> dict[str, Any]:
    return {
        "name": one.budget,
        "revision": one.number,
        "definition": one.definition and one.definition.definition,
        "digest": one.definition and one.definition.digest,
        "kept_in": one.origin,
        "made_by": one.made_by,
        "made_at": one.made_at.isoformat(),
        "changes": one.changes,
    }


def _spending(one: Spending) -> dict[str, Any]:
    budget, spent = one.budget, one.spent
    return {
        "currency": budget.currency,
        "thresholds": list(budget.thresholds),
        "channels": list(budget.channels),
        "owner": budget.owner,
        "paused": budget.paused,
        "amount": f"{budget.amount:f}",
        "period": str(budget.period),
        "zone": budget.zone.key,
        "scope": written(budget.scope),
        "each": budget.each and budget.each.outside_name,
        "dearest": one.value,
        "spent": f"{spent.cost:f}",
        "spent_is_complete": spent.unpriced_calls == 0,
        "unpriced_calls": spent.unpriced_calls,
        "from": one.period.start.isoformat(),
        "to": one.period.end.isoformat(),
        "crossed": crossed(budget, spent.cost),
    }


def _raised(budget: Budget | None, now: datetime) -> dict[str, Any]:
    """Say until when another amount is in force, and what it is otherwise."""
    runs = budget.raise_at(now) if budget else None
    if budget is None or runs is None:
        return {"raised": None}
    return {"raised": {"until": runs.until.isoformat(), "otherwise": f"{budget.amount:f}"}}
