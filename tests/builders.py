"""Calls and budgets with sane defaults; a test names only what it is about."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from taximeter_alerts.alert import Alert, AlertKey, Outgoing, Told
from taximeter_alerts.budgets import Budget
from taximeter_collector.calls import Call, CostStatus, Priced, Usage
from taximeter_collector.store import Period

NOON = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)

_serial = itertools.count(1)


def call(
    *,
    ts: datetime = NOON,
    input_tokens: int = 1000,
    output_tokens: int = 100,
    usage: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Call:
    """Build a plain gpt-4o chat call; `fields` are those of `Call`, `usage` those of `Usage`."""
    serial = next(_serial)
    defaults: dict[str, Any] = {
        "call_id": f"chatcmpl-{serial}",
        "trace_id": f"{serial:032x}",
        "span_id": f"{serial:016x}",
        "provider": "openai",
        "operation": "chat",
        "endpoint": "chat.completions",
        "model": "gpt-4o",
        "request_model": "gpt-4o",
        "feature": "search",
        "http_status": 200,
        "duration_ms": 800,
    }
    tokens = {"input_tokens": input_tokens, "output_tokens": output_tokens, **(usage or {})}
    return Call(ts=ts, usage=Usage(**tokens), **{**defaults, **fields})


def costing(usd: str, **fields: Any) -> tuple[Call, Priced]:
    """Build a call with its cost in US dollars."""
    return call(**fields), Priced(status=CostStatus.EXACT, usd=Decimal(usd))


def unpriced(**fields: Any) -> tuple[Call, Priced]:
    priced = Priced(status=CostStatus.UNPRICED, usd=None, reason="no price for model mystery-1")
    return call(model="mystery-1", **fields), priced


Rows = Sequence[tuple[Call, Priced]]


def at_once(work: Callable[..., object], *args: object) -> None:
    """Do it as a pool of threads would, before the next."""
    work(*args)


def budget(amount: str = "10.00", **fields: Any) -> Budget:
    """Build a monthly budget of everything; `fields` are those of `Budget`."""
    return Budget(**{"name": "search", "amount": Decimal(amount), **fields})


def alert(percent: int = 50, **fields: Any) -> Alert:
    """Build the alert of a $10 budget of November of which $6 are spent."""
    november = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    threshold_usd = Decimal(10) * percent / 100
    defaults: dict[str, Any] = {
        "key": AlertKey("search", november.start, "threshold", percent, threshold_usd),
        "period": november,
        "zone": "UTC",
        "limit": Decimal(10),
        "spent": Decimal("6.00"),
        "unpriced_calls": 0,
        "also_passed": (),
        "next_threshold": 75,
        "at": NOON,
        "channels": ("slack",),
        "owner": "",
        "calls": "?from=2026-11-01&to=2026-12-01",
    }
    return Alert(**{**defaults, **fields})


def outgoing(*told: Told, **fields: Any) -> Outgoing:
    """Build the message of alerts as the outbox does."""
    id_ = told[0].key.digest if len(told) == 1 else "digest"
    return Outgoing(**{"told": told, "id": id_, "page_url": "http://127.0.0.1:8787", **fields})
