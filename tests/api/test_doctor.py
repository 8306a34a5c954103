from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import urllib3
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from api.test_cli import taximeter
from builders import NOON
from spans import request, span
from taximeter_api.checks.engine import clock, findings_of
from taximeter_api.checks.running import of_unpriced
from taximeter_api.demo.fake_openai import serving
from taximeter_api.demo.processes import free_port
from taximeter_collector.store import Condition
from test_end_to_end import Service, eventually

WELL = Condition(
    version="26.9",
    clock=NOON,
    pending=(),
    disks=(("default", 60, 100),),
    crowded=(),
    stuck=(),
    broken=(),
    read_only=(),
    endless_logs=(),
)


def test_what_is_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    journal = tmp_path / "data" / "journal"
    journal.mkdir(parents=True)
    old = journal / "1.journal"
    old.write_bytes(b"x" * 2_000_000)
    os.utime(old, (1, 1))
    (journal / "2.refused").write_text("a row")
    (journal / "3.damaged").write_bytes(b"taximeter journal 1\n")
    prices = tmp_path / "prices.yaml"
    prices.write_text("modles: {}\n")
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text("budgets: [{name: all, amount: 10}]\n")

    said = taximeter(
        "doctor",
        DATA_DIR=str(tmp_path / "data"),
        PORT=str(free_port()),
        OTLP_PORT=str(free_port()),
        PRICES=str(prices),
        BUDGETS=str(budgets),
        JOURNAL_MB="10",
    )

    assert said.returncode == 1
    assert "journal: 2.0 MB wait, the oldest for" in said.stdout
    assert "-> the store does not keep up" in said.stdout
    assert "set aside: 1 files of what can't be stored, like " in said.stdout
    assert "-> look at their lines, then delete them" in said.stdout
    assert "set aside: 1 files of the journal that were damaged, like " in said.stdout
    assert (
        "-> what could be read is stored: see the log for the rest, then delete them" in said.stdout
    )
    assert "wrong prices: " in said.stdout
    assert f"ok    files: as they are in {Path.cwd()}" in said.stdout
    assert f"ok    budgets: 1 in {budgets}" in said.stdout
    assert "wrong exporter path: nobody answers" in said.stdout
    assert "-> start it: taximeter serve" in said.stdout


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (
            200,
            {
                "checks": [
                    {"what": "service", "state": "its writer has stopped", "advice": "see it"}
                ]
            },
            "wrong service: its writer has stopped\n      -> see it",
        ),
        (401, {}, "-> give this command the service's TAXIMETER_SERVER_READ_TOKEN too"),
        (503, {"detail": "a database does not answer"}, "a database does not answer"),
    ],
)
def test_a_service_in_trouble_is_asked_what_it_knows(
    status: int, body: object, line: str, tmp_path: Path
) -> None:
    def checks(_request: Request) -> JSONResponse:
        return JSONResponse(body, status)

    with serving(Starlette(routes=[Route("/api/checks", checks)])) as address:
        port = address.rpartition(":")[2]
        said = taximeter("doctor", PORT=port, OTLP_PORT=str(free_port()), DATA_DIR=str(tmp_path))

    assert line in said.stdout
    assert ("ok    files: as they are" in said.stdout) == (status != 200)


def test_a_setting_that_is_not_understood_is_a_finding_too() -> None:
    said = taximeter("doctor", "--json", PROT="1")

    assert said.returncode == 1
    (finding,) = json.loads(said.stdout)
    assert finding["ok"] is False
    assert finding["what"] == "settings"
    assert "TAXIMETER_SERVER_PROT is not a setting" in finding["state"]
    assert finding["advice"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "budgets.yaml").write_text("budgets: [{name: all, amount: 10}]\n")
    more = {"JOURNAL_MB": "10"}
    one = Service(tmp_path, "http://127.0.0.1:9/slack", free_port(), free_port(), more)
    one.start()
    yield one
    one.kill()


def doctor(service: Service, *options: str, **apps: str) -> subprocess.CompletedProcess[str]:
    settings = {
        name.removeprefix("TAXIMETER_SERVER_"): value
        for name, value in service.environment.items()
        if name.startswith("TAXIMETER_SERVER_")
    }
    return taximeter("doctor", *options, **settings, **apps)


def test_all_is_well_where_calls_come_in(service: Service) -> None:
    assert "-> does the app's process have TAXIMETER_ENDPOINT set?" in doctor(service).stdout
    urllib3.request(
        "POST",
        f"http://127.0.0.1:{service.otlp_port}/v1/traces",
        body=request(span(start=datetime.now(UTC))).SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        timeout=60,
    )
    eventually("the call to be stored", lambda: "1 call" in doctor(service).stdout)

    said = doctor(service, TAXIMETER_ENDPOINT=f"http://127.0.0.1:{service.otlp_port}")

    assert said.returncode == 0, said.stdout
    for line in (
        "ok    store: ClickHouse 2",
        "ok    clock: agrees with the store's",
        "ok    parts and logs: no table has too many parts",
        f"ok    exporter path: spans arrive at http://127.0.0.1:{service.otlp_port}",
        "ok    TAXIMETER_ENDPOINT: spans arrive at",
        "ok    channel slack: in use",
    ):
        assert line in said.stdout


def test_health_and_doctor_say_the_same_of_what_is_wrong(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urllib3.request(
        "POST",
        f"http://127.0.0.1:{service.otlp_port}/v1/traces",
        body=request(span(start=datetime(2020, 1, 1, tzinfo=UTC))).SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        timeout=60,
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    said = json.loads(doctor(service, "--json").stdout)
    health = unescape(
        urllib3.request("GET", f"{service.page_url}/health", timeout=60).data.decode()
    )
    alerts = unescape(
        urllib3.request("GET", f"{service.page_url}/alerts", timeout=60).data.decode()
    )

    wrong = [one for one in said if one["advice"]]
    assert {"last 24 hours", "refused"} <= {one["what"] for one in wrong}
    assert [one["state"] for one in wrong if one["state"] not in health] == []
    assert f"{len(wrong)} things to look at" in health
    assert "1 span since the service's start:" in alerts
    # It asks the service, whose files are in another folder than this one.
    (budgets,) = (one["state"] for one in said if one["what"] == "budgets")
    assert budgets == f"1 in force, 1 in {tmp_path / 'budgets.yaml'}"
    (tmp_path / "budgets.yaml").write_text("budgets: [{name: all}]")
    assert f"wrong budgets: {tmp_path / 'budgets.yaml'}:1:" in doctor(service).stdout


def test_an_app_that_sends_to_the_page_is_told_the_port(service: Service) -> None:
    said = doctor(service, TAXIMETER_ENDPOINT=service.page_url)

    assert said.returncode == 1
    assert f"wrong TAXIMETER_ENDPOINT: {service.page_url} answers 404" in said.stdout
    assert "-> give the app the OTLP port" in said.stdout


def test_a_server_that_is_not_migrated_is_told_the_command(
    clickhouse: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    said = taximeter(
        "doctor", STORE=clickhouse[1], DATA_DIR=str(tmp_path), PORT="9", OTLP_PORT=str(free_port())
    )

    assert "lacks migrations: 0001_calls" in said.stdout
    assert "-> run taximeter migrate" in said.stdout
    assert "ok    store's disk default" in said.stdout


@pytest.mark.parametrize(
    ("fields", "what", "advice"),
    [
        ({"disks": (("default", 9, 100),)}, "store's disk default", "KEEP_DAYS"),
        ({"crowded": (("calls", "2026-11-16", 400),)}, "table calls", "more CPU"),
        ({"stuck": (("calls", "no space"),)}, "table calls", "kill mutation"),
        ({"broken": (("calls", 2),)}, "table calls", "restore them"),
        ({"read_only": ("calls",)}, "table calls", "Keeper"),
        ({"endless_logs": (("query_log", 10**9),)}, "ClickHouse's logs", "system-logs.xml"),
    ],
)
def test_what_is_wrong_with_the_engine_has_its_mend(
    fields: dict[str, object], what: str, advice: str
) -> None:
    sick = [one for one in findings_of(replace(WELL, **fields), is_server=True) if one.advice]  # type: ignore[arg-type]

    assert [one.what for one in sick] == [what]
    assert advice in sick[0].advice
    assert all(not one.advice for one in findings_of(WELL, is_server=True))


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (
            "no price for model 'gpt-7'",
            "give the rate in own.yaml, or upgrade to a book that has it",
        ),
        (
            "no price for gpt-5 in tier 'scale'",
            "give the rate in own.yaml, or upgrade to a book that has it",
        ),
        (
            "no prices for 'llm.internal'; prices.yaml can name them",
            "say in own.yaml who bills that host, or its rates",
        ),
        (
            "no entry for deployment 'prod' of Azure in prices.yaml",
            "name it under `deployments` in own.yaml",
        ),
    ],
)
def test_a_missing_price_is_mended_in_prices_yaml(reason: str, advice: str) -> None:
    (found,) = of_unpriced({reason: 2}, Path("own.yaml"))

    assert found.state == f"2 calls: {reason}"
    assert found.advice == f"{advice}, then taximeter reprice"


def test_usage_that_was_lost_is_mended_by_an_estimate() -> None:
    (found,) = of_unpriced({"the usage was lost": 2}, Path("prices.yaml"))

    assert found.advice == (
        "no price helps: OpenAI's answer told no usage, or never came; "
        "taximeter[estimate] in the app counts the tokens of most streams"
    )


@pytest.mark.parametrize(
    "reason",
    [
        "no price for model ''",
        "the usage was invalid",
        "absurd usage: a negative number of tokens",
        "how often the model searched the web was not told",
    ],
)
def test_usage_that_can_t_be_billed_is_mended_where_it_is_sent(reason: str) -> None:
    (found,) = of_unpriced({reason: 2}, Path("prices.yaml"))

    assert found.advice == (
        "no price helps: mend what their apps send; /calls?only=unpriced lists them"
    )


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "agrees with the store's"),
        (30, "agrees with the store's"),
        (31, "31 s ahead of the store's"),
        (-3600, "3,600 s behind the store's"),
    ],
)
def test_a_clock_that_differs_is_told_by_how_much(seconds: int, says: str) -> None:
    found = clock("the store's", NOON, NOON + timedelta(seconds=seconds))

    assert found.state == says
    assert bool(found.advice) == (abs(seconds) > 30)
