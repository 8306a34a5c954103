from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from builders import NOON, costing, unpriced
from grafana import ALL, View
from seeded_boards import DAY, HOSTILE, HOUR, PANELS, SPECS, VARIABLES, asked, day, usd
from stores import empty
from taximeter_collector.store import Store
from taximeter_dashboards.build import FOLDER, dashboards

TODAY, YESTERDAY, FIRST_DAY = NOON, NOON - DAY, NOON - 14 * DAY

LAST_FORTNIGHT = View(start=FIRST_DAY + 3 * HOUR, end=TODAY)
"""From an afternoon until noon: the days of both ends are cut by the range."""

SPEC = SPECS["spend-overview"]

CALLS = [
    costing(
        "1.50",
        ts=TODAY - HOUR,
        environment="prod",
        user_id="ada",
        usage={"cached_input_tokens": 400},
        duration_ms=800,
        ttft_ms=200,
        stream=True,
    ),
    costing("0.50", ts=YESTERDAY, environment="prod", user_id="bob", duration_ms=800),
    costing(
        "2.00",
        ts=YESTERDAY,
        environment="prod",
        user_id="ada",
        feature="chat",
        model="gpt-5",
        usage={"reasoning_tokens": 60, "cache_write_tokens": 200},
        duration_ms=1600,
    ),
    unpriced(ts=TODAY - 2 * HOUR, environment="prod", user_id="bob", duration_ms=800),
    # Before the range's first moment, on its first day.
    costing("0.125", ts=FIRST_DAY - 4 * HOUR, environment="prod", feature="", duration_ms=800),
    # In the month, before the range.
    costing("4.00", ts=FIRST_DAY - DAY, environment="prod", user_id="ada"),
    # In the month before.
    costing("8.00", ts=FIRST_DAY - 2 * DAY, environment="prod", user_id="ada"),
]

LATER_CALLS = [
    # After the range's last moment, on its last day.
    costing(
        "0.75",
        ts=TODAY + 3 * HOUR,
        environment="prod",
        user_id="ada",
        feature="chat",
        model="gpt-5",
        duration_ms=1600,
    ),
    costing(
        "0.25",
        ts=NOON - 3 * DAY,
        environment="staging",
        feature="chat",
        model="gpt-5",
        error_type="RateLimitError",
        http_status=429,
        input_tokens=0,
        output_tokens=0,
        duration_ms=1600,
    ),
    costing(
        "0.125",
        ts=NOON - 6 * DAY,
        environment="prod",
        user_id=HOSTILE[1],
        feature=HOSTILE[0],
        duration_ms=800,
    ),
]


@pytest.fixture(scope="module")
def engine(opened_store: Store, client: Client) -> Client:
    """Seed the store, some hours closed and some open, and hand out a reader beside it."""
    empty(opened_store)
    opened_store.add(CALLS, token="dashboards/1", book_version="test", now=NOON)
    opened_store.refresh()
    opened_store.add(LATER_CALLS, token="dashboards/2", book_version="test", now=NOON)
    return client


def shown(engine: Client, panel: str, **chosen: Sequence[str]) -> list[tuple[Any, ...]]:
    sql = PANELS[f"spend-overview: {panel}"]["targets"][0]["rawSql"]
    return asked(engine, sql, chosen, LAST_FORTNIGHT)


def near(milliseconds: float) -> Any:
    """Allow the error of the rollup's quantiles, which is 0.56 % at worst."""
    return pytest.approx(milliseconds, rel=0.0056)


@pytest.mark.parametrize(
    ("panel", "value"),
    [
        ("Spend this month", usd("9.25")),
        ("Cost per 1,000 calls", usd("750")),
        ("Error rate", 0.125),
        ("Unpriced calls", 1),
    ],
)
def test_a_figure_covers_the_whole_days_of_both_ends(
    engine: Client, panel: str, value: object
) -> None:
    assert shown(engine, panel) == [(value,)]


def test_spend_in_range_is_the_spend_of_its_days(engine: Client) -> None:
    days = shown(engine, "Spend per day by feature")

    assert shown(engine, "Spend in range") == [(usd("5.25"),)]
    assert sum(amount for *_, amount in days) == usd("5.25")


def test_calls_are_counted_whether_priced_or_not(engine: Client) -> None:
    assert shown(engine, "Calls") == [
        (day(14), 1),
        (day(6), 1),
        (day(3), 1),
        (day(1), 2),
        (day(0), 3),
    ]


def test_spend_per_day_is_split_by_feature(engine: Client) -> None:
    assert shown(engine, "Spend per day by feature") == [
        (day(14), "(none)", usd("0.125")),
        (day(6), HOSTILE[0], usd("0.125")),
        (day(3), "chat", usd("0.25")),
        (day(1), "chat", usd("2.00")),
        (day(1), "search", usd("0.50")),
        (day(0), "chat", usd("0.75")),
        (day(0), "search", usd("1.50")),
    ]


def test_a_day_on_which_no_call_of_a_model_has_a_price_is_unknown_not_zero(engine: Client) -> None:
    assert shown(engine, "Spend per day by model") == [
        (day(14), "gpt-4o", usd("0.125")),
        (day(6), "gpt-4o", usd("0.125")),
        (day(3), "gpt-5", usd("0.25")),
        (day(1), "gpt-4o", usd("0.50")),
        (day(1), "gpt-5", usd("2.00")),
        (day(0), "gpt-4o", usd("1.50")),
        (day(0), "gpt-5", usd("0.75")),
        (day(0), "mystery-1 (no known price)", None),
    ]


def test_the_features_table_says_what_each_feature_costs_and_why(engine: Client) -> None:
    assert shown(engine, "Features") == [
        ("chat", usd("3.00"), 3 / 5.25, 3, usd("1000"), 0.0, 1 / 3, near(1600), 0),
        ("search", usd("2.00"), 2 / 5.25, 3, usd("1000"), 400 / 3000, 0.0, near(800), 1),
        ("(none)", usd("0.125"), 0.125 / 5.25, 1, usd("125"), 0.0, 0.0, near(800), 0),
        (HOSTILE[0], usd("0.125"), 0.125 / 5.25, 1, usd("125"), 0.0, 0.0, near(800), 0),
    ]


@pytest.mark.parametrize(
    ("chosen", "spend"),
    [
        ({"feature": ["chat"]}, "3.00"),
        ({"feature": ["chat", "search"]}, "5.00"),
        ({"feature": ["(none)"]}, "0.125"),
        ({"feature": ["search"], "environment": ["staging"]}, None),
        ({"feature": ["chat"], "environment": ["staging"]}, "0.25"),
        ({"model": ["gpt-4o"], "feature": ALL}, "2.25"),
        ({"feature": [HOSTILE[0]]}, "0.125"),
        ({"feature": HOSTILE}, "0.125"),
        ({"feature": [HOSTILE[1]]}, None),
        ({"feature": ["sea' || 'rch"]}, None),
        ({"feature": ["chat&v=search"]}, None),
    ],
)
def test_chosen_values_are_taken_as_they_are_whatever_they_hold(
    engine: Client, chosen: Mapping[str, Sequence[str]], spend: str | None
) -> None:
    days = shown(engine, "Spend per day by feature", **chosen)

    assert shown(engine, "Spend in range", **chosen) == [(usd(spend or "0"),)]
    assert sum(amount for *_, amount in days) == usd(spend or "0")
    assert bool(days) == bool(spend)


def test_a_chosen_feature_is_all_of_its_table(engine: Client) -> None:
    assert shown(engine, "Features", feature=["chat"]) == [
        ("chat", usd("3.00"), 1.0, 3, usd("1000"), 0.0, 1 / 3, near(1600), 0)
    ]


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("environment", ["prod", "staging"]),
        ("feature", ["(none)", HOSTILE[0], "chat", "search"]),
        ("model", ["gpt-4o", "gpt-5", "mystery-1"]),
        ("user", ["ada", "bob", "(none)", HOSTILE[1]]),
    ],
)
def test_a_variable_offers_the_values_of_the_range(
    engine: Client, variable: str, values: list[str]
) -> None:
    sql = VARIABLES[f"spend-overview: {variable}"]["query"]["rawSql"]

    assert asked(engine, sql, {}, LAST_FORTNIGHT) == [(value,) for value in values]


def test_a_stale_file_fails_the_check_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))
    program = (
        "import pathlib, sys; from taximeter_dashboards import build;"
        f"build.FOLDER = pathlib.Path({str(tmp_path)!r}); build.PAGE = build.FOLDER / 'page.md';"
        "sys.exit(build.main())"
    )

    stale = subprocess.run(
        [sys.executable, "-c", program, "--check"], capture_output=True, text=True, check=False
    )

    assert stale.returncode == 1
    names = ", ".join([*dashboards(), "page.md"])
    assert stale.stderr == f"stale: {names}; run python -m taximeter_dashboards.build\n"
    assert list(tmp_path.iterdir()) == []


def test_the_dashboard_is_of_the_schema_that_file_provisioning_takes() -> None:
    assert (SPEC["schemaVersion"], SPEC["uid"]) == (42, "taximeter-overview")
    assert (SPEC["time"], SPEC["timezone"]) == ({"from": "now-29d/d", "to": "now"}, "utc")


def test_panel_ids_never_change() -> None:
    assert {panel["title"]: panel["id"] for panel in SPEC["panels"]} == {
        "Money": 100,
        "Spend this month": 101,
        "Spend in range": 102,
        "Cost per 1,000 calls": 103,
        "Calls": 104,
        "Error rate": 105,
        "Unpriced calls": 106,
        "Spend per day by feature": 107,
        "Spend per day by model": 108,
        "Month-end forecast": 109,
        "Budget used": 110,
        "Could be saved a month": 111,
        "Budgets": 112,
        "Where it goes": 200,
        "Features": 201,
        "How it went": 300,
        "What to do": 400,
        "Findings, largest saving first": 401,
    }


def test_unpriced_calls_turn_red_at_the_first() -> None:
    thresholds = PANELS["spend-overview: Unpriced calls"]["fieldConfig"]["defaults"]["thresholds"]

    assert thresholds["steps"] == [{"value": None, "color": "green"}, {"value": 1, "color": "red"}]
