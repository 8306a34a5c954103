"""Two services on one ClickHouse server, as behind a balancer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from receivers import Receiver, listening
from spans import request, span
from taximeter_api.demo.fake_openai import serving
from taximeter_api.demo.processes import free_port
from taximeter_api.demo.slack import fake_slack
from test_end_to_end import Service, eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MANY = 5
BUDGETS = "budgets:\n" + "".join(
    f"  - {{name: B{number}, amount: 0.5, zone: UTC, thresholds: [100]}}\n"
    for number in range(MANY)
)
SEVERAL_TICKS_S = 3
BODIES = 12
CALLS_A_BODY = 500
REPORTED = {"taximeter.usage.source": "reported"}
# 1,000 tokens in at $2.50 and 100 out at $10 a million
USD_A_CALL = Decimal("0.0035")


@pytest.fixture
def messages() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def shared(clickhouse: tuple[subprocess.Popen[bytes], str], postgres_url: str) -> dict[str, str]:
    """Give the settings that replicas share."""
    return {"STORE": clickhouse[1], "STATE": postgres_url, "REFRESH_SECONDS": "0.5"}


@contextmanager
def running(
    count: int, budgets: str, slack_url: str, folder: Path, more: dict[str, str]
) -> Iterator[list[Service]]:
    started: list[Service] = []
    try:
        for number in range(count):
            place = folder / str(number)
            place.mkdir()
            (place / "budgets.yaml").write_text(budgets)
            started.append(Service(place, slack_url, free_port(), free_port(), more))
            started[-1].start()
        yield started
        for one in started:
            assert one.stop() == 0, (one.folder / "service.log").read_text()
    finally:
        # Also after a test that failed: what is left would be the failure of another one.
        for one in started:
            one.kill()


@pytest.fixture
def services(
    tmp_path: Path, shared: dict[str, str], messages: list[dict[str, Any]]
) -> Iterator[list[Service]]:
    with (
        serving(fake_slack(messages)) as slack_url,
        running(2, BUDGETS, f"{slack_url}/services/T/B/x", tmp_path, shared) as started,
    ):
        yield started


def body(number: int) -> bytes:
    calls = (
        span(
            {
                "gen_ai.response.id": f"chatcmpl-{number}-{one}",
                "taximeter.usage.source": "reported",
            },
            start=datetime.now(UTC),
            span_id=number * CALLS_A_BODY + one + 1,
        )
        for one in range(CALLS_A_BODY)
    )
    return request(*calls, scope="taximeter").SerializeToString()


def send(service: Service, content: bytes) -> None:
    answer = service.http.request(
        "POST",
        f"http://127.0.0.1:{service.otlp_port}/v1/traces",
        body=content,
        headers={"content-type": "application/x-protobuf"},
    )
    assert answer.status == 200


def test_both_answer_with_every_call_once_and_each_alert_is_sent_once(
    services: list[Service], messages: list[dict[str, Any]]
) -> None:
    for number in range(BODIES):
        content = body(number)
        send(services[number % 2], content)
        if number % 3 == 0:
            # An answer was lost, and the balancer brings the same to the other one.
            send(services[(number + 1) % 2], content)
        if number == BODIES // 2:
            services[0].kill()
            services[0].start()

    calls = BODIES * CALLS_A_BODY
    for one in services:
        eventually("every call", lambda one=one: one.spend()["total"]["calls"] == calls)  # type: ignore[misc]
    for one in services:
        total = one.spend()["total"]
        assert (total["calls"], total["unpriced_calls"]) == (calls, 0)
        assert Decimal(total["cost"]) == calls * USD_A_CALL
        assert one.metrics()['taximeter_calls_stored_total{decoded_by="engine"}'] > 0
    eventually("every alert", lambda: len(messages) >= MANY)
    time.sleep(SEVERAL_TICKS_S)
    # Whichever threshold a tick saw first, the last one of each budget is told once.
    last = [message["text"] for message in messages if message["text"].startswith("100%")]
    assert len(last) == len(set(last)) == MANY
    assert len({message["text"] for message in messages}) == len(messages)


A_THOUSAND = 1_000


@pytest.mark.parametrize("replicas", [2, 4])
def test_a_thousand_budgets_that_cross_at_once_are_told_once_each_by_any_number_of_replicas(
    tmp_path: Path, shared: dict[str, str], replicas: int
) -> None:
    budgets = "budgets:\n" + "".join(
        f"  - {{name: B{number}, amount: 0.1, thresholds: [100], channels: [webhook]}}\n"
        for number in range(A_THOUSAND)
    )
    with listening(Receiver()) as receiver:
        more = shared | {"WEBHOOK_URL": f"{receiver.url}/hook", "WEBHOOK_SECRET": SECRET}

        def told() -> list[str]:
            contents = [one.content for one in receiver.arrived]
            several = [one["data"].get("alerts", [one["data"]]) for one in contents]
            return [alert["budget"] for alerts in several for alert in alerts]

        with running(replicas, budgets, f"{receiver.url}/none", tmp_path, more) as started:
            send(started[0], body(0))
            eventually("every alert", lambda: len(told()) >= A_THOUSAND)
            time.sleep(SEVERAL_TICKS_S)
            assert sorted(told()) == sorted(f"B{number}" for number in range(A_THOUSAND))
            log = started[-1].http.request("GET", f"{started[-1].page_url}/api/alerts").json()
            assert {one["state"] for one in log["deliveries"]} == {"sent"}
