from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from builders import NOON, Rows, call, costing, unpriced
from taximeter_api.app import Service
from taximeter_api.live import Heads
from taximeter_api.routes import health, spend_api
from taximeter_collector.calls import CostStatus, Loss, Priced
from taximeter_collector.store import SpendRow, Store

AROUND = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture
def client(store: Store) -> TestClient:
    app = FastAPI()
    app.include_router(spend_api(store))
    return TestClient(app)


def add(store: Store, *rows: object) -> None:
    typed: Rows = rows  # type: ignore[assignment]
    store.add(typed, token=f"routes-{id(rows)}", book_version="b1", now=NOON)


def test_spend_is_text_with_every_digit(client: TestClient, store: Store) -> None:
    add(store, costing("0.000000000001"), costing("1234567.1"), unpriced())

    answer = client.get("/api/spend", params=AROUND).json()

    assert answer["total"] == {
        "cost_is_complete": False,
        "cost": "1234567.100000000001",
        "estimated_cost": "0.000000000000",
        "cost_input": "0.000000000000",
        "cost_cached_input": "0.000000000000",
        "cost_cache_write": "0.000000000000",
        "cost_output": "0.000000000000",
        "cost_other": "1234567.100000000001",
        "calls": 3,
        "errors": 0,
        "unpriced_calls": 1,
        "estimated_calls": 0,
        "input_tokens": 3000,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 300,
        "reasoning_tokens": 0,
    }
    assert answer["currency"] == "USD"


@pytest.mark.parametrize(
    ("group_by", "rows"),
    [
        ("feature", [({"feature": "chat"}, "3"), ({"feature": "search"}, "1")]),
        ("user", [({"user": "ada"}, "3"), ({"user": "bob"}, "1")]),
        ("model", [({"model": "gpt-4o"}, "4")]),
        (
            "day,feature",
            [
                ({"day": "2026-11-16T00:00:00+00:00", "feature": "chat"}, "3"),
                ({"day": "2026-11-15T00:00:00+00:00", "feature": "search"}, "1"),
            ],
        ),
    ],
)
def test_spend_is_divided_by_the_dimensions_asked_for(
    client: TestClient, store: Store, group_by: str, rows: list[tuple[dict[str, str], str]]
) -> None:
    add(
        store,
        costing("3", feature="chat", user_id="ada"),
        costing("1", feature="search", user_id="bob", ts=NOON - timedelta(days=1)),
    )

    answer = client.get("/api/spend", params={**AROUND, "group_by": group_by}).json()

    got = [
        ({key: row[key] for key in want}, Decimal(row["cost"]))
        for row, (want, _) in zip(answer["rows"], rows, strict=True)
    ]
    assert got == [(keys, Decimal(cost)) for keys, cost in rows]


def test_rows_and_total_of_an_answer_are_of_the_same_moment(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend = store.spend

    def while_calls_come(*question: Any) -> list[SpendRow]:
        rows = spend(*question)
        add(store, costing("1", feature="chat"))
        return rows

    add(store, costing("3", feature="chat"), costing("2", feature="search"), unpriced())
    monkeypatch.setattr(store, "spend", while_calls_come)

    answer = client.get("/api/spend", params={**AROUND, "group_by": "feature,day"}).json()

    assert answer["total"]["cost"] == "5.000000000000"
    for sum_ in ("calls", "unpriced_calls", "input_tokens"):
        assert answer["total"][sum_] == sum(row[sum_] for row in answer["rows"])


def test_any_dimension_narrows_the_spend(client: TestClient, store: Store) -> None:
    add(
        store,
        costing("3", feature="chat"),
        costing("1", feature="search"),
        costing("5", feature="x"),
    )

    answer = client.get("/api/spend", params={**AROUND, "feature": ["chat", "search"]}).json()

    assert Decimal(answer["total"]["cost"]) == 4


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"group_by": "city"}, ["group_by='city'", "feature, team, user"]),
        ({"city": "x"}, ["filter='city'", "feature, team, user"]),
        ({"from": "yesterday"}, ["from='yesterday'", "ISO date"]),
        ({"from": "2026-11-02", "to": "2026-11-02"}, ["from=2026-11-02", "before to=2026-11-02"]),
        ({"to": "2020-10-05"}, ["to=2020-10-05: give from, too: without it, it is "]),
        ({"FEATURE": "x"}, ["filter='FEATURE'"]),
        ({"from": "0001-01-01T00:00+14:00"}, ["year from 1971 to 2104"]),
        ({"to": "9999-12-31T23:59-12:00"}, ["year from 1971 to 2104"]),
        ({"day": "2026-11-02"}, ["narrow the time with from and to"]),
    ],
)
def test_a_bad_question_names_field_value_and_accepted_form(
    client: TestClient, query: dict[str, str], words: list[str]
) -> None:
    answer = client.get("/api/spend", params=query)

    assert answer.status_code == 422
    for word in words:
        assert word in answer.json()["detail"]


def test_what_is_missing_or_altered_is_counted(client: TestClient, store: Store) -> None:
    absurd = Priced(status=CostStatus.UNPRICED, usd=None, reason="absurd usage: negative")
    add(
        store,
        costing("1", tags_altered=2),
        unpriced(),
        unpriced(),
        (call(), absurd),
        (call(), Priced(status=CostStatus.ESTIMATED, usd=Decimal(1), reason="counted")),
    )
    store.add_losses([Loss(told_at=NOON, told_by="1/2", service="webapp", spans=3)])

    assert client.get("/api/quality", params=AROUND).json() == {
        "from": "2026-11-01T00:00:00+00:00",
        "to": "2026-12-01T00:00:00+00:00",
        "calls": 5,
        "estimated_calls": 1,
        "absurd_calls": 1,
        "altered_calls": 1,
        "unpriced_calls": {unpriced()[1].reason: 2, "absurd usage: negative": 1},
        "lost_spans": {"webapp": 3},
    }


def test_quality_is_of_whole_hours(client: TestClient, store: Store) -> None:
    add(store, costing("1", ts=NOON + timedelta(minutes=20)), unpriced(ts=NOON))

    answer = client.get(
        "/api/quality", params={"from": "2026-11-16T12:10", "to": "2026-11-16T12:50"}
    )

    assert (answer.json()["from"], answer.json()["to"]) == (
        "2026-11-16T12:00:00+00:00",
        "2026-11-16T13:00:00+00:00",
    )
    assert answer.json()["calls"] == 2


def test_calls_are_found_by_what_one_has_of_them(client: TestClient, store: Store) -> None:
    ids = {"call_id": "chatcmpl-1", "request_id": "req_1", "trace_id": "t1", "user_id": "ada"}
    add(store, costing("1", **ids, ts=NOON), unpriced(user_id="ada", ts=NOON - timedelta(hours=3)))
    add(store, costing("0.000000000001", **ids, ts=NOON, feature="renamed"), costing("5"))

    for clue, value in (("response_id", "chatcmpl-1"), ("request_id", "req_1"), ("trace_id", "t1")):
        (one,) = client.get("/api/calls", params={clue: value}).json()["calls"]
        assert (one["call_id"], one["feature"], one["cost"], one["ts"]) == (
            "chatcmpl-1",
            "renamed",
            "0.000000000001",
            NOON.isoformat(timespec="milliseconds"),
        )
    both = client.get("/api/calls", params={"user": "ada"}).json()["calls"]
    assert [one["cost"] for one in both] == ["0.000000000001", None]
    newest = client.get("/api/calls", params={"user": "ada", "limit": 1}).json()["calls"]
    assert newest == both[:1]
    assert client.get("/api/calls", params={"user": "nobody"}).json() == {"calls": []}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({}, "nothing: give one of response_id, request_id, trace_id, user"),
        ({"feature": "x"}, "feature: give one of"),
        ({"user": "ada", "trace_id": "t"}, "user, trace_id: give one of"),
        ({"user": ""}, "user: give one of"),
    ],
)
def test_a_clue_that_finds_nothing_is_told_what_does(
    client: TestClient, words: dict[str, str], told: str
) -> None:
    answer = client.get("/api/calls", params=words)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("trouble", "status", "reason"),
    [(lambda: "", 200, None), (lambda: "the disk is full", 503, "the disk is full")],
)
def test_the_probes_say_whether_the_service_works(
    trouble: Callable[[], str], status: int, reason: str | None
) -> None:
    app = FastAPI()
    app.include_router(health(trouble))
    client = TestClient(Heads(app))

    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json().get("reason")) == (status, reason)
    assert [client.head(path).status_code for path in ("/healthz", "/readyz")] == [200, status]


def test_a_job_that_does_not_come_back_is_trouble() -> None:
    well = SimpleNamespace(is_alive=True, trouble="")
    service = cast(
        Service,
        SimpleNamespace(
            _journal=well, _writer=well, _schedule=SimpleNamespace(stuck=lambda: ["budgets"])
        ),
    )
    app = FastAPI()
    app.include_router(health(lambda: Service._trouble(service)))

    answer = TestClient(app).get("/readyz")

    assert answer.status_code == 503
    assert "budgets: under way for more than ten minutes" in answer.text
