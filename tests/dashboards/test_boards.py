"""The dashboards beside the overview: every panel, at All, at one value and at hostile ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from builders import NOON, call, costing, unpriced
from grafana import View
from stores import empty
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.mirroring import Mirroring
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import State
from taximeter_alerts.watch import evaluate
from taximeter_collector.calls import CostStatus, Loss, Priced
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import FindingLine, Mirror, Reader, Store
from taximeter_dashboards.boards import DETAILS
from taximeter_dashboards.build import dashboards, text_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOSTILE = ["a\\", "') OR 1=1 --"]
WEEK = View(start=NOON - 6 * DAY, end=NOON)
SPECS: dict[str, Any] = {name: json.loads(text_of(dashboards()[name])) for name in DETAILS}
PANELS: dict[str, Any] = {
    f"{name.removesuffix('.json')}: {panel['title']}": panel
    for name, spec in SPECS.items()
    for panel in spec["panels"]
    if panel["type"] != "row"
}
WITHOUT_FEATURE = {"trust: OpenAI's bill", "trust: Lost on the way"} | {
    name for name in PANELS if name.startswith("budgets: ")
}
"""Panels about what has no feature."""

FIELDS: dict[str, Any] = {"environment": "prod", "prompt_name": "answer", "duration_ms": 1000}
CALLS = [
    costing("3", ts=NOON - HOUR, user_id="ada", prompt_version="2", call_id="dear", **FIELDS),
    costing(
        "1",
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
            **FIELDS,
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
insert into taximeter.reconciliations (month, taken_at, billed, metered)
values ('2026-11-01', '2026-11-15 12:00:00', 9, 9), ('2026-11-01', '2026-11-16 12:00:00', 10, 9.5)
"""


def watch(store: Store) -> None:
    """Let the watch say something, and dashboards know it."""
    with TemporaryDirectory() as folder, closing(State(f"sqlite:///{folder}/s.db")) as state:
        path = Path(folder) / "budgets.yaml"
        path.write_text(
            "budgets:\n  - {name: All, amount: 9, thresholds: [50]}\n"
            "  - {name: Small, amount: 4}\n  - {name: Users, amount: 5, each: user}\n"
        )
        register = Register(LiveFile(path, read_budgets), state)
        evaluate(store, state, [one for one in register.in_force(NOON) if not one.each], NOON)
        copying = Mirroring(store, state, register, Savings(store, PriceBook.shipped))
        copying.copy(NOON - HOUR)
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


@pytest.fixture(scope="module")
def engine(opened_store: Store, store_path: Any) -> Iterator[Client]:
    """Seed the store, some hours closed and some open, and hand out a reader beside it."""
    empty(opened_store)
    opened_store.add(CALLS[:3], token="details/1", book_version="test", now=NOON)
    opened_store.refresh()
    opened_store.add(CALLS[3:], token="details/2", book_version="test", now=NOON)
    opened_store.add_losses(
        [Loss(told_at=NOON, told_by="a", service="web", environment="prod", spans=7)]
    )
    opened_store._connection.command(BILLED)
    watch(opened_store)
    reader = clickhouse_connect.get_client(interface="chdb", path=str(store_path))
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def reader(store_path: Path) -> Iterator[Reader]:
    with closing(Reader(f"chdb://{store_path}")) as opened:
        yield opened


def shown(engine: Client, panel: str, **chosen: Sequence[str]) -> list[tuple[Any, ...]]:
    view = View(start=WEEK.start, end=WEEK.end, chosen=chosen)
    sql = PANELS[panel]["targets"][0]["rawSql"]
    result = engine.query(view.expanded(sql), settings={"readonly": 1})
    return [tuple(row) for row in result.result_rows]


def day(days_ago: int) -> Any:
    return (NOON - days_ago * DAY).replace(hour=0, tzinfo=None)


def usd(amount: str) -> Decimal:
    return Decimal(amount)


EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "feature: Cost per day by class": [
        (day(1), 0, 0, 0, 0, usd("1.5")),
        (day(0), 0, 0, 0, 0, usd("3")),
    ],
    "feature: Tokens a call": [(day(1), 1000, 100), (day(0), 1000, 100)],
    "feature: Prompt versions": [
        ("answer", "2", usd("3"), 1, usd("3000"), 1000, 100, 0, 0),
        ("answer", "1", usd("1"), 1, usd("1000"), 1000, 100, 0, 0),
        ("answer", "(none)", usd("0.5"), 3, usd("250"), 2000 / 3, 200 / 3, 1 / 3, 1),
    ],
    "feature: Output limits": [("chat", 1, 1, 100, 100, None), ("search", 3, 2 / 3, 100, 100, 800)],
    "feature: Dearest calls": [
        (
            *(f"{NOON - HOUR:%Y-%m-%d %H:%M:%S}", "dear", "search", "ada", "gpt-4o"),
            *(usd("3"), 1000, 100, CALLS[0][0].trace_id),
        ),
    ],
    "models: Spend per day by model": [
        (day(1), "gpt-4o", usd("0.5")),
        (day(1), "gpt-5", usd("1")),
        (day(0), "gpt-4o", usd("3")),
        (day(0), "mystery-1", None),
    ],
    "models: Cached share of input": [
        (day(1), "gpt-4o", 0),
        (day(1), "gpt-5", 0.25),
        (day(0), "gpt-4o", 0),
        (day(0), "mystery-1", 0),
    ],
    "models: Models": [
        ("gpt-4o", usd("3.5"), 3, usd("1166.666666666666"), 0, 0, 0, 0, 1 / 3, 0),
        ("gpt-5", usd("1"), 1, usd("1000"), 0, 0, 0, 0.4, 0, 0),
        ("mystery-1", None, 1, None, None, None, None, 0, 0, 1),
    ],
    "models: Features by model": [
        ("search", "gpt-4o", usd("3"), 2, usd("1500"), 500, 50, 0),
        ("search", "gpt-5", usd("1"), 1, usd("1000"), 1000, 100, 0),
        ("chat", "gpt-4o", usd("0.5"), 1, usd("500"), 1000, 100, 0),
        ("search", "mystery-1", None, 1, None, 1000, 100, 1),
    ],
    "users: Users": [(day(1), 2), (day(0), 2)],
    "users: Ten dearest users": [(1.0,)],
    "users: Dearest users": [
        ("ada", usd("3"), 0.5 / 6, usd("3.5"), 2, 0, 0),
        ("bob", None, 1 / 6, usd("1"), 2, 0, 1),
        ("(none)", usd("0"), 0, usd("0"), 1, 1, 0),
    ],
    "reliability: Errors": [(0.2,)],
    "reliability: Rate limited": [(0.2,)],
    "reliability: Extra attempts a call": [(0.6,)],
    "reliability: Without a timeout": [(0.8,)],
    "reliability: Spend on failed calls": [(usd("0"),)],
    "reliability: Rate-limit headroom": [((NOON - DAY).replace(tzinfo=None), "gpt-5", 50)],
    "trust: Unpriced calls": [(1,)],
    "trust: Altered tags": [(1,)],
    "trust: Without a price": [("mystery-1", "no price for model mystery-1", 1)],
    "trust: Lost on the way": [("web", 7)],
    "budgets: Over their limit": [(1,)],
    "budgets: On course to pass it": [(0,)],
    "budgets: Not delivered": [(2,)],
    "budgets: What is left": [
        ("Small", 14.5, usd("0"), 0.0),
        ("All", 14.5, usd("4.5"), 4.5 / 14.5),
    ],
    "savings: Could be saved a month": [(usd("12"),)],
    "savings: Findings": [
        ("batch", "search", "gpt-4o", "an advice", "an evidence", usd("12"), "medium")
    ],
    "trust: OpenAI's bill": [(date(2026, 11, 1), usd("10"), usd("9.5"), usd("0.5"))],
}


@pytest.mark.parametrize("panel", EXPECTED)
def test_a_panel_shows_what_the_calls_say(engine: Client, panel: str) -> None:
    rows = shown(engine, panel)

    if panel == "feature: Dearest calls":
        assert (rows[0], len(rows)) == (EXPECTED[panel][0], 3)
    else:
        assert [tuple(map(as_float, row)) for row in rows] == [
            tuple(map(near, row)) for row in EXPECTED[panel]
        ]


def as_float(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def near(value: Any) -> Any:
    return pytest.approx(float(value)) if isinstance(value, (float, Decimal)) else value


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_is_answered_by_the_embedded_store_s_own_endpoint(
    engine: Client, reader: Reader, panel: str
) -> None:
    sql = WEEK.expanded(PANELS[panel]["targets"][0]["rawSql"])

    assert reader.answer(sql, "TSV") == engine.raw_query(sql, fmt="TSV")


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_answers_and_obeys_its_variables(engine: Client, panel: str) -> None:
    sql = PANELS[panel]["targets"][0]["rawSql"]
    everything = shown(engine, panel)

    assert everything
    if panel not in WITHOUT_FEATURE:
        assert "${feature:customqueryparam:v}" in sql
        assert shown(engine, panel, feature=["search", "chat"]) == everything
    assert shown(engine, panel, environment=["prod"]) == everything


# The one call of the feature `chat`: $0.50 of ada's, estimated, after three attempts.
OF_CHAT: dict[str, list[tuple[Any, ...]]] = {
    "feature: Prompt versions": [("answer", "(none)", usd("0.5"), 1, usd("500"), 1000, 100, 0, 0)],
    "feature: Tokens a call": [(day(1), 1000, 100)],
    "models: Models": [("gpt-4o", usd("0.5"), 1, usd("500"), 0, 0, 0, 0, 0, 0)],
    "models: Cached share of input": [(day(1), "gpt-4o", 0)],
    "users: Users": [(day(1), 1)],
    "users: Dearest users": [("ada", usd("0"), 0.5 / 6, usd("0.5"), 1, 0, 0)],
    "reliability: Errors": [(0.0,)],
    "reliability: Extra attempts a call": [(2.0,)],
    "reliability: Without a timeout": [(1.0,)],
    "reliability: Rate-limit headroom": [],
    "reliability: p95 time to first chunk by model": [
        ((NOON - DAY).replace(tzinfo=None), "gpt-4o", 200.0)
    ],
    "savings: Findings": [],
    "trust: Unpriced calls": [(0,)],
    "trust: Estimated calls": [(1.0,)],
    "trust: Calls by trust": [((NOON - DAY).replace(tzinfo=None), "estimated", 1)],
    "trust: Without a price": [],
}


@pytest.mark.parametrize("panel", OF_CHAT)
def test_a_panel_of_one_feature_shows_its_calls_alone(engine: Client, panel: str) -> None:
    rows = shown(engine, panel, feature=["chat"])

    assert [tuple(map(as_float, row)) for row in rows] == [
        tuple(map(near, row)) for row in OF_CHAT[panel]
    ]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("panel", [name for name in PANELS if name not in WITHOUT_FEATURE])
def test_a_value_that_no_call_has_shows_no_call(engine: Client, panel: str, value: str) -> None:
    figures = [figure for row in shown(engine, panel, feature=[value]) for figure in row]

    assert all(figure in (0, None) or figure != figure for figure in figures)


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_says_which_question_it_answers_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert "?" in panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    money = "currencyUSD" in json.dumps(panel["fieldConfig"])
    assert not money or "price" in panel["description"]


@pytest.mark.parametrize(
    "panel", [title for title, panel in PANELS.items() if panel["type"] == "table"]
)
def test_every_column_of_a_table_has_a_unit_and_no_override_is_left_over(
    engine: Client, panel: str
) -> None:
    columns = engine.query(WEEK.expanded(PANELS[panel]["targets"][0]["rawSql"])).column_names
    overrides = PANELS[panel]["fieldConfig"]["overrides"]

    assert {override["matcher"]["options"] for override in overrides} == set(columns)


@pytest.mark.parametrize("name", SPECS)
def test_a_dashboard_is_committed_as_it_is_generated_and_reads_back_the_same(name: str) -> None:
    spec = SPECS[name]
    ids = [panel["id"] for panel in spec["panels"]]
    taken = [
        (x, y)
        for panel in spec["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert json.loads(json.dumps(Dashboard.from_json(spec), cls=JSONEncoder)) == spec
    assert spec["uid"] == f"taximeter-{name.removesuffix('.json')}"
    assert len(ids) == len(set(ids))
    assert len(taken) == len(set(taken))


def test_the_uids_are_the_dashboards_own() -> None:
    uids = [json.loads(text_of(board))["uid"] for board in dashboards().values()]

    assert len(uids) == len(set(uids))


def test_budgets_and_alerts_are_mirrored_once_each(engine: Client) -> None:
    budgets = [row[:4] for row in shown(engine, "budgets: Budgets")]
    log = [(row[1], *row[2:4], row[6], row[7]) for row in shown(engine, "budgets: Alert log")]

    assert [(name, round(used, 3), spent, amount) for name, used, spent, amount in budgets] == [
        ("Small", 1.125, usd("4.5"), usd("4")),
        ("Users: ada", 0.7, usd("3.5"), usd("5")),
        ("All", 0.5, usd("4.5"), usd("9")),
    ]
    assert log == [
        ("All", "threshold", 50, "slack", "pending"),
        ("Small", "threshold", 100, "slack", "pending"),
    ]
