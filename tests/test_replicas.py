"""Two services on one ClickHouse server, as behind a balancer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spans import request, span
from taximeter_api.demo.fake_openai import serving
from taximeter_api.demo.slack import fake_slack
from test_end_to_end import Service, eventually, free_port

MANY = 5
BUDGETS = "budgets:\n" + "".join(
    f"  - {{name: B{number}, amount: 0.5, zone: UTC, thresholds: [100]}}\n"
    for number in range(MANY)
)
SEVERAL_TICKS_S = 3
BODIES = 12
CALLS_A_BODY = 40
REPORTED = {"taximeter.usage.source": "reported"}
# 1,000 tokens in at $2.50 and 100 out at $10 a million
USD_A_CALL = Decimal("0.0035")


@pytest.fixture
def messages() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def services(
    tmp_path: Path,
    clickhouse: tuple[subprocess.Popen[bytes], str],
    postgres_url: str,
    messages: list[dict[str, Any]],
) -> Iterator[list[Service]]:
    started = []
    more = {"STORE": clickhouse[1], "STATE": postgres_url, "REFRESH_SECONDS": "0.5"}
    with serving(fake_slack(messages)) as slack_url:
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "budgets.yaml").write_text(BUDGETS)
            slack = f"{slack_url}/services/T/B/x"
            started.append(Service(folder, slack, free_port(), free_port(), more))
            started[-1].start()
        yield started
        for one in started:
            assert one.stop() == 0, (one.folder / "service.log").read_text()


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
