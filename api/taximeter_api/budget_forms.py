"""The forms on the page of budgets: what their fields hold, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final

from taximeter_alerts.budgets import Budget
from taximeter_alerts.scope_words import written
from taximeter_api.questions import Refused

SCOPED: Final = ("feature", "team", "user", "model", "environment")
"""Dimensions that the form has a field for; the API knows all."""
PLAIN: Final = ("amount", "period", "zone", "each")
BLANK: Final = {
    **dict.fromkeys(("name", "amount", *SCOPED, "each"), ""),
    "period": "month",
    "zone": "UTC",
    "thresholds": "50, 75, 90, 100",
}
BUTTONS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "pause": ("paused", {"paused": True}),
    "resume": ("resumed", {"paused": None}),
    "end": ("ended", {"raised": None}),
}
"""What was done and the fields that it changes, by a button that needs no more words."""


def fields_of(budget: Budget) -> dict[str, str]:
    """Return what the form of a budget holds at first."""
    scope = written(budget.scope)
    return {
        "name": budget.name,
        "amount": budget.definition["amount"],
        "period": str(budget.period),
        "zone": budget.zone.key,
        **{name: ", ".join(scope.get(name, ())) for name in scoped_in_words(budget)},
        "each": budget.each.outside_name if budget.each else "",
        "thresholds": ", ".join(map(str, budget.thresholds)),
        "channels": ", ".join(budget.channels),
    }


def scoped_in_words(budget: Budget | None) -> Sequence[str]:
    """Return the dimensions whose part of the scope a field can hold, which is a list by commas."""
    scope = written(budget.scope) if budget else {}
    parts = {name: scope.get(name, []) for name in SCOPED}
    return [
        name
        for name, values in parts.items()
        if isinstance(values, list) and not any("," in value for value in values)
    ]


def definition_of(form: Mapping[str, str], before: Budget | None = None) -> dict[str, Any]:
    """Return what a form says, None for a default; what it has no field for is as before."""
    scope = written(before.scope) if before else {}
    for name in scoped_in_words(before):
        scope.pop(name, None)
        if values := _listed(form.get(name, "")):
            scope[name] = values
    return {
        **{name: form.get(name, "").strip() or None for name in PLAIN},
        "scope": scope or None,
        "thresholds": _listed(form.get("thresholds", "")) or None,
        "channels": _listed(form["channels"]) if "channels" in form else None,
    }


def asked_of(form: Mapping[str, str], before: Budget) -> tuple[str, Mapping[str, Any]]:
    """Return what a button asks for: what is done then, and the fields that it changes."""
    do = form.get("do", "")
    if do == "save":
        return "changed", definition_of(form, before)
    if do == "raise":
        until = _midnight(form.get("until", "").strip(), before)
        return "raised", {"raised": {"to": form.get("to", "").strip(), "until": until}}
    if do in BUTTONS:
        return BUTTONS[do]
    raise Refused(f"do={do!r}: give one of save, raise, {', '.join(BUTTONS)}, delete")


def _midnight(text: str, budget: Budget) -> datetime:
    """Return when a day begins where the budget is kept."""
    try:
        return datetime.combine(date.fromisoformat(text), time.min, budget.zone)
    except ValueError:
        raise Refused(f"until={text!r}: give a day to come like 2026-12-01") from None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
