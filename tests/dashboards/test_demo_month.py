"""What the dashboards show of the demo: something in every panel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from demo_month import DAY, NOW, live_through
from grafana import View
from seeded_boards import ANNOTATIONS, PANELS, VARIABLES
from stores import empty
from taximeter_collector.store import Store

VIEW = View(
    start=(NOW - 29 * DAY).replace(hour=0, minute=0),
    end=NOW,
    chosen={"budget": ["Everything"], "what_if": ["gpt-4o-mini"]},
)


@pytest.fixture(scope="module")
def engine(opened_store: Store, store_path: Path) -> Iterator[Client]:
    empty(opened_store)
    live_through(opened_store, every=5 * DAY)
    reader = clickhouse_connect.get_client(interface="chdb", path=str(store_path))
    yield reader
    reader.close()


def answer(engine: Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in engine.query(VIEW.expanded(sql)).result_rows]


@pytest.mark.parametrize("panel", PANELS)
def test_no_panel_is_empty(engine: Client, panel: str) -> None:
    rows = answer(engine, PANELS[panel]["targets"][0]["rawSql"])

    figures = [value for row in rows for value in row if not isinstance(value, (str, datetime))]
    assert any(value is not None and value == value for value in figures), rows


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_something_is_drawn_over_charts(engine: Client, annotation: str) -> None:
    assert answer(engine, ANNOTATIONS[annotation]["target"]["rawSql"])


@pytest.mark.parametrize(
    "variable", [name for name, one in VARIABLES.items() if one["type"] == "query"]
)
def test_every_variable_offers_something(engine: Client, variable: str) -> None:
    assert answer(engine, VARIABLES[variable]["query"]["rawSql"])
