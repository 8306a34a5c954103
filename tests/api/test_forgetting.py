"""A user who is forgotten is named nowhere any more, and nothing is told again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from builders import NOON, budget, costing
from stores import empty
from taximeter_alerts.alert import Alert
from taximeter_alerts.budgets import Budget, read_budgets
from taximeter_alerts.mirroring import MeterState, Mirroring
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import Silence, State
from taximeter_alerts.state.tables import metadata
from taximeter_alerts.watch import evaluate
from taximeter_api.alerting import alerts_api
from taximeter_api.answers import alerts_page
from taximeter_api.forgetting import forget, forget_api
from taximeter_api.kept import Kept
from taximeter_api.questions import Refused
from taximeter_api.refusals import refusals
from taximeter_api.routes import spend_api
from taximeter_collector.labels import label
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Dimension, Store

SENT = 'ada/"u\u0308"@example.com'
"""As the app names her."""
ADA = label(SENT)
LONG = "x" * 300
COPIES = ("budget_lines", "alert_log")
WORDS = {"from": "2026-11-01", "to": "2026-12-01", "group_by": "user"}
A_MINUTE = timedelta(minutes=1)


@pytest.fixture
def register(state: State, tmp_path: Path) -> Register:
    one = Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)
    for each in (Dimension.USER, Dimension.TEAM, None):
        name = f"each {each.outside_name}" if each else "all"
        one.put(budget("10", name=name, each=each), "grace", NOON)
    return one


@pytest.fixture
def copying(store: Store, state: State, register: Register) -> Mirroring:
    savings = Savings(store, PriceBook.shipped)
    return Mirroring(store, state, register, savings, lambda: MeterState(0, {}))


@pytest.fixture
def kept() -> Kept:
    return Kept(cheap_s=0)


@pytest.fixture
def client(store: Store, state: State, kept: Kept) -> TestClient:
    app = FastAPI()
    refusals(app)
    for router in (
        spend_api(store),
        forget_api(store, state, kept),
        alerts_api(state, {}, "http://127.0.0.1:8787"),
        alerts_page(state, {}, "http://127.0.0.1:8787", list),
    ):
        app.include_router(router)
    return TestClient(app)


def spend(store: Store, user: str, usd: str, team: str = "") -> None:
    call = costing(usd, user_id=user, team=team, ts=NOON - A_MINUTE)
    before = costing("0.5", user_id=user, team=team, ts=NOON - timedelta(days=32))
    store.add([call, before], token=f"{user} {usd}", book_version="b", now=NOON)


def named(store: Store, state: State, name: str) -> list[str]:
    """Return the tables that hold a name, with the row."""
    rows = [
        (table.name, repr(tuple(row)))
        for table in metadata.sorted_tables
        for row in state._database.read(sa.select(table))
    ]
    rows += [
        (table, repr(row))
        for table in COPIES
        for row in store._connection.read(f"select * from taximeter.{table} final").result_rows
    ]
    texts = (name, name.replace('"', '\\"'), "ada%2F")
    return [f"{table}: {row}" for table, row in rows if any(text in row for text in texts)]


def told(store: Store, state: State, budgets: list[Budget]) -> list[tuple[str, str]]:
    return [(one.key.budget, one.key.value) for one in evaluate(store, state, budgets, NOON)]


def drivers(state: State) -> set[str]:
    """Return the users that alerts say drive the spend."""
    alerts = [one.alert for one in state.deliveries.all()]
    return {
        driver.name
        for one in alerts
        if isinstance(one, Alert)
        for driver in one.story.drivers
        if driver.dimension == "user"
    }


def test_a_forgotten_user_is_off_alerts_silences_and_copies_and_nothing_is_told_again(
    store: Store, state: State, register: Register, copying: Mirroring
) -> None:
    budgets = register.in_force(NOON)
    spend(store, ADA, "20")
    spend(store, "bob", "11")
    assert sorted(told(store, state, budgets)) == [
        ("all", ""),
        ("each user", ADA),
        ("each user", "bob"),
    ]
    assert drivers(state) == {ADA}
    silence = Silence(budget="each user", value=ADA, until=NOON, made_by="grace", made_at=NOON)
    state.silences.add(silence)
    copying.copy(NOON)
    assert {row.partition(":")[0] for row in named(store, state, ADA)} == {
        *("alerts", "silences", "alert_log", "budget_lines")
    }

    calls = forget(store, state, SENT, NOON + A_MINUTE)
    lines = store._connection.rows("select value, spent from taximeter.budget_lines final")
    copying.copy(NOON + A_MINUTE)

    assert {(row["value"], row["spent"]) for row in lines} >= {("", Decimal(20))}
    assert (calls, named(store, state, ADA)) == (2, [])
    assert (drivers(state), told(store, state, budgets)) == ({""}, [])
    spent = [one.alert.key.value for one in state.deliveries.all()]
    assert sorted(spent)[::2] == ["", "bob"]
    (nobody,) = {one.value for one in state.silences.at(NOON - A_MINUTE)}
    assert nobody == sorted(spent)[1]
    logged = "select value, sum(spent) as usd from taximeter.alert_log final group by value"
    assert {row["value"]: row["usd"] for row in store._connection.rows(logged)} == {
        "": Decimal(31),
        "bob": Decimal(11),
        nobody: Decimal(20),
    }
    with pytest.raises(Refused, match="no call names this user"):
        forget(store, state, SENT, NOON + A_MINUTE)
    assert sorted(one.alert.key.value for one in state.deliveries.all()) == sorted(spent)


def test_two_forgotten_users_stay_two_and_one_who_is_back_is_told_of_anew(
    store: Store, state: State, register: Register
) -> None:
    budgets = [one for one in register.in_force(NOON) if one.each is Dimension.USER]

    for token, user in enumerate((ADA, "bob", ADA)):
        spend(store, user, f"1{token}")
        assert told(store, state, budgets) == [("each user", user)]
        forget(store, state, user, NOON)

    (times,) = {len({one.alert.key.value for one in state.deliveries.all()})}
    assert (times, told(store, state, budgets)) == (3, [])
    # Each spoke for three thresholds below it.
    assert len(state.raised([budgets[0].period_at(NOON).start])) == 12


def test_a_team_of_the_same_name_keeps_its_alerts(
    store: Store, state: State, register: Register, copying: Mirroring
) -> None:
    budgets = [one for one in register.in_force(NOON) if one.each]
    spend(store, "web", "20", team="web")
    told(store, state, budgets)
    copying.copy(NOON)

    forget(store, state, "web", NOON)

    of_team = [one for one in state.deliveries.all() if one.alert.key.budget == "each team"]
    assert [one.alert.key.value for one in of_team] == ["web"]
    kept = "select budget from taximeter.{} final where value = 'web'"
    for table in COPIES:
        rows = store._connection.read(kept.format(table)).result_rows
        assert rows == [("each team",)], table
    assert told(store, state, budgets) == []


def test_the_page_and_the_api_of_alerts_name_nobody(
    client: TestClient, store: Store, state: State, register: Register
) -> None:
    spend(store, "u0010", "20")
    told(store, state, register.in_force(NOON))
    shown = ("/alerts", "/alerts?format=csv", "/api/alerts")
    assert ["u0010" in client.get(path).text for path in shown] == [True, True, True]

    answer = client.post("/api/forget", json={"user": "u0010"})

    assert answer.json() == {"calls": 2}
    assert ["u0010" in client.get(path).text for path in shown] == [False, False, False]
    assert "each user: (forgotten" in client.get("/alerts").text


@pytest.mark.parametrize("name", ["O'Hara", LONG, "u\u0308", "a\\b", "tab\t"])
def test_a_user_is_found_silenced_and_forgotten_by_the_name_that_the_app_sends(
    client: TestClient, store: Store, state: State, register: Register, name: str
) -> None:
    spend(store, label(name), "20")
    until = (datetime.now(UTC) + A_MINUTE).isoformat()

    found = client.get("/api/calls", params={"user": name}).json()["calls"]
    wanted = {"budget": "each user", "value": name, "until": until}
    (silence,) = client.post("/api/silences", json=wanted).json()["silences"]
    of_users = [one for one in register.in_force(NOON) if one.each is Dimension.USER]
    (told,) = evaluate(store, state, of_users, NOON)

    assert len(found) == 2
    assert silence["value"] == told.key.value == label(name)
    assert client.post("/api/forget", json={"user": name}).json() == {"calls": 2}
    assert client.get("/api/calls", params={"user": name}).json() == {"calls": []}
    assert named(store, state, label(name)) == []


def test_a_name_that_no_call_has_is_not_said_to_be_forgotten(client: TestClient) -> None:
    answer = client.post("/api/forget", json={"user": "O'Hara"})

    assert answer.status_code == 404
    assert answer.json()["detail"] == (
        'user="O\'Hara": no call names this user; give the name as the app does'
    )


def test_a_user_is_forgotten_also_by_kept_pages(
    client: TestClient, kept: Kept, store: Store
) -> None:
    rows = [costing("1", user_id="ada"), costing("2", user_id="bob")]
    store.add(rows, token="kept", book_version="b", now=NOON)
    kept.get("users", NOON, lambda _: ["ada", "bob"])

    assert client.post("/api/forget", json={"user": "ada"}).json() == {"calls": 1}

    assert kept.get("users", NOON, lambda _: ["bob"])[0] == ["bob"]
    told = client.get("/api/spend", params=WORDS).json()["rows"]
    assert [(row["user"], row["calls"]) for row in told] == [("bob", 1), ("", 1)]
    assert client.post("/api/forget", json={"user": ""}).status_code == 422


def test_a_name_that_only_sums_have_is_not_told_to_be_unknown(store: Store, state: State) -> None:
    spend(store, "carol", "1")
    store.refresh()
    empty(store, "calls")

    assert forget(store, state, "carol", NOON) == 0
    with pytest.raises(Refused, match="no call names this user"):
        forget(store, state, "carol", NOON)
