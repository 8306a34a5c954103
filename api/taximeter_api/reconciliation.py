"""Reconcile a month, keep the result and tell it over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Query, Request, Response

from taximeter_alerts.periods import month_at
from taximeter_analysis.reconcile import Revision, reconcile, revisions
from taximeter_api.csv_file import csv_file, known
from taximeter_api.live import answered
from taximeter_api.openai_account import read_account
from taximeter_api.page.environment import template
from taximeter_api.page.sentences import CAUSES
from taximeter_api.questions import Refused, month_of, tomorrow
from taximeter_collector.settings import Settings
from taximeter_collector.store import Period, Store
from taximeter_collector.store.reconciliations import (
    BilledDay,
    BilledLine,
    Cause,
    Gap,
    Reconciliation,
)

BILL_ROWS = 24
NOTHING = "nothing is reconciled yet: run `taximeter reconcile`"
CENT = Decimal("0.01")
Month = Annotated[str, Query(description="Like 2026-11; empty: the newest", examples=["2026-11"])]


def reconcile_month(store: Store, settings: Settings, month: date, now: datetime) -> Reconciliation:
    """Read OpenAI's side, compare, keep and return; raises AccountUnreadable."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    period = Period(start, min(month_at(start, ZoneInfo("UTC")).end, tomorrow(now)))
    account = read_account(settings, period)
    own = store.openai_use(period)
    result = reconcile(account, own, month=month, chosen=settings.key_ids, now=now)
    store.keep_reconciliation(result)
    return result


def as_json(one: Reconciliation, revised: list[Revision]) -> dict[str, Any]:
    """Turn a reconciliation into what the API and `--json` tell; money as text, every digit."""
    told = asdict(one) | {
        "month": f"{one.month:%Y-%m}",
        "currency": "USD",
        "difference": one.difference,
        "metered_is_complete": one.unpriced_calls == 0,
        "revisions": [asdict(revision) for revision in revised],
    }
    plain: dict[str, Any] = _plain(told)
    return plain


def reconciliation_api(store: Store, settings: Settings) -> APIRouter:
    router = APIRouter(prefix="/api")
    reading = threading.Lock()

    @router.get("/reconciliation")
    def newest(month: Month = "") -> dict[str, Any]:
        """Tell the newest comparison with OpenAI's bill."""
        runs = _runs(store, month)
        if not runs:
            raise HTTPException(404, NOTHING)
        return as_json(runs[0], revisions(runs))

    @router.post("/reconciliation")
    def take(month: Month = "") -> dict[str, Any]:
        """Read OpenAI's usage and costs now, and compare; empty is the current month."""
        now = datetime.now(UTC)
        if not reading.acquire(blocking=False):
            raise HTTPException(409, "a reconciliation is under way: wait for it")
        try:
            one = reconcile_month(store, settings, month_of(month, now), now)
        finally:
            reading.release()
        return as_json(one, revisions(store.reconciliations(one.month)))

    return router


def reconciliation_page(store: Store) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/reconciliation")
    def page(request: Request, month: Month = "", csv: str = "") -> Response:
        runs = _runs(store, month)
        if csv:
            if not runs:
                raise HTTPException(404, NOTHING)
            return _csv(csv, runs[0])
        now = datetime.now(UTC)
        return answered(request, drawn(runs[0] if runs else None, revisions(runs), now))

    return router


def drawn(one: Reconciliation | None, revised: Sequence[Revision], now: datetime) -> str:
    """Return the HTML of the page that puts OpenAI's bill beside our meter."""
    return template("reconciliation.html").render(
        one=one,
        revised=revised,
        now=now,
        words=CAUSES,
        rows=BILL_ROWS,
        cent=CENT,
        path="/reconciliation",
    )


def _csv(name: str, one: Reconciliation) -> Response:
    tables: Mapping[str, tuple[Any, Sequence[Any]]] = {
        "causes": (Cause, one.causes),
        "lines": (BilledLine, one.lines),
        "days": (BilledDay, one.days),
        "hours": (Gap, one.gaps),
    }
    if name not in tables:
        raise Refused(f"csv={name!r}: give one of {', '.join(tables)}")
    kind, rows = tables[name]
    names = [field.name for field in fields(kind)]
    return csv_file(f"bill-{name}", names, ([_cell(row, one) for one in names] for row in rows))


def _cell(row: Any, name: str) -> Any:
    value = getattr(row, name)
    return known(value, row.unpriced_calls) if name == "metered" else value


def _runs(store: Store, month: str) -> list[Reconciliation]:
    """Return the runs of a month, the newest first; "" is the month reconciled last."""
    if not month:
        newest = store.reconciliations()
        return [run for run in newest if run.month == newest[0].month]
    runs = store.reconciliations(month_of(month, datetime.now(UTC)))
    if not runs and (others := store.reconciled_months()):
        names = ", ".join(f"{other:%Y-%m}" for other in others)
        raise HTTPException(404, f"month={month}: it is not reconciled yet, unlike {names}")
    return runs


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
