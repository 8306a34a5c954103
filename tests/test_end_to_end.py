"""What a user does, with real processes: an app, the service, a crash, the page and Slack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import clickhouse_connect
import pytest
import urllib3
from clickhouse_connect.driver.client import Client
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taximeter_api.demo.fake_openai import Answer, fake_openai, serving
from taximeter_api.demo.processes import free_port
from taximeter_api.demo.slack import fake_slack

T = TypeVar("T")

APP = Path(__file__).parent / "data" / "app.py"
PATIENCE_S = 180
SQL_TOKEN = "the-sql-token-of-30-characters"
SENTINEL = b"sentinel-text-that-stays-in-the-app"

ANSWERS = {
    "gpt-4o": Answer(input_tokens=1000, cached_tokens=400, output_tokens=100),
    "gpt-4o-mini": Answer(input_tokens=2000, output_tokens=500),
    "gpt-5": Answer(input_tokens=10_000, output_tokens=3000, reasoning_tokens=2500),
    "text-embedding-3-small": Answer(input_tokens=5000),
    "mystery-1": Answer(input_tokens=7, output_tokens=7),
}

# OpenAI's published prices in November 2026, USD per million tokens:
# gpt-4o 2.50 in, 1.25 cached, 10 out:        600 x 2.50 + 400 x 1.25 + 100 x 10 = $0.003
# gpt-4o-mini 0.15 in, 0.60 out:              2,000 x 0.15 + 500 x 0.60          = $0.0006
# gpt-5 1.25 in, 10 out (reasoning included): 10,000 x 1.25 + 3,000 x 10         = $0.0425
# text-embedding-3-small 0.02 in:             5,000 x 0.02                       = $0.0001
COSTS = {
    "app.answer_question": "0.003000000000",
    "app.tell_a_story": "0.000600000000",
    "app.review_code": "0.042500000000",
    "app.index_documents": "0.000100000000",
    "app.try_the_new_model": "0.000000000000",
    "app.ask_for_too_much": "0.000000000000",
}
TOTAL = "0.046200000000"

# 50 % of it is 0.045, 75 % is 0.0675.
BUDGETS = """\
budgets:
  - name: Everything
    amount: 0.09
    zone: UTC
"""


@dataclass
class Service:
    """The service as a process that can be killed and started again."""

    folder: Path
    slack_url: str
    page_port: int
    otlp_port: int
    more: dict[str, str] = field(default_factory=dict)
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, timeout=30)
    )
    process: subprocess.Popen[bytes] | None = None

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.page_port}"

    @property
    def environment(self) -> dict[str, str]:
        settings = {
            "PORT": str(self.page_port),
            "OTLP_PORT": str(self.otlp_port),
            "DATA_DIR": str(self.folder / "data"),
            "BUDGETS": str(self.folder / "budgets.yaml"),
            "PRICES": str(self.folder / "prices.yaml"),
            "SLACK_WEBHOOK_URL": self.slack_url,
            "TICK_SECONDS": "0.5",
            **self.more,
        }
        return clean_environment({f"TAXIMETER_SERVER_{k}": v for k, v in settings.items()})

    def start(self) -> None:
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "taximeter_api", "serve"],
                env=self.environment,
                stderr=log,
            )
        eventually("the service to be ready", self.is_ready)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "service.log").read_text()
        try:
            return self.http.request("GET", f"{self.page_url}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def reprice(self, *options: str) -> dict[str, Any]:
        """Run the command, which finds the service or the store by the same settings."""
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "taximeter_api",
                "reprice",
                "--from=2026-01-01",
                "--json",
                *options,
            ],
            env=self.environment,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        told: dict[str, Any] = json.loads(ended.stdout)
        return told

    def metrics(self) -> dict[str, float]:
        text = self.http.request("GET", f"{self.page_url}/metrics").data.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
        return {name: float(value) for name, _, value in lines}

    def spend(self, group_by: str = "") -> dict[str, Any]:
        fields = {"group_by": group_by}
        answer = self.http.request("GET", f"{self.page_url}/api/spend", fields=fields)
        assert answer.status == 200, answer.data
        spend: dict[str, Any] = answer.json()
        return spend


@contextmanager
def killed_after_its_answer(service: Service, seen: list[bytes]) -> Iterator[str]:
    """Stand between app and service; once the service has answered 200, kill it with -9."""

    async def forward(request: Request) -> Response:
        body = await request.body()
        seen.append(body)
        answer = await run_in_threadpool(
            service.http.request,
            "POST",
            f"http://127.0.0.1:{service.otlp_port}/v1/traces",
            body=body,
            headers={
                name: value
                for name, value in request.headers.items()
                if name in ("content-type", "content-encoding")
            },
        )
        assert answer.status == 200
        service.kill()
        return Response(answer.data, 200, media_type="application/x-protobuf")

    with serving(Starlette(routes=[Route("/v1/traces", forward, methods=["POST"])])) as url:
        yield url


def clean_environment(values: dict[str, str]) -> dict[str, str]:
    ours = ("TAXIMETER_", "OTEL_", "OPENAI_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**inherited, "NO_PROXY": "127.0.0.1", **values}


def eventually(what: str, ask: Callable[[], T]) -> T:
    end = time.monotonic() + PATIENCE_S
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.05)
    return answer


@pytest.fixture
def messages() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def service(tmp_path: Path, messages: list[dict[str, Any]]) -> Iterator[Service]:
    (tmp_path / "budgets.yaml").write_text(BUDGETS)
    (tmp_path / "prices.yaml").write_text("hosts: {127.0.0.1: openai}")
    with serving(fake_slack(messages)) as slack_url:
        webhook, more = f"{slack_url}/services/T/B/x", {"SQL_TOKEN": SQL_TOKEN}
        started = Service(tmp_path, webhook, free_port(), free_port(), more)
        started.start()
        yield started
        assert started.stop() == 0, (tmp_path / "service.log").read_text()


def run_app(otlp_url: str) -> None:
    """Run the app to its end, in one batch of spans."""
    with serving(fake_openai(decide)) as openai_url:
        environment = {
            "OPENAI_BASE_URL": f"{openai_url}/v1",
            "OPENAI_API_KEY": "sk-test",
            "TAXIMETER_ENDPOINT": otlp_url,
            "TAXIMETER_EXPORT_DELAY_MS": "60000",
        }
        subprocess.run(
            [Path(sys.executable).with_name("taximeter-instrument"), sys.executable, APP],
            env=clean_environment(environment),
            check=True,
            timeout=PATIENCE_S,
        )


def decide(_path: str, body: Any) -> Answer:
    return Answer(status=400) if body.get("max_tokens") == -1 else ANSWERS[body["model"]]


def page_text(url: str, screenshot: Path) -> str:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1200})
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.screenshot(path=screenshot, full_page=True)
        text = page.inner_text("body")
        browser.close()
    assert complaints == []
    return text


def sql_client(port: int) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=port,
        proxy_path="clickhouse",
        username="me",
        password=SQL_TOKEN,
    )


def test_a_connection_is_there_still_when_the_next_batch_is_due(service: Service) -> None:
    with closing(HTTPConnection("127.0.0.1", service.otlp_port, timeout=30)) as exporter:
        for pause_s in (0, 6):
            time.sleep(pause_s)
            exporter.request("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
            answer = exporter.getresponse()
            assert (answer.status, answer.read()) == (200, b"")


def test_a_call_goes_all_the_way_and_a_crash_loses_and_repeats_nothing(
    service: Service, messages: list[dict[str, Any]], tmp_path: Path
) -> None:
    sent: list[bytes] = []
    with killed_after_its_answer(service, sent) as otlp_url:
        run_app(otlp_url)
    assert len(sent) == 1

    service.start()

    eventually("six calls", lambda: service.spend()["total"]["calls"] == 6)
    by_feature = {row["feature"]: row for row in service.spend("feature")["rows"]}
    assert {name: row["cost"] for name, row in by_feature.items()} == COSTS
    assert by_feature["app.try_the_new_model"]["unpriced_calls"] == 1
    assert by_feature["app.ask_for_too_much"]["errors"] == 1
    total = service.spend()["total"]
    assert (total["cost"], total["cost_is_complete"]) == (TOTAL, False)
    assert {row["user"] for row in service.spend("user")["rows"]} == {"", "ada"}
    metrics = service.metrics()
    assert metrics['taximeter_calls_stored_total{decoded_by="python"}'] == 6
    assert metrics["taximeter_journal_bytes"] == metrics["taximeter_journal_age_seconds"] == 0

    eventually("a Slack message", lambda: messages)
    assert [message["text"] for message in messages] == [
        f"50% of budget “Everything / {time.strftime('%B %Y', time.gmtime())}” used: "
        "at least $0.0462 of $0.09."
    ]

    assert service.http.request("HEAD", f"{service.page_url}/calls").status == 200
    text = page_text(service.page_url, tmp_path / "page.png")
    assert "at least $0.0462" in text
    assert "app.review_code" in text
    assert "$0.0425" in text

    with closing(sql_client(service.page_port)) as client:
        calls, spent = client.query("select count(), sum(cost) from spend_of_calls").result_rows[0]
    assert (calls, spent) == (6, Decimal(TOTAL))

    service.kill()
    service.start()
    eventually("six calls", lambda: service.spend()["total"]["calls"] == 6)
    ticks_after_restart(service)
    assert len(messages) == 1

    (tmp_path / "prices.yaml").write_text("hosts: {127.0.0.1: openai}\ndiscounts: [{percent: 50}]")
    foretold = service.reprice("--dry-run")
    assert service.spend()["total"]["cost"] == TOTAL
    done = service.reprice()
    assert done["lines"] == foretold["lines"]
    assert Decimal(service.spend()["total"]["cost"]) == Decimal(TOTAL) / 2
    backup = service.http.request("POST", f"{service.page_url}/api/backup").json()
    assert (backup["calls"], Decimal(backup["cost"])) == (6, Decimal(TOTAL) / 2)
    assert Path(backup["path"]).stat().st_size == backup["bytes"]
    assert service.stop() == 0
    again = service.reprice()
    assert (again["total"]["calls"], again["total"]["changed"]) == (6, 0)
    service.start()
    ticks_after_restart(service)
    # Half of what was told is taken back, once.
    (correction,) = messages[1:]
    assert correction["text"].startswith("Spend of budget “Everything")
    assert not [body for body in sent if SENTINEL in body]


def ticks_after_restart(service: Service) -> None:
    """Wait until the budgets were evaluated several times since the start."""
    before = time.monotonic()
    eventually("some ticks", lambda: service.is_ready() and time.monotonic() - before > 2)
