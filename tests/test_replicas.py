"""Two services on one ClickHouse server, as behind a balancer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from spans import request, span
from test_end_to_end import Service, eventually, free_port

BODIES = 12
CALLS_A_BODY = 40
REPORTED = {"taximeter.usage.source": "reported"}
# 1,000 tokens in at $2.50 and 100 out at $10 a million
USD_A_CALL = Decimal("0.0035")


@pytest.fixture
def services(
    tmp_path: Path, clickhouse: tuple[subprocess.Popen[bytes], str]
) -> Iterator[list[Service]]:
    started = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        more = {"STORE": clickhouse[1], "REFRESH_SECONDS": "0.5"}
        started.append(Service(folder, "", free_port(), free_port(), more))
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


def test_both_answer_with_every_call_once(services: list[Service]) -> None:
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
