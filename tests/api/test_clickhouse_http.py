"""The embedded store, read over ClickHouse's HTTP interface by real clients."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
import urllib3
import uvicorn
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from fastapi import FastAPI
from pydantic import SecretStr

from builders import NOON, costing
from stores import empty
from taximeter_api.clickhouse_http import LONGEST, PLACES, clickhouse_http
from taximeter_api.demo.processes import free_port
from taximeter_api.security import token_check
from taximeter_collector.store import Reader, Store

TOKEN = "the-sql-token-of-30-characters"
AUTHORIZATION = urllib3.make_headers(basic_auth=f"grafana:{TOKEN}")
GO = Path(__file__).parents[1] / "dashboards" / "clickhouse_go"
BY_FEATURE = "select feature, sum(cost) as cost from spend_by_day group by feature order by 1"


@pytest.fixture(scope="module")
def port(opened_store: Store, store_path: Path) -> Iterator[int]:
    empty(opened_store)
    calls = [costing("3", feature="search"), costing("0.25", feature="chat")]
    opened_store.add(calls, token="http/1", book_version="test", now=NOON)
    opened_store.refresh()
    with closing(Reader(f"chdb://{store_path}")) as reader:
        app = FastAPI()
        app.include_router(clickhouse_http(reader, token_check(SecretStr(TOKEN))))
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield port
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with closing(connected(port, TOKEN)) as client:
        yield client


def connected(port: int, password: str) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=port,
        username="grafana",
        password=password,
        proxy_path="clickhouse",
        database="taximeter",
        query_retries=0,
    )


def post(port: int, body: str | bytes, **asked: str) -> urllib3.BaseHTTPResponse:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return urllib3.request(
        "POST",
        f"http://127.0.0.1:{port}/clickhouse?{query}",
        body=body,
        headers=AUTHORIZATION,
        retries=False,
        timeout=60,
    )


def test_the_python_client_reads_names_types_and_rows(client: Client) -> None:
    answer = client.query(BY_FEATURE)

    assert answer.column_names == ("feature", "cost")
    assert answer.result_rows == [("chat", Decimal("0.25")), ("search", Decimal(3))]


def test_no_rows_have_columns(client: Client) -> None:
    answer = client.query("select feature, cost from spend_of_calls where feature = 'none'")

    assert (answer.column_names, answer.result_rows) == (("feature", "cost"), [])
    none = client.query("select feature, cost from spend_of_calls limit 0")
    assert (none.column_names, list(none.result_rows)) == (("feature", "cost"), [])


def test_a_large_answer_comes_packed_and_whole(client: Client) -> None:
    answer = client.query("select arrayJoin(range(200000)) as number")

    assert [row[0] for row in answer.result_rows] == list(range(200_000))


def test_many_may_ask_at_once(port: int) -> None:
    answers: list[bytes] = []
    asking = [
        threading.Thread(target=lambda: answers.append(post(port, BY_FEATURE).data))
        for _ in range(20)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()

    assert answers == [b"chat\t0.25\nsearch\t3\n"] * 20


def test_what_is_refused_has_clickhouse_s_number(client: Client, port: int) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 497.*system\.tables: give a table"):
        client.query("select name from system.tables")
    with pytest.raises(DatabaseError, match="Code: 47"):
        client.query("select no_such_column from calls")
    with pytest.raises(DatabaseError):
        client.command("drop table taximeter.calls")
    refused = post(port, "select file('/etc/hostname')")
    assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "497")


@pytest.mark.parametrize("password", ["", "wrong", TOKEN + "x"])
def test_nobody_reads_without_the_token(port: int, password: str) -> None:
    with pytest.raises(DatabaseError, match="516"):
        connected(port, password)


def test_the_question_may_be_in_the_address_or_packed_in_the_body(port: int) -> None:
    packed = urllib3.request(
        "POST",
        f"http://127.0.0.1:{port}/clickhouse?default_format=CSV",
        body=gzip.compress(BY_FEATURE.encode()),
        headers={**AUTHORIZATION, "Content-Encoding": "gzip"},
        timeout=60,
    )
    asked = urllib3.request(
        "GET",
        f"http://127.0.0.1:{port}/clickhouse/",
        fields={"query": BY_FEATURE, "database": "taximeter"},
        headers=AUTHORIZATION,
        timeout=60,
    )

    assert packed.data == b'"chat",0.25\n"search",3\n'
    assert asked.data == b"chat\t0.25\nsearch\t3\n"


@pytest.mark.parametrize(
    ("body", "asked", "reason"),
    [
        ("", {}, "no SQL: give it in the body"),
        ("select 1", {"database": "system"}, "database=system: there is only taximeter"),
        ("select 1", {"default_format": "a b"}, "default_format=a b: give one of"),
        (b"\xff", {}, "SQL in UTF-8"),
        ("select '" + "x" * LONGEST + "'", {}, f"longer than {LONGEST} bytes"),
    ],
)
def test_what_is_no_question_is_said(
    port: int, body: str | bytes, asked: dict[str, str], reason: str
) -> None:
    answer = post(port, body, **asked)

    assert answer.status == 400
    assert reason in answer.data.decode()


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b" " * 50_000_000),
        gzip.compress(b"select 1") + gzip.compress(b", 2"),
        gzip.compress(b"select 1")[:-4],
    ],
    ids=["vast", "two", "cut"],
)
def test_a_body_that_is_not_one_packed_question_is_refused(port: int, body: bytes) -> None:
    answer = urllib3.request(
        "POST",
        f"http://127.0.0.1:{port}/clickhouse",
        body=body,
        headers={**AUTHORIZATION, "Content-Encoding": "gzip"},
        timeout=60,
    )

    assert (answer.status, b"not one whole gzip member" in answer.data) == (400, True)


def test_more_than_may_wait_are_told_to_come_back(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def answered_late(*_asked: object) -> bytes:
        go_on.wait(60)
        return b"done"

    with monkeypatch.context() as patched, ThreadPoolExecutor(PLACES + 1) as pool:
        patched.setattr(Reader, "answer", answered_late)
        asking = [pool.submit(post, port, "select 1") for _ in range(PLACES + 1)]
        refused = next(as_completed(asking)).result()
        go_on.set()
        answers = [one.result().data for one in asking]

    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    assert answers.count(b"done") == PLACES
    assert post(port, "select 1").data == b"1\n"


@pytest.mark.matrix
@pytest.mark.skipif(shutil.which("go") is None, reason="NOT RUN: there is no Go here")
@pytest.mark.parametrize(
    ("sql", "columns", "rows"),
    [
        (
            BY_FEATURE,
            [["feature", "LowCardinality(String)"], ["cost", "Decimal(38, 12)"]],
            [["chat", "0.25"], ["search", "3"]],
        ),
        ("select 1::UInt8 as a where 0", [["a", "UInt8"]], []),
        ("select count() as n from spend_of_calls", [["n", "UInt64"]], [[2]]),
    ],
)
def test_grafana_s_driver_reads_names_types_and_rows(
    port: int, driver: Path, sql: str, columns: list[Any], rows: list[Any]
) -> None:
    asked = [str(driver), f"127.0.0.1:{port}", TOKEN, sql]
    printed = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)

    assert printed.returncode == 0, printed.stderr
    assert [json.loads(line) for line in printed.stdout.splitlines()] == columns + rows


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a program around clickhouse-go, the driver inside Grafana's plugin."""
    built = tmp_path_factory.mktemp("go") / "driver"
    subprocess.run(["go", "build", "-o", built], cwd=GO, check=True, timeout=600)
    return built
