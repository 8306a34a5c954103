"""What panels and annotations show of seeded calls: at All, at one value and at hostile ones."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from builders import NOON
from grafana import ALL
from seeded_boards import (
    ANNOTATIONS,
    CALLS,
    DAY,
    HOSTILE,
    HOUR,
    PANELS,
    SPECS,
    VARIABLES,
    alike,
    asked,
    day,
    drawn,
    moment,
    plain,
    shown,
    usd,
)

USUAL = usd("5.55") + usd("0.255") * usd("14.5")
"""What is spent, and the mean of ten days for the rest of today and the fourteen days after."""
BURST = usd("4.5") - usd("1.05") / 9
"""The last 24 hours, without the mean of those before; it goes on."""
FORECAST, HIGH = round(USUAL + BURST / 2, 6), USUAL + BURST * 24
CHAT = usd("0.5")
"""Of yesterday, which the budget of search leaves out."""
SEARCH = round(FORECAST - CHAT * usd("2.95"), 6), HIGH - CHAT * usd("26.45")
FOUND = ("An advice", "an evidence", "search", "gpt-4o", usd("12"), "medium")

EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "spend-overview: Spend this month": [(usd("5.55"),)],
    "spend-overview: Month-end forecast": [(FORECAST,)],
    "spend-overview: Budget used": [(5.55 / 4,)],
    "spend-overview: Could be saved a month": [(usd("12"),)],
    "spend-overview: Budgets": [
        *(("Small", 5.55 / 4), ("Users: ada", 0.7), ("All", 5.55 / 9), ("Large", 0.0505))
    ],
    "spend-overview: Findings, largest saving first": [FOUND],
    "feature: Spend": [(usd("4.5"),)],
    "feature: Cached input": [(250 / 4000,)],
    "feature: Cost per day by class": [
        (day(1), usd("0.4"), usd("0.1"), 0, usd("0.5"), usd("0.5")),
        (day(0), 0, 0, 0, 0, usd("3")),
    ],
    "feature: Tokens a call": [(day(1), 1000, 100), (day(0), 1000, 100)],
    "feature: Prompt versions": [
        ("answer", "2", usd("3"), 1, usd("3000"), 1000, 100, 0, 0),
        ("answer", "1", usd("1"), 1, usd("1000"), 1000, 100, 0, 0),
        ("answer", "(none)", usd("0.5"), 3, usd("250"), 2000 / 3, 200 / 3, 1 / 3, 1),
    ],
    "feature: Output limits": [
        ("chat", 1, 1, 100, 100, None, None),
        ("search", 3, 2 / 3, 100, 100, 800, 0.125),
    ],
    "models: Spend per day by model": [
        (day(1), "gpt-4o", usd("0.5")),
        (day(1), "gpt-5", usd("1")),
        (day(0), "gpt-4o", usd("3")),
        (day(0), "mystery-1 (no known price)", None),
    ],
    "models: Cached share of input": [
        (day(1), "gpt-4o", 0),
        (day(1), "gpt-5", 0.25),
        (day(0), "gpt-4o", 0),
        (day(0), "mystery-1", 0),
    ],
    "models: Models": [
        ("gpt-4o", usd("3.5"), 3.5 / 4.5, 3, 3.5e3 / 3, 0, 0, 0, 0, 0.0, 3.5, 1 / 3, 0),
        ("gpt-5", usd("1"), 1 / 4.5, 1, usd("1000"), 0.4, 0.1, 0, 0.5, 0.2, 0, 0, 0),
        ("mystery-1", None, None, 1, *[None] * 7, 0, 1),
    ],
    "models: Spend by feature and model": [
        ("search", "gpt-4o", usd("3")),
        ("search", "gpt-5", usd("1")),
        ("chat", "gpt-4o", usd("0.5")),
        ("search", "mystery-1 (no known price)", None),
    ],
    # At gpt-5's rates: $0.4 for 750 new tokens in, $0.5 for 100 out.
    "models: What if on $what_if": [
        ("search", "gpt-4o", 2, 500, 50, usd("3"), 1.03333333, 1.96666667, 0.65555556),
        ("chat", "gpt-4o", 1, 1000, 100, usd("0.5"), 1.03333333, -0.53333333, -1.06666667),
    ],
    "users: Users a day": [(day(1), 2), (day(0), 2)],
    "users: Ten dearest users": [(1.0,)],
    "users: Median user": [(2.25,)],
    "users: Concentration": [
        (f"The dearest {share} % of users", 3.5 / 4.5) for share in (1, 5, 10, 20, 50)
    ],
    "users: Spend per day by user": [
        (day(1), "ada", usd("0.5")),
        (day(1), "bob", usd("1")),
        (day(0), "(none)", 0),
        (day(0), "ada", usd("3")),
        (day(0), "bob", None),
    ],
    "users: Dearest users": [
        ("ada", usd("3.5"), 3.5 / 4.5, 3, 0.5 / 6, 36.0, 2, usd("1750"), 0, 0),
        ("bob", usd("1"), 1 / 4.5, None, 1 / 6, None, 2, usd("1000"), 0, 1),
        ("(none)", 0, 0.0, 0, 0, None, 1, 0, 1, 0),
    ],
    "reliability: Errors": [(0.2,)],
    "reliability: Rate limited": [(0.2,)],
    "reliability: Extra attempts a call": [(0.6,)],
    "reliability: Without a timeout": [(0.8,)],
    "reliability: Spend on failed calls": [(0,)],
    "reliability: Failed calls": [(moment(NOON - HOUR), "429 RateLimitError", 1)],
    "reliability: Outcomes": [
        ("200", "succeeded", 4, 0.8, 1, 2),
        ("429", "RateLimitError", 1, 0.2, 1, 1),
    ],
    "reliability: Latency": [
        (moment(NOON - DAY), 1024, 1024, 1024),
        (moment(NOON - HOUR), 1024, 1024, 1024),
    ],
    "reliability: Latency by feature": [
        ("chat", "gpt-4o", 1024, 1024, 1024, 200),
        ("search", "gpt-4o", 1024, 1024, 1024, None),
        ("search", "gpt-5", 1024, 1024, 1024, None),
        ("search", "mystery-1", 1024, 1024, 1024, None),
    ],
    "reliability: Rate-limit headroom": [(moment(NOON - DAY), "gpt-5", 50)],
    "trust: Unpriced calls": [(1,)],
    "trust: Altered tags": [(1,)],
    "trust: Ingest lag": [(2.5,)],
    "trust: Rejected spans": [(3,)],
    "trust: Difference to OpenAI's bill": [(0.05,)],
    "trust: Without a price": [("mystery-1", "no price for model mystery-1", 1)],
    "trust: Lost on the way": [("web", 7)],
    "trust: Rejected, by reason": [("late", 3)],
    "trust: Lag": [(moment(NOON - HOUR), 0.0), (moment(NOON), 2.5)],
    "trust: OpenAI's bill": [
        (
            *(date(2026, 11, 1), usd("10"), usd("9.5"), usd("0.5"), 0.05, 0),
            "unseen key_export was never metered: $0.50",
        )
    ],
    "budgets: Over their limit": [(1,)],
    "budgets: On course to pass it": [(1,)],
    "budgets: May pass it": [(1,)],
    "budgets: Not delivered": [(2,)],
    "budgets: Budgets": [
        ("Small", 5.55 / 4, usd("5.55"), usd("4"), FORECAST, HIGH, 0, 14.5, 0, 1),
        ("Users: ada", 0.7, usd("3.5"), usd("5"), None, None, usd("1.5"), 14.5, 1.5 / 14.5, 0),
        ("All", 5.55 / 9, usd("5.55"), usd("9"), FORECAST, HIGH, usd("3.45"), 14.5, 3.45 / 14.5, 1),
        ("Large", 0.0505, usd("5.05"), usd("100"), *SEARCH, usd("94.95"), 14.5, 94.95 / 14.5, 1),
    ],
    "savings: Could be saved a month": [(usd("12"),)],
    "savings: Of the spend": [(12 / (5.55 / 14 * 30.4),)],
    "savings: Findings": [(1,)],
    "savings: By feature": [("search", usd("12"))],
    "savings: Findings, largest saving first": [FOUND],
}


@pytest.mark.parametrize("panel", EXPECTED)
def test_a_panel_shows_what_the_calls_say(engine: Client, panel: str) -> None:
    assert plain(shown(engine, panel)) == alike(EXPECTED[panel])


def test_the_dearest_calls_lead_to_their_traces(engine: Client) -> None:
    rows = shown(engine, "feature: Dearest calls")

    assert [row[4] for row in rows] == [usd("3"), usd("1"), usd("0.5")]
    assert rows[0] == (
        *(f"{NOON - HOUR:%Y-%m-%d %H:%M:%S}", "search", "ada", "gpt-4o"),
        *(usd("3"), 1000, 100, "dear", CALLS[1][0].trace_id),
    )
    trace = PANELS["feature: Dearest calls"]["fieldConfig"]["overrides"][-1]
    assert trace["properties"][-1]["value"][0]["url"] == "${traces:raw}${__value.raw:percentencode}"


def test_a_budget_s_burn_up_goes_on_to_its_forecast_past_its_thresholds(engine: Client) -> None:
    rows = plain(shown(engine, "budgets: Burn-up of $budget"))
    lines: dict[str, list[tuple[datetime, float]]] = {}
    for at, series, amount in rows:
        lines.setdefault(series, []).append((at, amount))
    first, end = datetime(2026, 11, 1), datetime(2026, 12, 1)  # noqa: DTZ001 as the client gives it

    assert set(lines) == {"Spent", "Alert", "Forecast", "Even pace", "50 %", "100 %"}
    assert (lines["Spent"][0], lines["Spent"][-1]) == ((first, 0), (moment(NOON), 5.55))
    assert lines["Forecast"][0] == (moment(NOON), 5.55)
    assert lines["Forecast"][-1] == (end, float(FORECAST))
    assert lines["Alert"] == [(moment(NOON), 5.55)]
    assert lines["Even pace"] == [(first, 0), (end, 9)]
    assert lines["50 %"] == [(first, 4.5), (end, 4.5)]
    assert lines["100 %"] == [(first, 9), (end, 9)]
    assert shown(engine, "budgets: Burn-up of $budget", budget=HOSTILE) == []


def test_the_alert_log_says_who_was_told_what(engine: Client) -> None:
    log = [(row[1], *row[2:4], row[6], row[7]) for row in shown(engine, "budgets: Alert log")]

    assert log == [
        ("All", "threshold", 50, "slack", "pending"),
        ("Small", "threshold", 100, "slack", "pending"),
    ]


# The one call of the feature `chat` and of the team `ops`: $0.50 of ada's, estimated, after three
# attempts.
OF_CHAT: dict[str, list[tuple[Any, ...]]] = {
    "spend-overview: Spend this month": [(usd("0.5"),)],
    "spend-overview: Features": [("chat", usd("0.5"), 1.0, 1, usd("500"), 0.0, 0.0, 1024.0, 0)],
    "feature: Prompt versions": [("answer", "(none)", usd("0.5"), 1, usd("500"), 1000, 100, 0, 0)],
    "feature: Tokens a call": [(day(1), 1000, 100)],
    "models: Models": [("gpt-4o", usd("0.5"), 1.0, 1, usd("500"), 0, 0, 0, 0, 0.0, 0.5, 0, 0)],
    "models: Cached share of input": [(day(1), "gpt-4o", 0)],
    "users: Users a day": [(day(1), 1)],
    "users: Dearest users": [
        ("ada", usd("0.5"), 1.0, 0, 0.5 / 6, 0.0, 1, usd("500"), 0, 0),
    ],
    "reliability: Errors": [(0.0,)],
    "reliability: Extra attempts a call": [(2.0,)],
    "reliability: Without a timeout": [(1.0,)],
    "reliability: Rate-limit headroom": [],
    "reliability: p95 time to first chunk by model": [(moment(NOON - DAY), "gpt-4o", 200.0)],
    "trust: Unpriced calls": [(0,)],
    "trust: Estimated calls": [(1.0,)],
    "trust: Calls by trust": [(moment(NOON - DAY), "estimated", 1)],
    "trust: Without a price": [],
}


@pytest.mark.parametrize("chosen", [{"feature": ["chat"]}, {"team": ["ops"]}], ids=str)
@pytest.mark.parametrize("panel", OF_CHAT)
def test_a_panel_of_one_feature_or_team_shows_its_calls_alone(
    engine: Client, panel: str, chosen: dict[str, list[str]]
) -> None:
    assert plain(shown(engine, panel, **chosen)) == alike(OF_CHAT[panel])


# Ada's two calls: $3 of search today, $0.50 of chat yesterday.
OF_ADA: dict[str, list[tuple[Any, ...]]] = {
    "spend-overview: Spend this month": [(usd("3.5"),)],
    "spend-overview: Features": [
        ("search", usd("3"), 3 / 3.5, 1, usd("3000"), 0.0, 0.0, None, 0),
        ("chat", usd("0.5"), 0.5 / 3.5, 1, usd("500"), 0.0, 0.0, None, 0),
    ],
    "spend-overview: Spend per day by model": [
        (day(1), "gpt-4o", usd("0.5")),
        (day(0), "gpt-4o", usd("3")),
    ],
    "feature: Prompt versions": [
        ("answer", "2", usd("3"), 1, usd("3000"), 1000, 100, 0, 0),
        ("answer", "(none)", usd("0.5"), 1, usd("500"), 1000, 100, 0, 0),
    ],
    "feature: Output limits": [
        ("chat", 1, 1, 100, 100, None, None),
        ("search", 1, 1, 100, 100, None, None),
    ],
    "models: Models": [("gpt-4o", usd("3.5"), 1.0, 2, usd("1750"), 0, 0, 0, 0, 0.0, 3.5, 0, 0)],
    "users: Users a day": [(day(1), 1), (day(0), 1)],
}


@pytest.mark.parametrize("panel", OF_ADA)
def test_a_panel_of_one_user_shows_her_calls_alone(engine: Client, panel: str) -> None:
    assert plain(shown(engine, panel, user=["ada"])) == alike(OF_ADA[panel])


def test_calls_that_name_no_user_can_be_chosen(engine: Client) -> None:
    assert shown(engine, "feature: Calls", user=["(none)"]) == [(day(0), 1)]
    assert shown(engine, "feature: Prompt versions", user=["(none)"])[0][3] == 1


def test_a_model_that_nobody_used_prices_nothing(engine: Client) -> None:
    assert {row[6] for row in shown(engine, "models: What if on $what_if", what_if=HOSTILE)} == {
        None
    }


@pytest.mark.parametrize("name", [one for one in SPECS if one != "savings"])
def test_alerts_and_new_versions_of_prompts_are_drawn(engine: Client, name: str) -> None:
    assert drawn(engine, f"{name}: Alerts", budget=ALL) == [
        (moment(NOON), "All: 50 % of $9.00, $5.55 spent", "threshold"),
        (moment(NOON), "Small: 100 % of $4.00, $5.55 spent", "threshold"),
    ]
    # Version 1 came before the range.
    assert drawn(engine, f"{name}: Prompt versions") == [
        (moment(NOON - HOUR), "answer 2 of search", "prompt version")
    ]


@pytest.mark.parametrize("variable", ["environment", "team", "feature"])
@pytest.mark.parametrize("name", [one for one in SPECS if one not in ("savings", "budgets")])
def test_annotations_of_a_value_are_its_own(engine: Client, name: str, variable: str) -> None:
    its = {"environment": ["prod"], "team": ["web"], "feature": ["search"]}[variable]

    assert drawn(engine, f"{name}: Prompt versions", **{variable: its}) == drawn(
        engine, f"{name}: Prompt versions"
    )
    assert drawn(engine, f"{name}: Prompt versions", **{variable: HOSTILE}) == []
    assert len(drawn(engine, f"{name}: Alerts", **{variable: HOSTILE})) == 2


OFFERED = {
    "environment": ["prod"],
    "team": ["ops", "web"],
    "feature": ["chat", "search"],
    "model": ["gpt-4o", "gpt-5", "mystery-1"],
    "user": ["ada", "bob", "(none)"],
    "budget": ["Small", "Users: ada", "All", "Large"],
    "what_if": ["gpt-5"],
}


@pytest.mark.parametrize(
    "variable", [name for name, one in VARIABLES.items() if one["type"] == "query"]
)
def test_a_variable_offers_what_the_range_has(engine: Client, variable: str) -> None:
    offered = asked(engine, VARIABLES[variable]["query"]["rawSql"], {})

    assert [value for (value,) in offered] == OFFERED[variable.partition(": ")[2]]


def test_annotations_can_be_switched_off_and_on() -> None:
    for name, one in ANNOTATIONS.items():
        # A chart of budgets has its alerts as points.
        assert (one["enable"], one["hide"]) == (name != "budgets: Alerts", False)


def test_alerts_over_budgets_are_those_of_the_chosen_ones(engine: Client) -> None:
    texts = [text for _, text, _ in drawn(engine, "budgets: Alerts", budget=["Small"])]

    assert texts == ["Small: 100 % of $4.00, $5.55 spent"]
    assert drawn(engine, "budgets: Alerts", budget=HOSTILE) == []
