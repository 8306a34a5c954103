"""A store with a few calls, and what the watch said of them, as Grafana reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from builders import NOON, call, costing, unpriced
from grafana import View
from stores import empty
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.mirroring import MeterState, Mirroring
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import State
from taximeter_alerts.watch import evaluate
from taximeter_collector.calls import CostStatus, Loss, Priced
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Store
from taximeter_collector.store.mirror import FindingLine, MeterLine, Mirror
from taximeter_dashboards.build import dashboards, text_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOSTILE = ["a\\", "') OR 1=1 --"]
"""Values that end a quoted literal, or the list that it stands in."""
WEEK = View(start=NOON - 6 * DAY, end=NOON, chosen={"budget": ["All"], "what_if": ["gpt-5"]})

SPECS: dict[str, Any] = {
    name.removesuffix(".json"): json.loads(text_of(board)) for name, board in dashboards().items()
}
PANELS: dict[str, Any] = {
    f"{name}: {panel['title']}": panel
    for name, spec in SPECS.items()
    for panel in spec["panels"]
    if panel["type"] != "row"
}


def _named(found: Callable[[Any], Sequence[Any]]) -> dict[str, Any]:
    """Return parts of all dashboards by the names of both."""
    return {f"{name}: {one['name']}": one for name, spec in SPECS.items() for one in found(spec)}


ANNOTATIONS = _named(lambda spec: spec["annotations"]["list"])
VARIABLES = _named(lambda spec: spec["templating"]["list"])

FIELDS: dict[str, Any] = {
    "environment": "prod",
    "team": "web",
    "prompt_name": "answer",
    "duration_ms": 1024,  # which the states of latencies hold as it is
}
CALLS = [
    # In the month and before the week.
    costing("1.05", ts=NOON - 10 * DAY, user_id="bob", prompt_version="1", **FIELDS),
    costing("3", ts=NOON - HOUR, user_id="ada", prompt_version="2", call_id="dear", **FIELDS),
    (
        call(
            ts=NOON - DAY,
            user_id="bob",
            prompt_version="1",
            model="gpt-5",
            max_output_tokens=800,
            timeout_set=True,
            remaining_requests=50,
            usage={"cached_input_tokens": 250, "reasoning_tokens": 40},
            **FIELDS,
        ),
        Priced(
            status=CostStatus.EXACT,
            usd=Decimal(1),
            components={
                "input": Decimal("0.4"),
                "cached_input": Decimal("0.1"),
                "output": Decimal("0.5"),
            },
        ),
    ),
    (
        call(
            ts=NOON - DAY,
            user_id="ada",
            feature="chat",
            attempts=3,
            ttft_ms=200,
            stream=True,
            usage={"source": "estimated"},
            tags_altered=1,
            **{**FIELDS, "team": "ops"},
        ),
        Priced(status=CostStatus.ESTIMATED, usd=Decimal("0.5")),
    ),
    costing(
        "0",
        ts=NOON - HOUR,
        error_type="RateLimitError",
        http_status=429,
        attempts=2,
        input_tokens=0,
        output_tokens=0,
        **FIELDS,
    ),
    unpriced(ts=NOON - HOUR, user_id="bob", **FIELDS),
]

BILLED = """
insert into taximeter.reconciliations (month, taken_at, billed, metered, causes)
values
    ('2026-11-01', '2026-11-15 12:00:00', 9, 9, []),
    ('2026-11-01', '2026-11-16 12:00:00', 10, 9.5,
        [('unseen', 'key_export was never metered', 0.5)])
"""


def seed(store: Store) -> None:
    """Fill a store: some hours closed and some open."""
    empty(store)
    store.add(CALLS[:4], token="details/1", book_version="test", now=NOON)
    store.refresh()
    store.add(CALLS[4:], token="details/2", book_version="test", now=NOON)
    store.add_losses([Loss(told_at=NOON, told_by="a", service="web", environment="prod", spans=7)])
    store._connection.command(BILLED)
    _watch(store)


def _watch(store: Store) -> None:
    """Let the watch say something, and dashboards know it."""
    with TemporaryDirectory() as folder, closing(State(f"sqlite:///{folder}/s.db")) as state:
        path = Path(folder) / "budgets.yaml"
        path.write_text(
            "budgets:\n  - {name: All, amount: 9, thresholds: [50]}\n"
            "  - {name: Small, amount: 4}\n  - {name: Users, amount: 5, each: user}\n"
            "  - {name: Large, amount: 100, scope: {feature: search}}\n"
            "  - {name: Gone, amount: 6}\n"
        )
        register = Register(LiveFile(path, read_budgets), state)
        meters = iter([MeterState(0, {}), MeterState(2.5, {"late": 3})])
        copying = Mirroring(
            store, state, register, Savings(store, PriceBook.shipped), lambda: next(meters)
        )
        copying.copy(NOON - HOUR)
        path.write_text(path.read_text().replace("  - {name: Gone, amount: 6}\n", ""))
        evaluate(store, state, [one for one in register.in_force(NOON) if not one.each], NOON)
        copying.copy(NOON)
    finding = FindingLine(
        taken_at=NOON + HOUR,
        kind="batch",
        feature="search",
        model="gpt-4o",
        advice="an advice",
        evidence="an evidence",
        usd_a_month=Decimal(12),
        confidence="medium",
    )
    store.keep_mirror(Mirror.FINDINGS, [finding])
    another = MeterLine(at=NOON + timedelta(seconds=30), lag_s=0.1, rejected={})
    store.keep_mirror(Mirror.METER, [another])


def asked(
    engine: Client, sql: str, chosen: Mapping[str, Sequence[str]], view: View = WEEK
) -> list[tuple[Any, ...]]:
    """Ask as Grafana does, as a user who may only read."""
    view = replace(view, chosen={**view.chosen, **chosen})
    result = engine.query(view.expanded(sql), settings={"readonly": 1})
    return [tuple(row) for row in result.result_rows]


def shown(engine: Client, panel: str, **chosen: Sequence[str]) -> list[tuple[Any, ...]]:
    return asked(engine, PANELS[panel]["targets"][0]["rawSql"], chosen)


def drawn(engine: Client, annotation: str, **chosen: Sequence[str]) -> list[tuple[Any, ...]]:
    return asked(engine, ANNOTATIONS[annotation]["target"]["rawSql"], chosen)


def alike(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return rows whose numbers equal those that differ by rounding."""
    return [tuple(_near(value) for value in row) for row in rows]


def _near(value: Any) -> Any:
    return pytest.approx(float(value)) if isinstance(value, (float, Decimal)) else value


def plain(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [
        tuple(float(value) if isinstance(value, Decimal) else value for value in row)
        for row in rows
    ]


def usd(amount: str) -> Decimal:
    return Decimal(amount)


def day(days_ago: int) -> datetime:
    """Return midnight of a day, as the engine's client gives it."""
    return (NOON - days_ago * DAY).replace(hour=0, tzinfo=None)


def moment(at: datetime) -> datetime:
    return at.replace(tzinfo=None)
