"""What the dashboards show of the demo: something in every panel."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

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
MAY_BE_ZERO = {"budgets: May pass it", "budgets: Not delivered"}


@pytest.fixture(scope="module")
def engine(opened_store: Store, client: Client) -> Client:
    empty(opened_store)
    live_through(opened_store, every=5 * DAY)
    return client


def answer(engine: Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in engine.query(VIEW.expanded(sql)).result_rows]


@pytest.mark.parametrize("panel", PANELS)
def test_no_panel_is_empty(engine: Client, panel: str) -> None:
    rows = answer(engine, PANELS[panel]["targets"][0]["rawSql"])

    figures = [value for row in rows for value in row if isinstance(value, (int, float, Decimal))]
    known = [value for value in figures if value == value]
    assert any(known) or (known and panel in MAY_BE_ZERO), rows


def test_the_meter_tells_of_the_hour_without_a_store_once_it_is_back(engine: Client) -> None:
    evening = "at >= '2026-11-16 20:00:00' and at <= '2026-11-16 21:00:00'"
    lines = answer(engine, f"select at, lag_s from taximeter.meter_lines where {evening}")

    assert lines == [(datetime(2026, 11, 16, 21), 3600)]  # noqa: DTZ001 as the client gives it


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_something_is_drawn_over_charts(engine: Client, annotation: str) -> None:
    assert answer(engine, ANNOTATIONS[annotation]["target"]["rawSql"])


@pytest.mark.parametrize(
    "variable", [name for name, one in VARIABLES.items() if one["type"] == "query"]
)
def test_every_variable_offers_something(engine: Client, variable: str) -> None:
    assert answer(engine, VARIABLES[variable]["query"]["rawSql"])


@pytest.mark.parametrize("label", ["feature", "model"])
def test_a_chart_has_no_more_series_than_there_are_colours_apart(
    engine: Client, label: str
) -> None:
    panel = PANELS[f"spend-overview: Spend per day by {label}"]
    spend: dict[str, Decimal] = {}
    for _, series, usd in answer(engine, panel["targets"][0]["rawSql"]):
        spend[series] = spend.get(series, Decimal(0)) + (usd or 0)
    total = answer(engine, PANELS["spend-overview: Spend in range"]["targets"][0]["rawSql"])

    others = spend.pop("(others)")
    assert len(spend) == 6
    assert max(others, *spend.values()) > others
    assert sum(spend.values()) + others == total[0][0]
