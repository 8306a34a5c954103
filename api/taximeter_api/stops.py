"""The stops that budgets ask for, for apps: how much is left, and what then."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request, Response

from taximeter_alerts.budgets import STOP_DIMENSIONS, Budget, Stop
from taximeter_alerts.register import Register
from taximeter_alerts.spending import spending_of, spent_by_value
from taximeter_collector.store import Dimension, Period, SpendRow, Store

ASKED_WITHIN: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
MOST_VALUES: Final = 10_000
LISTED_FROM: Final = Decimal("0.5")
"""Part of the limit from which a value of a budget for each is listed."""
TAG: Final = "taximeter.tag."


def stops_api(stops: Stops, authorised: Callable[[str], bool]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/v1/budget-state")
    def budget_state(request: Request) -> Response:
        if not authorised(request.headers.get("authorization", "")):
            raise HTTPException(401, "send the ingest token: Authorization: Bearer <token>")
        body, etag = stops.at(datetime.now(UTC))
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    return router


class Stops:
    """The answer to all apps: made ahead of them, as long as some ask."""

    def __init__(self, store: Store, register: Register) -> None:
        self._store = store
        self._register = register
        self._making = threading.Lock()
        self._made: tuple[bytes, str] | None = None
        self._asked_at: datetime | None = None

    def at(self, now: datetime) -> tuple[bytes, str]:
        """Return the newest body and its ETag, at once unless it is the first."""
        self._asked_at = now
        return self._made or self.make(now)

    def tick(self, now: datetime) -> None:
        """Make it anew while apps ask."""
        if self._asked_at is not None and now - self._asked_at < ASKED_WITHIN:
            self.make(now)

    def make(self, now: datetime) -> tuple[bytes, str]:
        """Ask the store once for all budgets that share a period, and for each split one."""
        with self._making:
            budgets = [one for one in self._register.in_force(now) if one.stop]
            whole = [(one, one.period_at(now)) for one in budgets if one.each is None]
            spent = {
                one.budget.name: {"": f"{one.spent.cost:f}"}
                for one in spending_of(self._store, whole)
            }
            spent |= {one.name: self._spent(one, now) for one in budgets if one.each}
            scopes = {one.name: one.scope for one in budgets}
            last_day = self._store.spent(Period(now - DAY, now), scopes)
            told = [_told(one, now, spent[one.name], last_day[one.name]) for one in budgets]
            body = json.dumps({"stops": told}).encode()
            self._made = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            return self._made

    def _spent(self, budget: Budget, now: datetime) -> dict[str, str]:
        """Return what the values spent that reached a good part of the limit."""
        assert budget.each is not None  # noqa: S101 asked for by `make`
        least = _stops_at(budget) * LISTED_FROM
        period = budget.period_at(now)
        rows = spent_by_value(
            self._store, budget, budget.each, period, limit=MOST_VALUES, least=least
        )
        return {row.key[0]: f"{row.cost:f}" for row in rows}


def _told(
    budget: Budget, now: datetime, spent: Mapping[str, str], last_day: SpendRow
) -> dict[str, Any]:
    stop = budget.stop or Stop()
    priced = last_day.calls - last_day.unpriced_calls
    return {
        "budget": budget.name,
        "scope": _on_spans(budget.scope.values, budget.scope.tags),
        "not": _on_spans(budget.scope.without, budget.scope.without_tags),
        "each": STOP_DIMENSIONS[budget.each] if budget.each else "",
        "limit": f"{budget.amount:f}",
        "stops_at": f"{_stops_at(budget):f}",
        "spent": spent,
        "usd_a_call": f"{last_day.cost / priced if priced else Decimal(0):f}",
        "resets_at": budget.period_at(now).end.isoformat(),
        "action": stop.action,
        "model": stop.model,
        "when_unsure": stop.when_unsure,
    }


def _stops_at(budget: Budget) -> Decimal:
    return budget.amount * (budget.stop or Stop()).at / 100


def _on_spans(
    values: Mapping[Dimension, tuple[str, ...]], tags: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Name a part of a scope as an app's spans do."""
    named = {STOP_DIMENSIONS[dimension]: list(some) for dimension, some in values.items()}
    return named | {f"{TAG}{name}": list(some) for name, some in tags.items()}
