"""How a priced call lies in the table `calls`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from taximeter_collector.calls import Call, Priced, Rates, Usage

CALL_COLUMNS = [field.name for field in fields(Call) if field.name != "usage"]
USAGE_COLUMNS = {field.name: field.name for field in fields(Usage)} | {"source": "usage_source"}
RATE_COLUMNS = {field.name: f"price_{field.name}" for field in fields(Rates)}


def columns_of(
    rows: Sequence[tuple[Call, Priced]], *, revision: int, book_version: str, now: datetime
) -> dict[str, list[Any]]:
    """Turn rows into columns by name."""
    calls = [call for call, _ in rows]
    prices = [priced for _, priced in rows]
    columns: dict[str, list[Any]] = {
        name: [getattr(call, name) for call in calls] for name in CALL_COLUMNS
    }
    for name, column in USAGE_COLUMNS.items():
        columns[column] = [getattr(call.usage, name) for call in calls]
    for name, column in RATE_COLUMNS.items():
        columns[column] = [priced.rates and getattr(priced.rates, name) for priced in prices]
    return columns | {
        "revision": [revision] * len(rows),
        "ingested_at": [now] * len(rows),
        "rate_card": [priced.rate_card for priced in prices],
        "book_version": [book_version] * len(rows),
        "cost": [priced.usd for priced in prices],
        # What is nothing but text follows from its rates, which takes less room.
        "cost_parts": [{} if priced.rates else dict(priced.components) for priced in prices],
        "cost_status": [priced.status for priced in prices],
        "cost_reason": [priced.reason for priced in prices],
    }
