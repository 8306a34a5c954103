"""Forget a user: off the calls, off what was told, and off the copies for dashboards."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from taximeter_alerts.mirroring import alert_line
from taximeter_alerts.state import State
from taximeter_api.kept import Kept
from taximeter_api.questions import Refused
from taximeter_collector.labels import label
from taximeter_collector.store import Dimension, Store
from taximeter_collector.store.mirror import Mirror


class Forgotten(BaseModel):
    """Who is to be forgotten; in the body, as addresses are written into logs."""

    user: str = Field(min_length=1)


def forget(store: Store, state: State, name: str, now: datetime) -> int:
    """Take a user's name off all that is kept; return how many calls named him.

    Raises Refused when no call, sum or alert did. The calls come first: of a name that they still
    have, an alert would be raised anew.
    """
    user = label(name)
    calls = store.forget(user)
    budgets = state.budgets.ever_for_each(Dimension.USER)
    told = state.forget(user, budgets)
    store.forget_mirrored(user, budgets)
    store.keep_mirror(Mirror.ALERTS, [alert_line(one, now) for one in told])
    if calls is None and not told:
        raise Refused(
            f"user={name!r}: no call names this user; give the name as the app does", status=404
        )
    return calls or 0


def forget_api(store: Store, state: State, kept: Kept) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.post("/forget")
    def take_off(one: Forgotten) -> dict[str, int]:
        """Take a user's name off all stored calls and alerts; the dollars stay, with no name."""
        try:
            return {"calls": forget(store, state, one.user, datetime.now(UTC))}
        finally:
            kept.clear()

    return router
