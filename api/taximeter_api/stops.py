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

from taximeter_alerts.budgets import STOP_DIMENSIONS, Budget
from taximeter_alerts.register import Register
from taximeter_alerts.spending import spending_of
from taximeter_collector.store import Dimension, Period, Store

FRESH_FOR: Final = timedelta(seconds=2)
DAY: Final = timedelta(days=1)
MOST_VALUES: Final = 10_000
LISTED_FROM: Final = Decimal("0.5")
"""Part of the limit from which a value of a budget for each is listed."""
TAG: Final = "taximeter.tag."


def stops_api(store: Store, register: Register, authorised: Callable[[str], bool]) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    stops = Stops(store, register)

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
    """The answer to all apps, made anew every few seconds at most."""

    def __init__(self, store: Store, register: Register) -> None:
        self._store = store
        self._register = register
        self._making = threading.Lock()
        self._made_at: datetime | None = None
        self._made = (b"", "")

    def at(self, now: datetime) -> tuple[bytes, str]:
        """Return the body and its ETag."""
        with self._making:
            if self._made_at is None or not self._made_at <= now < self._made_at + FRESH_FOR:
                told = [self._stop(one, now) for one in self._register.in_force(now) if one.stop]
                body = json.dumps({"stops": told}).encode()
                self._made = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
                self._made_at = now
            return self._made

    def _stop(self, budget: Budget, now: datetime) -> dict[str, Any]:
        stop, period = budget.stop, budget.period_at(now)
        assert stop is not None  # noqa: S101 asked for by `at`
        stops_at = budget.amount * stop.at / 100
        last_day = self._store.spent(Period(now - DAY, now), {"": budget.scope})[""]
        priced = last_day.calls - last_day.unpriced_calls
        return {
            "budget": budget.name,
            "scope": _on_spans(budget.scope.values, budget.scope.tags),
            "not": _on_spans(budget.scope.without, budget.scope.without_tags),
            "each": STOP_DIMENSIONS[budget.each] if budget.each else "",
            "limit": f"{budget.amount:f}",
            "stops_at": f"{stops_at:f}",
            "spent": self._spent(budget, period, stops_at),
            "usd_a_call": f"{last_day.cost / priced if priced else Decimal(0):f}",
            "resets_at": period.end.isoformat(),
            "action": stop.action,
            "model": stop.model,
            "when_unsure": stop.when_unsure,
        }

    def _spent(self, budget: Budget, period: Period, stops_at: Decimal) -> Mapping[str, str]:
        if budget.each is None:
            (one,) = spending_of(self._store, [(budget, period)])
            return {"": f"{one.spent.cost:f}"}
        rows = self._store.spend(
            period, [budget.each], budget.scope, MOST_VALUES, stops_at * LISTED_FROM
        )
        return {row.key[0]: f"{row.cost:f}" for row in rows}


def _on_spans(
    values: Mapping[Dimension, tuple[str, ...]], tags: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Name a part of a scope as an app's spans do."""
    named = {STOP_DIMENSIONS[dimension]: list(some) for dimension, some in values.items()}
    return named | {f"{TAG}{name}": list(some) for name, some in tags.items()}
