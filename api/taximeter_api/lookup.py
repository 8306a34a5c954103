"""Single calls over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from taximeter_api.questions import BadQuestion
from taximeter_collector.store import Clue, FoundCall, Store


def lookup_api(store: Store) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/calls")
    def calls(
        request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, Any]:
        """Find calls by `response_id`, `request_id`, `trace_id` or `user`, the newest first."""
        clue, value = _clue(request)
        return {"calls": [_told(one) for one in store.find(clue, value, limit)]}

    return router


def _clue(request: Request) -> tuple[Clue, str]:
    known = {clue.outside_name: clue for clue in Clue}
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "limit"]
    if len(given) != 1 or given[0][0] not in known or not given[0][1]:
        names = ", ".join(name for name, _ in given) or "nothing"
        raise BadQuestion(f"{names}: give one of {', '.join(known)}")
    name, value = given[0]
    return known[name], value


def _told(call: FoundCall) -> dict[str, Any]:
    told = asdict(call)
    return told | {
        "ts": call.ts.isoformat(timespec="milliseconds"),
        "cost": None if call.cost is None else f"{call.cost:f}",
    }
