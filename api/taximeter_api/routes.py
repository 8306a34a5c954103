"""What the service answers over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from taximeter_api.live import answered, is_known, unchanged
from taximeter_api.page import render
from taximeter_api.questions import Refused, dimension_of, period_of, scope_of
from taximeter_api.snapshot import Snapshots
from taximeter_api.spend_rows import told
from taximeter_collector.journal import Journal
from taximeter_collector.store import Store, total_of
from taximeter_collector.store.lookup import Clue, FoundCall

JOURNAL_BYTES = Gauge("taximeter_journal_bytes", "What waits for the store")
JOURNAL_AGE = Gauge("taximeter_journal_age_seconds", "How long the oldest of it has waited")


def health(trouble: Callable[[], str]) -> APIRouter:
    """Return the probes; `trouble` says what keeps the service from working, or nothing.

    They wait for no thread: those may all be busy with slow pages.
    """
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def ready(response: Response) -> dict[str, str]:
        reason = trouble()
        response.status_code = 503 if reason else 200
        return {"status": "not ready", "reason": reason} if reason else {"status": "ok"}

    return router


def metrics(journal: Journal) -> APIRouter:
    """Return the page that Prometheus reads: what the service sees of itself."""
    router = APIRouter(include_in_schema=False)
    JOURNAL_BYTES.set_function(lambda: journal.size)
    JOURNAL_AGE.set_function(lambda: journal.oldest_s)

    @router.get("/metrics")
    def latest() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def spend_api(store: Store) -> APIRouter:
    """Return what is told of spend and of calls."""
    router = APIRouter(prefix="/api")

    @router.get("/spend")
    def spend(
        request: Request,
        group_by: Annotated[list[str], Query(description="Dimensions, also by commas")] = [],  # noqa: B006
        from_: Annotated[str, Query(alias="from", description="ISO date or time")] = "",
        to: Annotated[str, Query(description="ISO date or time, exclusive")] = "",
    ) -> dict[str, Any]:
        """Spend of a period in US dollars; any dimension is also a filter, as `feature=search`."""
        now = datetime.now(UTC)
        period = period_of(from_, to, now)
        names = [name for several in group_by for name in several.split(",") if name]
        by = [dimension_of("group_by", name) for name in dict.fromkeys(names)]
        scope = scope_of(filters_of(request))
        found = store.spend(period, by, scope)
        # Calls come meanwhile: a second question would be answered of another moment.
        total = total_of(found)
        rows = found if by else []
        return {
            "from": period.start.isoformat(),
            "to": period.end.isoformat(),
            "currency": "USD",
            "group_by": [dimension.outside_name for dimension in by],
            "total": told(total),
            "rows": [told(row, by) for row in rows],
        }

    @router.get("/quality")
    def quality(
        from_: Annotated[str, Query(alias="from", description="ISO date or time")] = "",
        to: Annotated[str, Query(description="ISO date or time, exclusive")] = "",
    ) -> dict[str, Any]:
        """Say what is missing from the sums of whole hours, or was altered on its way."""
        period = period_of(from_, to, datetime.now(UTC)).whole_hours()
        bounds = {"from": period.start.isoformat(), "to": period.end.isoformat()}
        return bounds | asdict(store.quality(period))

    @router.get("/calls")
    def calls(
        request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, Any]:
        """Find calls by `response_id`, `request_id`, `trace_id` or `user`, the newest first."""
        clue, value = _clue(request)
        return {"calls": [_told(one) for one in store.find(FoundCall, clue, value, limit)]}

    return router


def page(snapshots: Snapshots, *, otlp_url: str) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    tags: dict[tuple[datetime, datetime | None], str] = {}
    """Of the newest page: those who have it are answered without drawing it."""

    @router.get("/")
    def overview(request: Request) -> Response:
        if words := ", ".join(request.query_params.keys()):
            raise Refused(
                f"{words}: the overview is of all of this month; "
                "/features and /calls take from, to, span and filters"
            )
        now = datetime.now(UTC)
        newest = snapshots.newest(now)
        moments = (newest.taken_at, newest.last_call_at)
        tag = tags.get(moments, "")
        if tag and is_known(request, tag):
            answer = unchanged(tag)
        else:
            answer = answered(request, render(newest, now=now, endpoint=otlp_url))
            tags.clear()
            tags[moments] = answer.headers["ETag"]
        answer.headers["Last-Modified"] = format_datetime(newest.taken_at, usegmt=True)
        return answer

    return router


def filters_of(request: Request, others: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return the parameters of a request that narrow it to some calls."""
    known = {"group_by", "from", "to", *others}
    return [
        (name, value) for name, value in request.query_params.multi_items() if name not in known
    ]


def _clue(request: Request) -> tuple[Clue, str]:
    known = {clue.outside_name: clue for clue in Clue}
    given = [pair for pair in request.query_params.multi_items() if pair[0] != "limit"]
    if len(given) != 1 or given[0][0] not in known or not given[0][1]:
        names = ", ".join(name for name, _ in given) or "nothing"
        raise Refused(f"{names}: give one of {', '.join(known)}")
    name, value = given[0]
    return known[name], value


def _told(call: FoundCall) -> dict[str, Any]:
    told = asdict(call)
    return told | {
        "ts": call.ts.isoformat(timespec="milliseconds"),
        "cost": None if call.cost is None else f"{call.cost:f}",
    }
