from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.test_cli import taximeter
from builders import budget, costing
from taximeter_alerts.budgets import Raise, read_budgets
from taximeter_alerts.register import Register
from taximeter_alerts.state import Origin, State
from taximeter_api.budgeting import budgets_api
from taximeter_api.demo.fake_openai import serving
from taximeter_api.refusals import refusals
from taximeter_collector.live_file import LiveFile
from taximeter_collector.store import Store

FILE = "budgets:\n  - {name: all, amount: 10}\n  - {name: no, amount: 0}\n"
ADA = ("ada", "the token")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def register(folder: Path, state: State) -> Register:
    return Register(LiveFile(folder / "budgets.yaml", read_budgets), state)


@pytest.fixture
def client(store: Store, register: Register) -> TestClient:
    app = FastAPI()
    refusals(app)
    app.include_router(budgets_api(store, register))
    return TestClient(app)


def names(client: TestClient) -> list[str]:
    return [one["name"] for one in client.get("/api/budgets").json()["budgets"]]


def test_budgets_are_listed_with_what_was_spent(
    client: TestClient, store: Store, folder: Path
) -> None:
    now = datetime.now(UTC)
    store.add([costing("6", ts=now)], token="b", book_version="b1", now=now)
    (folder / "budgets.yaml").write_text(FILE)

    all_, no = client.get("/api/budgets").json()["budgets"]

    assert (all_["name"], all_["kept_in"], all_["amount"]) == ("all", "file", "10")
    assert (all_["spent"], all_["crossed"]) == ("6.000000000000", [50])
    assert all_["spent_is_complete"] is True
    assert no["crossed"] == [50, 75, 90, 100]


def test_a_budget_is_made_changed_paused_and_deleted_and_each_revision_says_by_whom(
    client: TestClient, register: Register
) -> None:
    url = "/api/budgets/search/web"
    made = client.put(url, json={"amount": 100, "scope": {"feature": "search"}}, auth=ADA)
    assert made.status_code == 200, made.text
    client.patch(url, json={"amount": "150.50"}, auth=ADA)
    client.patch(url, json={"paused": True})
    assert register.in_force(datetime.now(UTC)) == []
    client.patch(url, json={"paused": None})
    (in_force,) = register.in_force(datetime.now(UTC))
    assert in_force.amount == Decimal("150.50")
    assert client.delete(url).json() == {"deleted": "search/web"}

    told = client.get(f"{url}/revisions").json()["revisions"]

    assert names(client) == []
    assert [(one["revision"], one["made_by"], one["changes"]) for one in told] == [
        (5, "somebody", "deleted"),
        (4, "somebody", "paused: true → default"),
        (3, "somebody", "paused: default → true"),
        (2, "ada", "amount: 100 → 150.5"),
        (1, "ada", "new"),
    ]


def test_the_same_again_is_no_revision(client: TestClient) -> None:
    for amount in (10, "10.00", 10.0):
        made = client.put("/api/budgets/a", json={"amount": amount}).json()

    assert (made["revision"], len(made["digest"])) == (1, 12)


def test_a_raise_ends_by_itself(client: TestClient, register: Register) -> None:
    now = datetime.now(UTC)
    client.put("/api/budgets/a", json={"amount": 10})
    until = (now + timedelta(hours=1)).isoformat()

    assert client.patch("/api/budgets/a", json={"raised": {"to": 20, "until": until}}).is_success

    assert [one.amount for one in register.in_force(now)] == [20]
    assert [one.amount for one in register.in_force(now + timedelta(hours=1))] == [10]
    (told,) = client.get("/api/budgets").json()["budgets"]
    assert (told["amount"], told["raised"]) == ("20", {"until": until, "otherwise": "10"})
    client.patch("/api/budgets/a", json={"raised": None})
    (told,) = client.get("/api/budgets").json()["budgets"]
    assert (told["amount"], told["raised"]) == ("10", None)


def test_a_raise_raises_and_ends_in_the_future(client: TestClient) -> None:
    hour = timedelta(hours=1)
    soon, gone = ((datetime.now(UTC) + some).isoformat() for some in (hour, -hour))
    client.put("/api/budgets/a", json={"amount": 10})

    for to, until, says in ((10, soon, "the present $10"), (20, gone, "a day or a time to come")):
        answers = [
            client.patch("/api/budgets/a", json={"raised": {"to": to, "until": until}}),
            client.put("/api/budgets/b", json={"amount": 10, "raised": {"to": to, "until": until}}),
        ]
        assert [answer.status_code for answer in answers] == [422, 422]
        assert says in answers[0].json()["detail"]

    (told,) = client.get("/api/budgets").json()["budgets"]
    assert (told["name"], told["raised"]) == ("a", None)


def test_a_budget_of_the_file_is_changed_only_there(client: TestClient, folder: Path) -> None:
    path = folder / "budgets.yaml"
    path.write_text(FILE)
    answers = [
        client.put("/api/budgets/all", json={"amount": 1}),
        client.patch("/api/budgets/all", json={"amount": 1}),
        client.delete("/api/budgets/all"),
        client.post("/api/budgets/apply", json=[{"name": "b", "amount": 1}]),
    ]

    assert [answer.status_code for answer in answers] == [409] * 4
    assert answers[0].json()["detail"] == f"'all' is kept in {path}: edit that file"
    assert names(client) == ["all", "no"]
    client.put("/api/budgets/more", json={"amount": 1})
    path.write_text("budgets:\n  - {name: other, amount: 10}\n")
    assert names(client) == ["more", "other"]


def test_applied_budgets_replace_those_applied_before_and_leave_others_alone(
    client: TestClient,
) -> None:
    client.put("/api/budgets/by hand", json={"amount": 1})
    first, second = {"name": "a", "amount": "1"}, {"name": "b", "amount": "2"}
    client.post("/api/budgets/apply", json=[first, second])
    changed = [{"name": "a", "amount": "3"}, {"name": "c", "amount": "1"}]

    dry = client.post("/api/budgets/apply?dry_run=true", json=changed).json()
    unchanged = names(client)
    applied = client.post("/api/budgets/apply", json=changed).json()

    assert unchanged == ["a", "b", "by hand"]
    assert dry == applied
    assert {one["budget"]: one["changes"] for one in applied["changes"]} == {
        "a": "amount: 1 → 3",
        "b": "deleted",
        "c": "new",
    }
    assert names(client) == ["a", "by hand", "c"]
    refused = client.delete("/api/budgets/a")
    assert (refused.status_code, "budgets apply" in refused.text) == (409, True)


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ({}, "amount: is missing; give name and amount"),
        ({"amount": -1}, "amount=-1: give dollars as a number, like 100 or 99.50"),
        ({"amount": "1,000.50"}, "amount='1,000.50': give dollars as a number, like 100 or 99.50"),
        ({"amount": 1, "amuont": 2}, "amuont: not a field of a budget; give some of name, amount"),
        ({"amount": 1, "paused": "x"}, "paused='x': give true or false"),
        ({"amount": 1, "channels": "x"}, "channels='x': give a list"),
        ({"amount": 1, "channels": ["A b"]}, "channels.0='A b': give a channel's name"),
        ({"amount": 1, "thresholds": []}, "thresholds: give at least one"),
        ({"amount": 1, "thresholds": [0]}, "thresholds.0=0: give 1 or more"),
        ({"amount": 1, "owner": 5}, "owner=5: give one line of at most 80 characters"),
        ({"amount": 1, "raised": 5}, "raised=5: give names and values"),
        ({"amount": 1, "raised": {"to": 2}}, "raised.until: is missing; give it"),
        ({"amount": 1, "stop": {"till": ""}}, "stop.till: not a field of stop"),
        ({"amount": 1, "stop": {"action": "x"}}, "stop.action='x': give block or downgrade_model"),
        ({"amount": 1, "zone": "Mars"}, "zone='Mars': give an IANA time zone like Europe/Berlin"),
        ({"amount": 1, "each": "colour"}, "each='colour': give one of api_key"),
        ({"amount": 1, "name": "b"}, "a budget keeps its name"),
        ({"amount": 1, "each": ["user"]}, "give one of api_key"),
        ({"amount": 1, "scope": {"tags": "x"}}, "tags: give names and values"),
        ({"amount": 1, "raised": {"to": 2, "until": "soon"}}, "raised.until='soon': give a time"),
        ({"amount": 1, "raised": {"to": 2, "until": "2026-11-01"}}, "give a time with its offset"),
    ],
)
def test_a_definition_that_is_not_understood_is_refused_with_its_field(
    client: TestClient, definition: dict[str, object], says: str
) -> None:
    answer = client.put("/api/budgets/a", json=definition)

    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert names(client) == []


def test_an_unknown_budget_is_not_found(client: TestClient) -> None:
    assert client.get("/api/budgets/x/revisions").status_code == 404
    assert client.patch("/api/budgets/x", json={}).status_code == 404
    assert client.delete("/api/budgets/x").status_code == 404


def test_budgets_of_a_file_that_is_gone_at_the_start_are_kept_until_it_says_otherwise(
    folder: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "budgets.yaml"
    path.write_text(FILE)
    assert len(Register(LiveFile(path, read_budgets), state).kept()) == 2
    path.unlink()

    register = Register(LiveFile(path, read_budgets), state)

    assert [one.budget for one in register.kept()] == ["all", "no"]
    assert [one.budget for one in register.kept()] == ["all", "no"]
    assert register.problem.startswith(f"{path}: the file is gone, its budgets are kept")
    (warned,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "write `budgets: []` into it" in vars(warned)["reason"]
    path.write_text("budgets: []\n")
    assert register.kept() == []
    assert register.problem == ""


def test_without_a_file_nothing_is_missed(register: Register, state: State) -> None:
    state.budgets.put(budget(), Origin.API, "ada", datetime.now(UTC))

    assert [one.budget for one in register.kept()] == ["search"]
    assert register.problem == ""


def test_the_list_of_budgets_says_that_an_amount_is_a_raise(
    client: TestClient, register: Register
) -> None:
    now = datetime.now(UTC)
    until = datetime(2099, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    raised = Raise(to=Decimal(200), until=until)
    register.put(budget("120.55", zone="Europe/Berlin", raised=raised), "ada", now)

    with serving(client.app) as url:
        port = str(urlsplit(url).port)
        listed = taximeter("budgets", "list", PORT=port)

    assert "$200" in listed.stdout
    assert "until 1 July 2099, then $120.55" in " ".join(listed.stdout.split())


@pytest.fixture
def states(state_url: str) -> Iterator[list[State]]:
    with closing(State(state_url)) as one, closing(State(state_url)) as two:
        yield [one, two]


def test_two_services_that_read_the_same_file_make_one_revision(
    states: list[State], folder: Path
) -> None:
    (folder / "budgets.yaml").write_text(FILE)
    for state in states:
        assert len(Register(LiveFile(folder / "budgets.yaml", read_budgets), state).kept()) == 2

    assert [one.number for one in states[0].budgets.history("all")] == [1]
