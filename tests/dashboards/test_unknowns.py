"""What is not known is shown as such: a panel never says $0 or 0 of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from builders import NOON, call, costing, unpriced
from seeded_boards import DAY, HOUR, PANELS, alike, day, plain, shown, usd
from stores import empty
from taximeter_collector.calls import CostStatus, Priced
from taximeter_collector.store import Store
from taximeter_collector.store.mirror import AlertLine, BudgetLine, FindingLine, Mirror, MonthLine

DARK = ["dark"]
"""The feature of which no call has a price."""
OLD = ["old"]
"""The feature of an hour that was summed before migration 17; its calls are gone."""

BILLED = Priced(
    status=CostStatus.EXACT,
    usd=Decimal(1),
    components={"input": Decimal("0.4"), "output": Decimal("0.6")},
)
UNBILLED = Priced(status=CostStatus.UNPRICED, usd=None, reason="no price for gpt-5 in this tier")

CALLS = [
    costing("3", ts=NOON - HOUR, user_id="ada", feature="lit"),
    costing("1", ts=NOON - HOUR, user_id="bob", feature="lit", timeout_set=True),
    costing("0.25", ts=NOON - HOUR, feature="lit", error_type="APIError", http_status=500),
    (call(ts=NOON - DAY, feature="other", model="gpt-5"), BILLED),
    (call(ts=NOON - HOUR, feature="other", model="gpt-5", input_tokens=9000), UNBILLED),
    unpriced(ts=NOON - HOUR, user_id="eve", feature="dark"),
    unpriced(ts=NOON - HOUR, user_id="eve", feature="dark", error_type="APIError"),
]

OLD_HOUR = """
insert into taximeter.outcomes_hourly
    (hour, feature, error_type, cost_status, calls, version)
values
    ('2026-11-15 09:00:00', 'old', '', 'exact', 6, 900000),
    ('2026-11-15 09:00:00', 'old', 'APIError', 'exact', 2, 900000)
"""
OLD_HOUR_IS_DONE = """
insert into taximeter.hours_done (hour, seq, version) values ('2026-11-15 09:00:00', 1, 900000)
"""

UNKNOWN = BudgetLine(
    budget="Dark",
    value="",
    period_start=datetime(2026, 11, 1, tzinfo=UTC),
    period_end=datetime(2026, 12, 1, tzinfo=UTC),
    amount=Decimal(100),
    spent=Decimal(0),
    unpriced_calls=2,
    forecast=Decimal(0),
    forecast_high=Decimal(500),
    thresholds=(50,),
    is_everything=True,
    course=[(datetime(2026, 11, 1, tzinfo=UTC), Decimal(0))],
    ahead=[(datetime(2026, 12, 1, tzinfo=UTC), Decimal(0))],
    taken_at=NOON,
)
WARNING = AlertLine(
    at=datetime(2026, 11, 2, tzinfo=UTC),
    id="warning",
    channel="slack",
    budget="Dark",
    value="",
    kind="forecast",
    percent=100,
    spent=Decimal("0.01"),
    amount=Decimal(100),
    state="sent",
    attempts=1,
    error="",
    taken_at=NOON,
)
MONTH = MonthLine(
    month=datetime(2026, 11, 1, tzinfo=UTC).date(),
    spent=Decimal(0),
    unpriced_calls=2,
    forecast=Decimal(0),
    taken_at=NOON,
)


@pytest.fixture(scope="module")
def engine(opened_store: Store, client: Client) -> Client:
    empty(opened_store)
    opened_store.add(CALLS, token="unknowns", book_version="test", now=NOON)
    opened_store.refresh()
    for statement in (OLD_HOUR, OLD_HOUR_IS_DONE):
        opened_store._connection.command(statement)
    opened_store.keep_mirror(Mirror.BUDGETS, [UNKNOWN])
    opened_store.keep_mirror(Mirror.ALERTS, [WARNING])
    opened_store.keep_mirror(Mirror.MONTHS, [MONTH])
    return client


def finding(**fields: Any) -> FindingLine:
    """Build the line that says that something was looked for; `fields` make it a finding."""
    nothing: dict[str, Any] = {
        **dict.fromkeys(("kind", "feature", "model", "advice", "evidence", "confidence"), ""),
        "taken_at": NOON,
        "usd_a_month": Decimal(0),
    }
    return FindingLine(**{**nothing, **fields})


@pytest.mark.parametrize("panel", ["spend-overview: Spend in range", "feature: Spend"])
def test_a_range_in_which_no_call_has_a_price_has_no_spend(engine: Client, panel: str) -> None:
    assert shown(engine, panel, feature=DARK) == [(None,)]


@pytest.mark.parametrize(
    "panel",
    [
        name
        for name, one in PANELS.items()
        if one["type"] == "stat" and one["fieldConfig"]["defaults"]["unit"] == "currencyUSD"
    ],
)
def test_grafana_sums_no_dollars(panel: str) -> None:
    # Its sum begins at 0 and skips what is null.
    assert PANELS[panel]["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]


def test_a_legend_s_total_of_no_known_price_says_so(engine: Client) -> None:
    by_user, by_class = "users: Spend per day by user", "feature: Cost per day by class"

    assert shown(engine, by_user, feature=DARK) == [(day(0), "(others) (no known price)", None)]
    assert shown(engine, by_class, feature=DARK) == []
    assert shown(engine, by_user, feature=["lit"], user=["ada"]) == [(day(0), "ada", 3)]


@pytest.mark.parametrize(
    "panel",
    [
        name
        for name, one in PANELS.items()
        if one["type"] == "timeseries" and "(no known price)" in one["targets"][0]["rawSql"]
    ],
)
def test_a_legend_s_sum_of_no_amounts_reads_unknown(panel: str) -> None:
    overrides = PANELS[panel]["fieldConfig"]["overrides"]

    (its,) = (one for one in overrides if "known price" in one["matcher"]["options"])
    assert its["matcher"] == {"id": "byRegexp", "options": r".* \(no known price\)"}
    nothing = {"type": "value", "options": {"0": {"text": "unknown"}}}
    assert its["properties"] == [{"id": "mappings", "value": [nothing]}]


def test_a_budget_whose_calls_have_no_price_is_used_and_left_nobody_knows_how_far(
    engine: Client,
) -> None:
    assert plain(shown(engine, "budgets: Budgets")) == [
        ("Dark", None, None, 100.0, None, None, None, 14.5, None, 2)
    ]
    assert shown(engine, "spend-overview: Budget used") == [(None,)]
    assert shown(engine, "spend-overview: Budgets") == [("Dark", None)]


def test_a_burn_up_of_calls_without_a_price_has_its_warnings_and_no_spend(engine: Client) -> None:
    rows = shown(engine, "budgets: Burn-up of $budget", budget=["Dark"])

    warned = (datetime(2026, 11, 2), "Early warning", 0.01)  # noqa: DTZ001 as the client gives it
    assert warned in rows
    assert {series for _, series, _ in rows} == {"Early warning", "Even pace", "50 %", "100 %"}


def test_a_month_whose_calls_have_no_price_has_no_forecast(engine: Client) -> None:
    assert shown(engine, "spend-overview: Month-end forecast") == [(None,)]


def test_calls_without_a_price_don_t_make_the_other_model_cheaper(engine: Client) -> None:
    # At $0.4 for 1,000 tokens in and $0.6 for 100 out: three calls of as many.
    assert plain(shown(engine, "models: What if on $what_if", feature=["lit"])) == alike(
        [("lit", "gpt-4o", 3, 1000, 100, usd("4.25"), 3.0, 1.25, 1.25 / 4.25)]
    )


def test_a_user_without_any_price_is_none_who_costs_nothing(engine: Client) -> None:
    assert shown(engine, "users: Median user") == [(2.0,)]
    assert shown(engine, "users: Concentration")[-1] == ("The dearest 50 % of users", 0.75)


@pytest.mark.parametrize(
    ("feature", "usd"),
    [("dark", None), ("lit", 0.25), ("other", 0), ("old", None)],
)
def test_what_failed_calls_cost_is_known_where_one_has_a_price_or_none_failed(
    engine: Client, feature: str, usd: float | None
) -> None:
    assert plain(shown(engine, "reliability: Spend on failed calls", feature=[feature])) == [(usd,)]


def test_hours_that_knew_no_timeouts_are_left_out(engine: Client) -> None:
    panel = "reliability: Without a timeout"

    assert shown(engine, panel, feature=OLD) == [(None,)]
    assert shown(engine, panel, feature=[*OLD, "lit"]) == alike([(2 / 3,)])


OF_SAVINGS = [
    "spend-overview: Could be saved a month",
    "savings: Could be saved a month",
    "savings: Findings",
]


@pytest.mark.parametrize("panel", [*OF_SAVINGS, "savings: Of the spend"])
def test_nothing_is_said_of_savings_before_they_were_looked_for(
    opened_store: Store, engine: Client, panel: str
) -> None:
    empty(opened_store, "finding_lines")

    assert shown(engine, panel) == []


@pytest.mark.parametrize("panel", OF_SAVINGS)
def test_a_feature_without_findings_saves_nothing_once_they_were_looked_for(
    opened_store: Store, engine: Client, panel: str
) -> None:
    empty(opened_store, "finding_lines")
    lines = [finding(), finding(kind="batch", feature="lit", usd_a_month=Decimal(12))]
    opened_store.keep_mirror(Mirror.FINDINGS, lines)

    assert shown(engine, panel, feature=["other"]) == [(0,)]
