from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from openai.types.admin.organization import (
    UsageCompletionsResponse,
    UsageCostsResponse,
    UsageEmbeddingsResponse,
    UsageWebSearchCallsResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from bills import WrittenBooks
from builders import NOON, costing
from taximeter_analysis.bill import Key
from taximeter_api.demo.fake_account import Entry, admin_routes
from taximeter_api.demo.fake_openai import serving
from taximeter_api.demo.processes import free_port
from taximeter_api.openai_account import AccountUnreadable, read_account
from taximeter_api.questions import Refused, month_of
from taximeter_api.reconciliation import (
    reconcile_month,
    reconciliation_api,
    reconciliation_page,
)
from taximeter_collector.settings import Settings, read_settings
from taximeter_collector.store import Period, Store

NOVEMBER = date(2026, 11, 1)
MONTH = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
THE_3RD = datetime(2026, 11, 3, 9, tzinfo=UTC)
KEYS = (
    Key(id="key_web", name="web", project="proj_1", redacted="sk-proj-****wxyz"),
    Key(id="key_old", name="laptop", project="proj_2", redacted="sk-proj-****k7Qz"),
)


def tokens(at: datetime, count: int, **fields: Any) -> Entry:
    defaults = {"project_id": "proj_1", "api_key_id": "key_web", "model": "gpt-4o"}
    return at, {
        **defaults,
        "input_tokens": count,
        "output_tokens": 0,
        "num_model_requests": 1,
    } | fields


def cost(at: datetime, usd: float, line_item: str = "gpt-4o, input", **fields: Any) -> Entry:
    defaults = {"project_id": "proj_1", "api_key_id": "key_web", "line_item": line_item}
    return at, {**defaults, "amount": {"value": usd, "currency": "usd"}, **fields}


def written(**fields: Any) -> WrittenBooks:
    return WrittenBooks(**{"keys": KEYS, **fields})


@contextmanager
def account(books: WrittenBooks, requests: list[str] | None = None) -> Iterator[Settings]:
    """Serve an account on loopback; gives the settings of a service that reads it."""
    asked = requests if requests is not None else []
    inner = Starlette(routes=admin_routes(books))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        await inner(scope, receive, send)

    with serving(app) as address:
        yield settings(address)


def settings(address: str, **variables: str) -> Settings:
    told = {"OPENAI_URL": f"{address}/v1", "OPENAI_ADMIN_KEY": "sk-admin-1", **variables}
    return read_settings({f"TAXIMETER_SERVER_{name}": value for name, value in told.items()})


def test_bodies_of_the_fake_are_those_of_the_sdk() -> None:
    books = written(
        use={
            "completions": [tokens(THE_3RD, 5, batch=False, service_tier="default")],
            "embeddings": [tokens(THE_3RD, 5)],
            "web_search_calls": [(THE_3RD, {"num_requests": 2, "num_model_requests": 1})],
        },
        bill=[cost(THE_3RD, 0.06)],
    )
    client = TestClient(Starlette(routes=admin_routes(books)))
    query = "start_time=1793491200&end_time=1796083200&bucket_width=1d&limit=31"

    def body(path: str) -> dict[str, Any]:
        answer = client.get(
            f"/v1/organization/{path}?{query}", headers={"authorization": "Bearer sk-admin-1"}
        )
        return dict(answer.json())

    for path, model in (
        ("usage/completions", UsageCompletionsResponse),
        ("usage/embeddings", UsageEmbeddingsResponse),
        ("usage/web_search_calls", UsageWebSearchCallsResponse),
        ("costs", UsageCostsResponse),
    ):
        parsed = model.model_validate(body(path), strict=True)
        kinds = [result.object for bucket in parsed.data for result in bucket.results]
        assert len(kinds) == 1, path
        assert len(parsed.data) == 30, path


def test_every_page_of_the_month_is_read_and_nothing_is_written() -> None:
    last = datetime(2026, 11, 30, 23, tzinfo=UTC)
    days = [cost(datetime(2026, 11, day, tzinfo=UTC), 0.1) for day in range(1, 31)]
    books = written(
        use={"completions": [tokens(THE_3RD, 1000, input_cached_tokens=400), tokens(last, 7)]},
        bill=days,
    )
    requests: list[str] = []

    with account(books, requests) as reading:
        read = read_account(reading, MONTH)

    assert [(use.hour, [int(one) for one in use.used[:2]]) for use in read.use] == [
        (THE_3RD, [600, 400]),
        (last, [7, 0]),
    ]
    assert sum(charge.usd for charge in read.charges) == Decimal(3)
    assert [(key.id, key.ending) for key in read.keys] == [("key_web", "wxyz"), ("key_old", "k7Qz")]
    # 720 hours are five pages of at most 168.
    assert sum("/usage/completions" in request for request in requests) == 5
    assert all(request.startswith("GET ") for request in requests)


def test_units_and_tools_are_read_under_their_names() -> None:
    web = {"num_requests": 3, "num_model_requests": 1, "model": "gpt-4o"}
    books = written(
        use={
            "embeddings": [tokens(THE_3RD, 50, model="text-embedding-3-small")],
            "images": [(THE_3RD, {"images": 2, "num_model_requests": 2, "model": "dall-e-3"})],
            "audio_speeches": [(THE_3RD, {"characters": 90, "num_model_requests": 1})],
            "audio_transcriptions": [(THE_3RD, {"seconds": 61, "num_model_requests": 1})],
            "web_search_calls": [(THE_3RD, web)],
            "file_search_calls": [(THE_3RD, {"num_requests": 4})],
            "code_interpreter_sessions": [(THE_3RD, {"num_sessions": 5})],
        }
    )

    with account(books) as reading:
        use = read_account(reading, MONTH).use

    assert [[int(one) for one in each.used] for each in use] == [
        [50, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 2, 0, 0, 0],
        [0, 0, 0, 0, 90, 0, 0, 0],
        [0, 0, 0, 0, 61, 0, 0, 0],
        [0, 0, 0, 0, 0, 3, 0, 0],
        [0, 0, 0, 0, 0, 0, 4, 0],
        [0, 0, 0, 0, 0, 0, 0, 5],
    ]


def test_a_rate_limit_is_waited_for() -> None:
    refusals = iter([429, 429])
    inner = Starlette(routes=admin_routes(written(bill=[cost(THE_3RD, 1.25)])))

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        status = next(refusals, 200) if "costs" in scope["path"] else 200
        busy = JSONResponse({"error": {"message": "slow down"}}, status, {"Retry-After": "0.01"})
        await (inner if status == 200 else busy)(scope, receive, send)

    with serving(limited) as address:
        read = read_account(settings(address), MONTH)

    assert [charge.usd for charge in read.charges] == [Decimal("1.25")]
    assert next(refusals, None) is None


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OPENAI_ADMIN_KEY": "sk-not-it"}, ["answered 401", "OPENAI_ADMIN_KEY", "read usage"]),
        ({"OPENAI_URL": "http://127.0.0.1:9/v1"}, ["http://127.0.0.1:9/v1 can't be read"]),
    ],
)
def test_an_account_that_can_not_be_read_says_why_without_the_key(
    variables: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taximeter_api.openai_account.RETRIES", 0)
    with (
        account(written()) as reading,
        pytest.raises(AccountUnreadable) as refused,
    ):
        read_account(settings(reading.openai_url.removesuffix("/v1"), **variables), MONTH)

    for word in words:
        assert word in str(refused.value)
    assert "sk-" not in str(refused.value)


def test_a_bill_in_another_currency_is_refused() -> None:
    books = written(bill=[cost(THE_3RD, 1, amount={"value": 1, "currency": "eur"})])

    with account(books) as reading, pytest.raises(AccountUnreadable, match="bills in eur"):
        read_account(reading, MONTH)


def test_pages_that_end_too_early_are_refused() -> None:
    async def cut(request: Request) -> Response:
        if "projects" in request.url.path:
            return JSONResponse({"object": "list", "data": [], "has_more": False})
        return JSONResponse({"object": "page", "data": [], "has_more": True, "next_page": None})

    app = Starlette()
    app.add_route("/{path:path}", cut)

    with serving(app) as address, pytest.raises(AccountUnreadable, match="no next page"):
        read_account(settings(address), MONTH)


def command(
    *arguments: str,
    name: str = "reconcile",
    address: str = "http://127.0.0.1:9",
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    told = {"OPENAI_URL": f"{address}/v1", "OPENAI_ADMIN_KEY": "sk-admin-1", **variables}
    own = {f"TAXIMETER_SERVER_{variable}": value for variable, value in told.items() if value}
    return subprocess.run(
        [sys.executable, "-m", "taximeter_api", name, *arguments],
        env={**own, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_shows_the_causes_as_a_table_and_as_json(tmp_path: Path) -> None:
    books = written(bill=[cost(THE_3RD, 12.5, api_key_id="key_old", project_id="proj_2")])

    with serving(Starlette(routes=admin_routes(books))) as address:
        options = {"address": address, "DATA_DIR": str(tmp_path), "PORT": "9"}
        command(name="migrate", DATA_DIR=str(tmp_path))
        shown = command("--month", "2026-11", **options)
        told = json.loads(command("--month", "2026-11", "--json", **options).stdout)

    assert "laptop (…k7Qz)" in shown.stdout
    assert "+$12.50" in shown.stdout
    assert told["causes"] == [
        {
            "kind": "unseen",
            "detail": "laptop (…k7Qz): no call was seen",
            "usd": "12.500000000000",
        }
    ]


def test_beside_a_running_service_the_command_asks_that_one_from_any_folder(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # This process has the embedded store open, as a service would.
    with account(written(bill=[cost(THE_3RD, 12.5)])) as reading:
        app = FastAPI()
        app.include_router(reconciliation_api(store, reading))
        with serving(app) as service:
            port = service.rpartition(":")[2]
            shown = command("--month", "2026-11", "--json", PORT=port, OPENAI_ADMIN_KEY="")
        alone = command(STORE=store.url, PORT="9")

    assert json.loads(shown.stdout)["billed"] == "12.500000000000"
    assert list(tmp_path.iterdir()) == []
    assert [f"{one.billed:f}" for one in store.reconciliations()] == ["12.500000000000"]
    assert alone.returncode == 2
    assert "no service answers at http://127.0.0.1:9" in alone.stderr


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['openai'] = None; from taximeter_api.cli import main; main()"
    (tmp_path / "store").mkdir()
    settings = {"OPENAI_ADMIN_KEY": "x", "DATA_DIR": str(tmp_path), "PORT": str(free_port())}
    refused = subprocess.run(
        [sys.executable, "-c", program, "reconcile"],
        env={f"TAXIMETER_SERVER_{name}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 2
    assert refused.stderr == (
        'taximeter: the package openai is missing: pip install "taximeter-server[reconcile]"\n'
    )


def test_a_month_is_compared_kept_and_a_revised_day_is_seen(store: Store) -> None:
    books = written(
        use={"completions": [tokens(THE_3RD, 1_000_000), tokens(THE_3RD, 8, api_key_id="key_old")]},
        bill=[cost(THE_3RD, 2.5), cost(THE_3RD, 4.0, project_id="proj_2", api_key_id="key_old")],
    )
    seen = costing("2.5", project="proj_1", api_key_id="wxyz", ts=THE_3RD, input_tokens=1_000_000)
    # OpenAI lags: of yesterday's calls it knows nothing yet.
    late = costing("0.75", project="proj_1", api_key_id="wxyz", ts=NOON - timedelta(days=1))
    store.add([seen, late], token="reconcile-month", book_version="b1", now=NOON)

    with account(books) as reading:
        first = reconcile_month(store, reading, NOVEMBER, NOON)
        client = asking(store, reading)
        before = client.get("/api/reconciliation").json()
        books.bill[0] = cost(THE_3RD, 2.75)
        reconcile_month(store, reading, NOVEMBER, NOON + timedelta(hours=1))

    assert [(one["kind"], one["detail"], one["usd"]) for one in before["causes"]] == [
        ("unseen", "laptop (…k7Qz): no call was seen", "4.000000000000"),
        ("provisional", "", "-0.750000000000"),
    ]
    assert (before["billed"], before["metered"]) == ("6.500000000000", "3.250000000000")
    assert (before["difference"], before["revisions"]) == ("3.250000000000", [])
    assert store.reconciliations(NOVEMBER)[1] == first
    after = client.get("/api/reconciliation", params={"month": "2026-11"}).json()
    assert after["revisions"] == [
        {"day": "2026-11-03", "before": "6.500000000000", "after": "6.750000000000"}
    ]
    assert "3 November from $6.50 to $6.75" in client.get("/reconciliation").text


def asking(store: Store, reading: Settings) -> TestClient:
    app = FastAPI()
    app.include_router(reconciliation_api(store, reading))
    app.include_router(reconciliation_page(store))
    return TestClient(app)


def test_the_api_takes_a_reconciliation_when_asked_and_says_what_it_can_not(store: Store) -> None:
    with account(written()) as reading:
        client = asking(store, reading)
        nothing = client.get("/api/reconciliation")
        taken = client.post("/api/reconciliation", params={"month": "2026-10"})
        unknown = client.post("/api/reconciliation", params={"month": "11/2026"})
        keyless = asking(store, Settings()).post("/api/reconciliation")

    assert (nothing.status_code, "taximeter reconcile" in nothing.json()["detail"]) == (404, True)
    assert (taken.status_code, taken.json()["month"]) == (200, "2026-10")
    assert (unknown.status_code, unknown.json()["detail"]) == (
        422,
        "month='11/2026': give a month like 2026-11",
    )
    assert keyless.status_code == 502
    assert "OPENAI_ADMIN_KEY is not set" in keyless.json()["detail"]


@pytest.mark.parametrize(
    ("text", "month"),
    [("", date(2026, 11, 1)), ("2026-11", date(2026, 11, 1)), ("2026-02", date(2026, 2, 1))],
)
def test_the_current_month_is_compared_unless_another_is_named(text: str, month: date) -> None:
    assert month_of(text, NOON) == month


@pytest.mark.parametrize("text", ["2026-12", "2026-13", "november", "2026-11-03"])
def test_a_month_that_has_not_begun_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=f"month='{text}'"):
        month_of(text, NOON)
