"""`taximeter report`, asked of a service over HTTP."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from api.test_cli import taximeter
from builders import costing, unpriced
from taximeter_api.commands.report import sparks
from taximeter_api.demo.fake_openai import serving
from taximeter_api.routes import spend_api
from taximeter_collector.store import Store


@pytest.fixture
def port(store: Store) -> Iterator[str]:
    now = datetime.now(UTC)
    rows = [
        costing("6", ts=now, feature="chat"),
        costing("2", ts=now, feature="chat", error_type="x"),
        costing("0.000000000001", ts=now, feature="search"),
        unpriced(ts=now, feature="new"),
    ]
    store.add(rows, token=f"report-{now}", book_version="b", now=now)
    app = FastAPI()
    app.include_router(spend_api(store))
    with serving(app) as url:
        yield str(urlsplit(url).port)


def test_a_month_is_a_table_with_the_dearest_first(port: str) -> None:
    told = taximeter("report", PORT=port)

    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert "at least $8.00, 4 calls" in lines[0]
    chat = next(line for line in lines if "chat" in line)
    assert all(word in chat for word in ("$8.00", "100 %", "50.0%", "█"))
    assert "unknown" in next(line for line in lines if "new" in line)


def test_every_digit_is_in_json_and_csv(port: str) -> None:
    as_json = json.loads(taximeter("report", "--by", "feature", "--json", PORT=port).stdout)
    rows = list(csv.DictReader(taximeter("report", "--csv", PORT=port).stdout.splitlines()))

    assert [row["feature"] for row in as_json["rows"]] == ["chat", "search", "new"]
    assert {row["feature"]: Decimal(row["cost"]) for row in rows} == {
        "chat": Decimal(8),
        "search": Decimal("0.000000000001"),
        "new": Decimal(0),
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--by", "colour"), "--by=colour: give one of api_key"),
        (("--month", "soon"), "month='soon': give a month like 2026-11"),
        ((), "no service answers"),
    ],
)
def test_what_can_not_be_told_says_why(options: tuple[str, ...], says: str) -> None:
    refused = taximeter("report", *options, PORT="9")

    assert refused.returncode == 2
    assert says in " ".join(refused.stderr.replace("│", "").split())


def test_days_are_drawn_as_high_as_their_spend() -> None:
    first = date(2026, 1, 1)
    by_day = {(first + timedelta(days=day)).isoformat(): Decimal(day) for day in range(8)}

    assert sparks(by_day, first, date(2026, 1, 9)) == "▁▂▃▄▅▆▇█"
    assert sparks({}, first, date(2026, 1, 9)) == ""
