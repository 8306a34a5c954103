"""Calls as people read them: the newest of a scope, and one with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from taximeter_collector.labels import label
from taximeter_collector.store.connection import Connected
from taximeter_collector.store.lookup import (
    Clue,
    Found,
    FoundCall,
    Place,
    dearest_calls,
    newest_calls,
    of_users,
)
from taximeter_collector.store.question import calls_within
from taximeter_collector.store.scope import Dimension, Period, Scope

DETAILS = (
    "endpoint",
    "server_address",
    "request_model",
    "request_service_tier",
    "api_key_id",
    "session_id",
    "stream",
    "batch",
    "attempt_statuses",
    "attempt_waits_ms",
    "max_output_tokens",
    "cache_write_tokens",
    "price_input",
    "price_cached_input",
    "price_cache_write",
    "price_output",
    "cost_input",
    "cost_cached_input",
    "cost_cache_write",
    "cost_output",
    "rate_card",
    "book_version",
)


@dataclass(frozen=True, slots=True)
class CallDetail:
    """A call and whatever else its row holds, by the names of its columns."""

    call: FoundCall
    more: Mapping[str, object]
    other_cost: Decimal | None
    """Cost of what is not a token of text."""


class Only(StrEnum):
    """A kind of calls to see alone."""

    ERRORS = "errors"
    RATE_LIMITED = "rate_limited"
    UNPRICED = "unpriced"
    ESTIMATED = "estimated"

    @property
    def in_words(self) -> str:
        return self.replace("_", " ")


EVER = Period(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
KINDS: Final = {
    None: "true",
    Only.ERRORS: "error_type != ''",
    Only.RATE_LIMITED: "http_status = 429",
    Only.UNPRICED: "cost_status = 'unpriced'",
    Only.ESTIMATED: "cost_status = 'estimated'",
}


class CallQuestions(Connected):
    def find(
        self,
        kind: type[Found],
        clue: Clue,
        value: str,
        limit: int,
        after: Place | None = None,
    ) -> list[Found]:
        """Return the calls that have this id or user, as it was sent, the newest first."""
        value = label(value)
        condition, bound = f"{clue} = {{value:String}}", {"value": value}
        if clue is Clue.USER:
            return of_users(self._connection, kind, [value], EVER, condition, bound, limit, after)
        return newest_calls(self._connection, kind, condition, bound, limit, after)

    def calls(
        self,
        kind: type[Found],
        period: Period,
        scope: Scope,
        limit: int,
        only: Only | None = None,
        after: Place | None = None,
    ) -> list[Found]:
        """Return calls of a scope, the newest first; of those that stand `after` a place."""
        condition, bound = calls_within(period, scope)
        condition = f"{condition} and {KINDS[only]}"
        if users := scope.values.get(Dimension.USER):
            names = list(users)
            return of_users(self._connection, kind, names, period, condition, bound, limit, after)
        return newest_calls(self._connection, kind, condition, bound, limit, after)

    def dearest_calls(
        self, kind: type[Found], period: Period, scope: Scope, limit: int, only: Only | None = None
    ) -> list[Found]:
        """Return calls of a scope, the dearest first, without those of unknown cost."""
        condition, bound = calls_within(period, scope)
        condition = f"{condition} and {KINDS[only]}"
        return dearest_calls(self._connection, kind, condition, bound, limit)

    def call(self, call_id: str) -> CallDetail | None:
        """Return all that is known of a call; None when there is none."""
        found = self.find(FoundCall, Clue.RESPONSE_ID, call_id, 1)
        if not found:
            return None
        (more,) = self._connection.rows(
            f"""
            select {", ".join(DETAILS)}
            from taximeter.calls
            where call_id = {{id:String}}
                and toStartOfHour(ts) = toStartOfHour({{ts:DateTime64(3, 'UTC')}})
            order by revision desc
            limit 1
            """,  # noqa: S608 names of ours
            {"id": call_id, "ts": found[0].ts},
        )
        parts = [more[name] for name in DETAILS if name.startswith("cost_")]
        known = sum((part for part in parts if isinstance(part, Decimal)), Decimal(0))
        cost = found[0].cost
        return CallDetail(found[0], more, None if cost is None else cost - known)
