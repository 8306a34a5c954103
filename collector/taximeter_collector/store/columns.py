"""How a priced call lies in the table `calls`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from taximeter_collector.calls import Call, CostStatus, Priced, Rates, Usage, UsageSource

CALL_COLUMNS = {field.name: field.name for field in fields(Call) if field.name != "usage"}
USAGE_COLUMNS = {field.name: field.name for field in fields(Usage)} | {"source": "usage_source"}
RATE_COLUMNS = {field.name: f"price_{field.name}" for field in fields(Rates)}
DEFAULTS = {field.name: field.default for field in (*fields(Call), *fields(Usage))}
"""What the engine fills in by itself."""
PRICE_COLUMNS = ("cost_status", "cost", "cost_reason", "rate_card", "cost_parts")
READ_COLUMNS = (
    *CALL_COLUMNS,
    *USAGE_COLUMNS.values(),
    *RATE_COLUMNS.values(),
    *PRICE_COLUMNS,
)
"""What a call and its price are read back from."""
Row = tuple[Call, Priced]
TUPLES = ("attempt_statuses", "attempt_waits_ms")


def columns_of(
    rows: Sequence[Row], *, revision: int, book_version: str, now: datetime
) -> dict[str, list[Any]]:
    """Turn rows into columns by name, without those that say nothing."""
    calls = [call for call, _ in rows]
    usages = [call.usage for call in calls]
    prices = [as_stored(priced) for _, priced in rows]
    columns: dict[str, list[Any]] = {}
    for of_rows, names in ((calls, CALL_COLUMNS), (usages, USAGE_COLUMNS)):
        for name, column in names.items():
            values = list(map(attrgetter(name), of_rows))
            if values.count(DEFAULTS.get(column)) < len(values):
                columns[column] = values
    for name, column in RATE_COLUMNS.items():
        columns[column] = [priced.rates and getattr(priced.rates, name) for priced in prices]
    return columns | {
        "revision": [revision] * len(rows),
        "ingested_at": [now] * len(rows),
        "rate_card": [priced.rate_card for priced in prices],
        "book_version": [book_version] * len(rows),
        "cost": [priced.usd for priced in prices],
        "cost_parts": [dict(priced.components) for priced in prices],
        "cost_status": [priced.status for priced in prices],
        "cost_reason": [priced.reason for priced in prices],
    }


def as_stored(priced: Priced) -> Priced:
    """Leave out the components of what is nothing but text: they follow from its rates."""
    return priced._replace(components={}) if priced.rates else priced


def call_and_price(row: Sequence[Any]) -> tuple[Call, Priced]:
    """Turn the values of `READ_COLUMNS` back into the call and its price, as it is stored."""
    values = iter(row)
    of_call = dict(zip(CALL_COLUMNS, values, strict=False))
    of_call |= {name: tuple(of_call[name]) for name in TUPLES}
    of_usage = dict(zip(USAGE_COLUMNS, values, strict=False))
    of_rates = dict(zip(RATE_COLUMNS, values, strict=False))
    status, usd, reason, rate_card, parts = values
    usage = Usage(**{**of_usage, "source": UsageSource(of_usage["source"])})
    rates = None if of_rates["input"] is None else Rates(**of_rates)
    price = Priced(CostStatus(status), usd, reason, rate_card, rates, parts)
    return Call(**of_call, usage=usage), price


def by_week(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return rows by the ISO week that they lie in, like `2026-47`."""
    weeks: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        weeks[row[0].ts.isocalendar()[:2]].append(row)
    return {f"{year}-{week:02}": of_week for (year, week), of_week in weeks.items()}
