from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from builders import NOON, Rows, costing
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.register import Register
from taximeter_alerts.state import State
from taximeter_api.security import token_check
from taximeter_api.stops import Stops, stops_api
from taximeter_collector.live_file import LiveFile
from taximeter_collector.store import Store
from taximeter_collector.yaml_file import Mistake

TOKEN = "a token that is long enough"
BUDGETS = """\
budgets:
  - {name: watched only, amount: 10}
  - name: Search
    amount: 10
    scope: {feature: search, team: {not: web}, tags: {tier: free}}
    stop: {at: 90}
  - name: Users
    amount: 2
    each: user
    stop: {action: downgrade_model, model: gpt-4o-mini, when_unsure: block}
"""


@pytest.fixture
def register(tmp_path: Path, state: State) -> Register:
    path = tmp_path / "budgets.yaml"
    path.write_text(BUDGETS)
    return Register(LiveFile(path, read_budgets), state)


def told(store: Store, register: Register, now: datetime) -> dict[str, Any]:
    body, _ = Stops(store, register).at(now)
    return {one["budget"]: one for one in json.loads(body)["stops"]}


def test_apps_are_told_who_is_stopped_when_and_how(store: Store, register: Register) -> None:
    at = NOON - timedelta(hours=1)
    rows: Rows = [
        costing("3", ts=at, user_id="ada", tags={"tier": "free"}),
        costing("1", ts=at, user_id="bob", tags={"tier": "free"}),
        costing("0.5", ts=at, user_id="eve", tags={"tier": "free"}, team="web"),
        costing("7", ts=at, user_id="", team="web"),
    ]
    store.add(rows, token="stops", book_version="b", now=NOON)

    stops = told(store, register, NOON)

    assert list(stops) == ["Search", "Users"]
    search, users = stops.values()
    assert search["scope"] == {"taximeter.feature": ["search"], "taximeter.tag.tier": ["free"]}
    assert search["not"] == {"taximeter.team": ["web"]}
    assert [Decimal(search["stops_at"]), Decimal(search["spent"][""])] == [9, 4]
    assert Decimal(search["usd_a_call"]) == 2
    assert search["resets_at"] == "2026-12-01T00:00:00+00:00"
    assert users["each"] == "user.id"
    # Whoever has spent half of it.
    assert {name: Decimal(usd) for name, usd in users["spent"].items()} == {"ada": 3, "bob": 1}
    assert (users["action"], users["model"], users["when_unsure"]) == (
        "downgrade_model",
        "gpt-4o-mini",
        "block",
    )


def test_an_app_asks_with_the_ingest_token_and_gets_what_is_new(
    store: Store, register: Register
) -> None:
    app = FastAPI()
    app.include_router(stops_api(Stops(store, register), token_check(SecretStr(TOKEN))))
    client = TestClient(app)
    signed = {"Authorization": f"Bearer {TOKEN}"}

    assert client.get("/v1/budget-state").status_code == 401
    first = client.get("/v1/budget-state", headers=signed)
    same = client.get(
        "/v1/budget-state", headers={**signed, "If-None-Match": first.headers["ETag"]}
    )

    assert [one["budget"] for one in first.json()["stops"]] == ["Search", "Users"]
    assert (same.status_code, same.content) == (304, b"")
    now = datetime.now(UTC)
    store.add([costing("1", ts=now, tags={"tier": "free"})], token="n", book_version="b", now=now)
    assert told(store, register, now)["Search"]["spent"][""] == "1.000000000000"


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        ("scope: {environment: live}, stop: {}", "an app does not know environment of a call"),
        ("each: service, stop: {}", "an app does not know service of a call"),
        ("stop: {action: downgrade_model}", "give a model with action downgrade_model"),
        ("stop: {model: gpt-4o-mini}", "give a model with action downgrade_model"),
        ("stop: {at: 0}", "stop.at: '0': give 1 or more"),
    ],
)
def test_a_stop_that_no_app_could_keep_is_refused(tmp_path: Path, stop: str, says: str) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_text(f"budgets:\n  - {{name: a, amount: 1, {stop}}}\n")

    with pytest.raises(Mistake) as refused:
        read_budgets(path)

    assert says in str(refused.value)
