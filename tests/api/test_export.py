"""Spend as a file in the columns of FOCUS 1.2."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from builders import NOON, call
from taximeter_api.demo.fake_openai import serving
from taximeter_api.export import export_api
from taximeter_collector.calls import Call, CostStatus, Priced
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Period, Store
from taximeter_collector.store.connection import READERS

PERIOD = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}
CALLS = [
    # 600 x 2.50 + 400 x 1.25 + 100 x 10
    call(usage={"cached_input_tokens": 400}, team="web", project="proj_1"),
    call(usage={"cached_input_tokens": 400}, team="web", project="proj_1"),
    # 1,000 x 2.50 + 100 x 20
    call(model="gpt-5", service_tier="priority", feature="chat"),
    # 1,000 x 0.625 + 100 x 5
    call(model="gpt-5", batch=True, ts=NOON + timedelta(days=1)),
    # 100 x 2.50 + 900 x 40 + 50 x 10 + 50 x 80
    call(
        model="gpt-4o-audio-preview-2025-06-03",
        usage={"audio_input_tokens": 900, "audio_output_tokens": 50},
    ),
    # 95.5 seconds at 0.0001
    call(
        model="whisper-1",
        input_tokens=0,
        output_tokens=0,
        usage={"meters": {"seconds": Decimal("95.5")}},
    ),
    # 1,000 x 1.25 + 100 x 10 + 2 searches at 10 a thousand
    call(model="gpt-5", usage={"meters": {"web_searches": Decimal(2)}}),
    call(model="mystery-1"),
    call(http_status=429),
]


def add(store: Store, calls: list[Call]) -> None:
    rows = [(one, PriceBook.shipped().priced(one)) for one in calls]
    store.add(rows, token=f"export-{id(rows)}", book_version="b", now=NOON)


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(export_api(store))
    with TestClient(app) as opened:
        yield opened


def rows(client: TestClient, **filters: str) -> list[dict[str, str]]:
    answer = client.get("/api/export/focus", params={**NOVEMBER, **filters})
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_rows_sum_to_the_spend_and_name_what_was_billed(store: Store, client: TestClient) -> None:
    add(store, CALLS)

    found = rows(client)

    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal("0.084175")
    lines = {
        (row["ChargeDescription"], row["ConsumedQuantity"], row["ConsumedUnit"], row["BilledCost"])
        for row in found
    }
    assert lines == {
        ("gpt-4o input", "1200", "Tokens", "0.003"),
        ("gpt-4o cached input", "800", "Tokens", "0.001"),
        ("gpt-4o output", "200", "Tokens", "0.002"),
        ("gpt-5 input, priority", "1000", "Tokens", "0.0025"),
        ("gpt-5 output, priority", "100", "Tokens", "0.002"),
        ("gpt-5 input, batch", "1000", "Tokens", "0.000625"),
        ("gpt-5 output, batch", "100", "Tokens", "0.0005"),
        ("gpt-4o-audio-preview-2025-06-03 input", "100", "Tokens", "0.00025"),
        ("gpt-4o-audio-preview-2025-06-03 output", "50", "Tokens", "0.0005"),
        ("gpt-4o-audio-preview-2025-06-03 audio input", "900", "Tokens", "0.036"),
        ("gpt-4o-audio-preview-2025-06-03 audio output", "50", "Tokens", "0.004"),
        ("whisper-1 seconds", "95.5", "Seconds", "0.00955"),
        ("gpt-5 input", "1000", "Tokens", "0.00125"),
        ("gpt-5 output", "100", "Tokens", "0.001"),
        ("gpt-5 web searches", "2", "Web Searches", "0.02"),
    }
    assert store.spend(PERIOD)[0].cost == Decimal("0.084175")


def test_a_row_says_when_who_and_for_what(store: Store, client: TestClient) -> None:
    add(store, CALLS[:2])

    row = rows(client)[0]

    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (
        "2026-11-16T00:00:00Z",
        "2026-11-17T00:00:00Z",
    )
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
    )
    assert json.loads(row["Tags"]) == {"feature": "search", "team": "web"}
    assert (row["ProviderName"], row["SubAccountId"], row["InvoiceId"]) == ("OpenAI", "proj_1", "")
    assert row["SkuPriceId"] == "gpt-4o/default/2024-10-02/cached_input"
    assert row["ListCost"] == row["EffectiveCost"] == row["BilledCost"]


def test_calls_without_a_price_are_left_out_and_counted(store: Store, client: TestClient) -> None:
    add(store, [call(model="mystery-1"), call()])

    answer = client.get("/api/export/focus", params=NOVEMBER)

    assert answer.headers["X-Taximeter-Unpriced-Calls"] == "1"
    assert "mystery-1" not in answer.text


def test_who_takes_no_more_of_a_file_keeps_nobody_from_the_store(store: Store) -> None:
    add(store, [call(feature=f"feature {number}") for number in range(8_000)])
    app = FastAPI()
    app.include_router(export_api(store))
    with serving(app) as url, ExitStack() as left:
        for _ in range(READERS + 1):
            taker = left.enter_context(socket.socket())
            # So that most of the file has no room on its way.
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            taker.connect(("127.0.0.1", urlsplit(url).port))
            words = urlencode(NOVEMBER)
            taker.send(f"GET /api/export/focus?{words} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert taker.recv(12) == b"HTTP/1.1 200"

        assert store.spend(PERIOD)[0].calls == 8_000


def test_a_dimension_narrows_the_file(store: Store, client: TestClient) -> None:
    add(store, CALLS)

    found = rows(client, feature="chat")

    assert {row["x_Model"] for row in found} == {"gpt-5"}
    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal("0.0045")


def test_what_an_older_program_left_without_parts_is_there_too(
    store: Store, client: TestClient
) -> None:
    priced = Priced(status=CostStatus.EXACT, usd=Decimal("0.5"))
    store.add([(call(), priced)], token="older", book_version="b", now=NOON)

    (row,) = rows(client)

    assert (row["SkuMeter"], row["BilledCost"], row["ConsumedUnit"]) == ("other", "0.5", "Calls")


def test_parquet_holds_the_same_with_its_types(
    store: Store, client: TestClient, tmp_path: Path
) -> None:
    add(store, CALLS)
    path = tmp_path / "focus.parquet"

    path.write_bytes(
        client.get("/api/export/focus", params={**NOVEMBER, "format": "parquet"}).content
    )

    read = store._connection.read
    (total,) = read(f"select sum(BilledCost) from file('{path}', 'Parquet')").result_rows
    assert total == (Decimal("0.084175"),)
    described = read(f"describe file('{path}', 'Parquet')").result_rows
    types = {name: kind for name, kind, *_ in described}
    assert "Decimal(38, 12)" in types["BilledCost"]
    assert "DateTime" in types["ChargePeriodStart"]
    assert len(types) == len(rows(client)[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("from=soon", "from='soon': give an ISO date"),
        ("from=2026-11-01T12:00Z", "from=2026-11-01T12:00:00+00:00: give a UTC day"),
        ("from=2026-11-02&to=2026-11-01", "from=2026-11-02: give a day before to=2026-11-01"),
        ("from=2026-11-01&modle=x", "filter='modle': give some of feature, team"),
        ("from=2026-11-01&format=xlsx", "'csv' or 'parquet'"),
        ("", "Field required"),
    ],
)
def test_a_bad_question_is_answered_with_what_to_give(
    client: TestClient, words: str, message: str
) -> None:
    answer = client.get(f"/api/export/focus?{words}")

    assert answer.status_code == 422
    assert message in str(answer.json()["detail"])


PREPARED = """
import sys
from contextlib import closing
from taximeter_collector.store import Store
from test_export import CALLS, add
with closing(Store(sys.argv[1])) as store:
    add(store, CALLS)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a store by the command, without a service, as both kinds of file."""
    folder = tmp_path_factory.mktemp("export")
    here = Path(__file__).parent
    paths = {"PYTHONPATH": f"{here}:{here.parent}"}
    url = f"chdb://{folder / 'store'}"
    subprocess.run(
        [sys.executable, "-c", PREPARED, url], env={**os.environ, **paths}, check=True, timeout=60
    )
    for form in ("csv", "parquet"):
        ended = export_to(folder, f"focus.{form}", f"--format={form}")
        assert ended.stderr == "left out: 1 call without a known price\n"
    return folder


def export_to(folder: Path, out: str, *options: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "TAXIMETER_SERVER_STORE": f"chdb://{folder / 'store'}",
        "TAXIMETER_SERVER_PORT": "1",
    }
    days = ("--from=2026-11-01", "--to=2026-12-01")
    return subprocess.run(
        [sys.executable, "-m", "taximeter_api", "export", *days, *options, f"--out={out}"],
        env={**os.environ, **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_writes_files(exported: Path) -> None:
    with (exported / "focus.csv").open() as file:
        costs = [Decimal(row["BilledCost"]) for row in csv.DictReader(file)]

    assert sum(costs) == Decimal("0.084175")
    assert (exported / "focus.parquet").read_bytes()[:4] == b"PAR1"
    assert not list(exported.glob("*.part"))


def test_what_is_no_file_stays_what_it_is(exported: Path) -> None:
    target = exported / "target.csv"
    link, pipe = exported / "link.csv", exported / "pipe"
    target.write_text("before")
    link.symlink_to(target)
    os.mkfifo(pipe)
    reading = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)

    by_link = export_to(exported, "link.csv")
    by_pipe = export_to(exported, "pipe")
    read, _ = reading.communicate(timeout=60)
    into_folder = export_to(exported, ".")

    content = (exported / "focus.csv").read_bytes()
    assert (by_link.returncode, by_pipe.returncode) == (0, 0)
    assert link.is_symlink()
    assert target.read_bytes() == content
    assert pipe.is_fifo()
    assert read == content
    assert into_folder.returncode == 2
    assert into_folder.stderr == "taximeter: --out=.: Is a directory\n"


VALIDATOR = ("focus-validator==2.2.1", "pyarrow<20")
NOT_OURS = {
    # InvoiceId-C-004 and -005 contradict each other where no invoice is known.
    "InvoiceId-C-005-C",
    # They ask for CommitmentDiscountStatus, which only providers with commitments have.
    "ConsumedQuantity-C-000-C",
    "ConsumedQuantity-C-003-C",
    "ConsumedQuantity-C-004-C",
    "ConsumedQuantity-C-005-C",
    "ConsumedQuantity-C-006-C",
}


@pytest.mark.matrix
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_validator_of_focus_finds_nothing_else(
    exported: Path, form: str, tmp_path: Path
) -> None:
    uv = Path(sys.executable).with_name("uv")
    python = subprocess.run(
        [uv, "python", "find", "--no-python-downloads", "3.12"], capture_output=True, text=True
    )
    if python.returncode:
        pytest.skip("focus-validator needs Python 3.12, which is not here")
    environment = tmp_path / "validator"
    subprocess.run(
        [uv, "venv", "--quiet", "--python", python.stdout.strip(), environment], check=True
    )
    at = f"--python={environment / 'bin/python'}"
    subprocess.run([uv, "pip", "install", "--quiet", at, *VALIDATOR], check=True)
    (rules,) = environment.glob("lib/python*/site-packages")

    ended = subprocess.run(
        [
            environment / "bin/focus-validator",
            f"--data-file={exported / f'focus.{form}'}",
            "--validate-version=1.2.0.1",
            "--focus-dataset=CostAndUsage",
            "--block-download",
            "--applicability-criteria=SUB_ACCOUNT_SUPPORTED,TAGGING_SUPPORTED,USAGE_MEASUREMENT_SUPPORTED",
        ],
        cwd=rules,  # it looks for its own files where it is started
        capture_output=True,
        text=True,
        timeout=300,
    )

    # It exits with 0 whatever it finds.
    assert re.search(r"Total: \d+ \| Pass: [1-9]\d*", ended.stdout), ended.stdout + ended.stderr
    failed = set(re.findall(r"^❌ ([\w-]+): FAIL", ended.stdout, re.MULTILINE))
    assert failed <= NOT_OURS
