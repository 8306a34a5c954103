"""What holds for every dashboard: its variables, its panels, and how they are written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from seeded_boards import ANNOTATIONS, HOSTILE, PANELS, SPECS, VARIABLES, WEEK, shown
from taximeter_collector.store import Reader
from taximeter_dashboards.build import FOLDER, dashboards, text_of

EVERY_VALUE = {
    "environment": ["prod"],
    "team": ["ops", "web"],
    "feature": ["chat", "search"],
    "model": ["gpt-4o", "gpt-5", "mystery-1"],
    "user": ["ada", "bob", "(none)"],
}
ALL = set(EVERY_VALUE)
WHATEVER_IS_CHOSEN = (ALL, "Of all calls, whatever is chosen above.")
OF_FINDINGS = ({"environment", "team", "user"}, "Of all environments, teams and users.")
OF_THE_METER = (ALL, "Of all spans, whatever is chosen above.")
NOT_OBEYED: dict[str, tuple[set[str], str]] = {
    "spend-overview: Month-end forecast": WHATEVER_IS_CHOSEN,
    "spend-overview: Budget used": WHATEVER_IS_CHOSEN,
    "spend-overview: Budgets": WHATEVER_IS_CHOSEN,
    "spend-overview: Could be saved a month": OF_FINDINGS,
    "spend-overview: Findings, largest saving first": OF_FINDINGS,
    "trust: Lost on the way": (ALL - {"environment"}, "Of the chosen environments."),
    "trust: Ingest lag": OF_THE_METER,
    "trust: Rejected spans": OF_THE_METER,
    "trust: Rejected, by reason": OF_THE_METER,
    "trust: Lag": OF_THE_METER,
    "trust: OpenAI's bill": WHATEVER_IS_CHOSEN,
    "trust: Difference to OpenAI's bill": WHATEVER_IS_CHOSEN,
}
"""Variables of its dashboard that a panel can't obey, and how its description says so."""


def offered_beside(panel: str) -> set[str]:
    """Return the variables that narrow calls on the panel's dashboard."""
    board = panel.partition(": ")[0]
    names = {name.partition(": ")[2] for name in VARIABLES if name.startswith(f"{board}: ")}
    return names & EVERY_VALUE.keys()


QUERIED = {name: one for name, one in VARIABLES.items() if one["type"] == "query"}
OBEYED = [
    (panel, variable)
    for panel in PANELS
    for variable in sorted(offered_beside(panel) - NOT_OBEYED.get(panel, (set(), ""))[0])
]


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_answers(engine: Client, panel: str) -> None:
    assert shown(engine, panel)


def question_of(part: dict[str, Any]) -> str:
    """Return the SQL of a panel, an annotation or a variable."""
    asked: Any = part["targets"][0] if "targets" in part else part.get("target", part.get("query"))
    return WEEK.expanded(asked["rawSql"])


@pytest.mark.parametrize("asked", [*PANELS, *ANNOTATIONS, *QUERIED])
def test_every_question_is_answered_by_the_embedded_store_s_own_endpoint(
    engine: Client, reader: Reader, asked: str
) -> None:
    sql = question_of((PANELS | ANNOTATIONS | QUERIED)[asked])

    assert reader.answer(sql, "TSV") == engine.raw_query(sql, fmt="TSV")


@pytest.mark.parametrize(("panel", "variable"), OBEYED)
def test_choosing_every_value_shows_what_all_shows(
    engine: Client, panel: str, variable: str
) -> None:
    rows = shown(engine, panel, **{variable: EVERY_VALUE[variable]})

    if (panel, variable) == ("spend-overview: Features", "user"):
        rows = [(*row[:7], 1024.0, row[8]) for row in rows]  # the p95 is not known by user
    assert rows == shown(engine, panel)


@pytest.mark.parametrize(("panel", "variable"), OBEYED)
def test_values_that_no_call_has_show_no_call(engine: Client, panel: str, variable: str) -> None:
    values = [*HOSTILE, "a\\') OR 1=1 --", "$__fromTime"]

    rows = shown(engine, panel, **{variable: values})

    figures = [figure for row in rows for figure in row]
    assert all(figure in (0, None) or figure != figure for figure in figures)


@pytest.mark.parametrize("panel", NOT_OBEYED)
def test_a_panel_that_does_not_obey_a_variable_says_so(panel: str) -> None:
    variables, sentence = NOT_OBEYED[panel]

    assert offered_beside(panel) & variables
    assert sentence in PANELS[panel]["description"]


@pytest.mark.parametrize("question", [*PANELS, *ANNOTATIONS])
def test_a_question_names_no_variable_that_its_dashboard_lacks(question: str) -> None:
    board = question.partition(": ")[0]
    offered = {name.partition(": ")[2] for name in VARIABLES if name.startswith(f"{board}: ")}
    asked = json.dumps((PANELS | ANNOTATIONS)[question])

    assert set(re.findall(r"\$\{?(\w+)", asked)) - MACROS <= offered


MACROS = {
    *("__fromTime", "__toTime", "__conditionalAll", "__value", "__url_time_range", "__field"),
}


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_says_which_question_it_answers_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert "?" in panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    money = "currencyUSD" in json.dumps(panel["fieldConfig"])
    assert not money or "price" in panel["description"]


def test_a_cost_of_a_thousand_calls_is_not_rounded_to_nothing() -> None:
    columns = [
        {one["id"]: one["value"] for one in override["properties"]}
        for panel in PANELS.values()
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        if override["matcher"]["options"] == "Per 1k calls"
    ]

    assert columns == [{"unit": "currencyUSD", "decimals": 4}] * 4


@pytest.mark.parametrize("panel", [name for name, one in PANELS.items() if one["type"] == "table"])
def test_every_column_of_a_table_has_a_unit_and_no_override_is_left_over(
    engine: Client, panel: str
) -> None:
    columns = engine.query(WEEK.expanded(PANELS[panel]["targets"][0]["rawSql"])).column_names
    overrides = PANELS[panel]["fieldConfig"]["overrides"]

    if not PANELS[panel].get("transformations"):
        assert {override["matcher"]["options"] for override in overrides} == set(columns)
    assert all(override["properties"][0]["id"] == "unit" for override in overrides)


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_query_follows_the_plugin_s_model(panel: dict[str, Any]) -> None:
    (query,) = panel["targets"]

    assert query == {
        "datasource": {"type": "grafana-clickhouse-datasource", "uid": "taximeter-clickhouse"},
        "refId": "A",
        "pluginVersion": "4.20.0",
        "editorType": "sql",
        "rawSql": query["rawSql"],
        "format": 0 if query["rawSql"].rstrip().endswith(("time", "series")) else 1,
    }


def test_variables_of_calls_start_at_all_and_take_several_values() -> None:
    for name, variable in VARIABLES.items():
        if name.partition(": ")[2] in EVERY_VALUE:
            assert variable["current"]["value"] == ["$__all"]
            assert (variable["multi"], variable["includeAll"]) == (True, True)


@pytest.mark.parametrize("name", SPECS)
def test_a_dashboard_is_committed_as_it_is_generated_and_reads_back_the_same(name: str) -> None:
    spec = SPECS[name]
    committed = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    ids = [panel["id"] for panel in spec["panels"]]
    taken = [
        (x, y)
        for panel in spec["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert committed == text_of(dashboards()[f"{name}.json"])
    assert json.loads(json.dumps(Dashboard.from_json(spec), cls=JSONEncoder)) == spec
    assert spec["uid"] == f"taximeter-{name.removeprefix('spend-')}"
    assert spec["schemaVersion"] == 42
    assert len(ids) == len(set(ids))
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_the_uids_are_the_dashboards_own() -> None:
    uids = [spec["uid"] for spec in SPECS.values()]

    assert len(uids) == len(set(uids))
