from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import urllib3
from openai import OpenAI

from api.test_cli import taximeter
from taximeter_api.demo.books import ServedBooks
from taximeter_api.demo.fake_openai import fake_openai, serving
from taximeter_api.demo.processes import free_port
from taximeter_api.demo.run import _answering
from taximeter_api.demo.sample_app import OF_TWENTY, PAUSE_S, WORK
from test_end_to_end import eventually


def test_a_port_that_was_asked_for_is_not_exchanged_for_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        refused = taximeter("demo", "--once", PORT=port)

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"taximeter: TAXIMETER_SERVER_PORT={port}: it is taken")
    assert refused.stderr.count("\n") == 1


def test_a_free_port_is_given_to_nobody_else_before_it_is_used() -> None:
    port = free_port()

    # The kernel, when it chooses, asks what a socket that does not reuse addresses is asked here.
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)) as ours:
        assert ours.getsockname()[1] == port


def test_the_demo_takes_ports_and_the_token_for_sql() -> None:
    port, token = free_port(), "a token of sixteen"
    settings = {"PORT": port, "OTLP_PORT": free_port(), "SQL_TOKEN": token}
    variables = {f"TAXIMETER_SERVER_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "taximeter_api", "demo"]

    with subprocess.Popen(
        command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        try:
            answer = eventually("SQL to be answered", lambda: asked(port, token))
        finally:
            demo.terminate()

    assert answer == b"1\n"


def asked(port: int, token: str) -> bytes:
    try:
        answer = urllib3.request(
            "POST",
            f"http://127.0.0.1:{port}/clickhouse",
            body="select 1",
            headers={"Authorization": f"Bearer {token}"},
            retries=False,
        )
    except urllib3.exceptions.HTTPError:
        return b""
    return answer.data


def test_the_demo_shows_the_whole_way_and_checks_itself() -> None:
    shown = subprocess.run(
        [Path(sys.executable).with_name("taximeter"), "demo", "--once"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "60 through the real SDK" in shown.stdout
    assert "1 message: 50 %" in shown.stdout
    assert "50% of budget used: Everything" in shown.stdout
    assert "more: nightly-export was never metered" in shown.stdout
    assert shown.stderr == ""


def usd_of(books: ServedBooks) -> Decimal:
    return sum((Decimal(str(one["amount"]["value"])) for _, one in books.costs()), Decimal(0))


def test_an_hour_of_the_app_that_keeps_calling_costs_what_one_of_the_month_before_did() -> None:
    books = ServedBooks(datetime.now(UTC))
    before = usd_of(books)

    with serving(fake_openai(_answering(books), [])) as url:
        client = OpenAI(base_url=f"{url}/v1", api_key="sk-test")
        for feature, calls in OF_TWENTY.items():
            for _ in range(calls):
                WORK[feature](client)

    # Thirty days of some $230 in all, and twice as much in a working hour as in others.
    an_hour = (usd_of(books) - before) * Decimal(3600 / 20 / PAUSE_S)
    assert Decimal("0.30") < an_hour < Decimal("0.90")
