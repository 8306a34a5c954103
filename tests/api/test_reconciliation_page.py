from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from html import unescape

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from bills import NOW, charge, compared, own, used
from taximeter_analysis.bill import Charge
from taximeter_analysis.reconcile import Revision, revisions
from taximeter_api.page import format as fmt
from taximeter_api.reconciliation import drawn, reconciliation_page
from taximeter_api.refusals import refusals
from taximeter_collector.store import Store
from taximeter_collector.store.reconciliations import Reconciliation

MINUS = "\N{MINUS SIGN}"


def text(one: Reconciliation | None, revised: list[Revision] | None = None) -> str:
    html = drawn(one, revised or [], NOW + timedelta(seconds=8))
    assert "<script" not in html
    body = html.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", "", body)).split())


def sample(*charges: Charge) -> Reconciliation:
    return compared(
        [charge("2.50"), *charges],
        [used({"input": 1_000_000}, requests=4)],
        [own({"input": "1.875"}, {"input": 750_000}, calls=3)],
    )


def test_the_page_says_how_much_why_where_and_when() -> None:
    words = text(sample(charge("4", key="key_old")))

    for line in (
        "OpenAI bills more than was metered $4.63",
        "billed by OpenAI $6.50 metered by Taximeter $1.88",
        "Calls we never saw laptop (…k7Qz): no call was seen +$4.00",
        "Calls we never saw web (…wxyz): some of its calls +$0.63",
        "Difference +$4.63",
        "gpt-4o, input Shop web (…wxyz) $2.50 $1.88 +$0.63",
        "3 Nov $6.50 $1.88 +$4.63",
        "3 Nov 09:00 web (…wxyz) gpt-4o default 4 3 1.0M 750k",
        "Read 8 s ago",
    ):
        assert line in words


def test_our_calls_of_an_hour_and_key_have_no_link_as_no_address_can_say_them() -> None:
    html = drawn(sample(), [], NOW)

    of_month = "/calls?provider=openai&amp;from=2026-11-01&amp;to=2026-12-01"
    assert re.findall('href="(/calls[^"]+)"', html) == [
        of_month,
        f"{of_month}&amp;only=unpriced",
        "/calls?provider=openai&amp;from=2026-11-03&amp;to=2026-11-04",
    ]


def test_what_was_metered_is_at_least_when_a_call_has_no_price() -> None:
    one = compared(
        [charge("2.50"), charge("2", "gpt-4o, output"), charge("0.5", "web search tool calls")],
        [],
        [
            own({"input": "1"}),
            own({}, {"input": 5}, {"input": 5}, unpriced_calls=2),
            own({"web search": "0.25"}, {"web search": 1}),
        ],
    )

    words = text(one)
    for line in (
        "metered by Taximeter at least $1.25 calls without a price 2",
        "gpt-4o, input Shop web (…wxyz) $2.50 at least $1.00 at most +$1.50",
        "gpt-4o, output Shop web (…wxyz) $2.00 unknown at most +$2.00",
        "web search Shop web (…wxyz) $0.50 $0.25 +$0.25",
        "3 Nov $5.00 at least $1.25 at most +$3.75",
    ):
        assert line in words


def test_what_is_not_known_is_empty_in_a_file_and_counted(store: Store) -> None:
    lost = own(unpriced_calls=3)
    store.keep_reconciliation(compared([charge("2"), charge("1", "storage")], [], [lost]))
    app = FastAPI()
    app.include_router(reconciliation_page(store))
    client = TestClient(app)

    lines, days = (
        list(csv.DictReader(client.get(f"/reconciliation?csv={name}").text.splitlines()))
        for name in ("lines", "days")
    )

    assert [(one["item"], one["metered"], one["unpriced_calls"]) for one in lines] == [
        ("gpt-4o, input", "", "3"),
        ("storage", "0.000000000000", "0"),
    ]
    assert [(day["metered"], day["unpriced_calls"]) for day in days] == [("", "3")]


@pytest.mark.parametrize(
    ("metered", "words"),
    [
        ("2.50", "The bill and the meter agree $0 "),
        ("4.50", "Metered more than OpenAI bills $2.00 "),
    ],
)
def test_the_page_says_which_side_is_larger(metered: str, words: str) -> None:
    same = {"input": 1_000_000}

    assert words in text(compared([charge("2.50")], [used(same)], [own({"input": metered}, same)]))


def test_days_that_are_not_final_and_days_that_were_revised_are_marked() -> None:
    runs = [sample(charge("1")), sample()]
    late = compared([charge("1", day=NOW.date())], [], [])

    assert "16 Nov not final $1.00 $0 +$1.00" in text(late)
    assert "OpenAI revised past days: 3 November from $2.50 to $3.50." in text(
        runs[0], revisions(runs)
    )


def test_before_the_first_reconciliation_the_page_says_how_to_make_one() -> None:
    assert "Nothing is reconciled yet." in text(None)
    assert "taximeter reconcile" in text(None)


def test_names_from_the_account_are_only_text() -> None:
    one = compared([charge("1", "<script>alert(1)</script>")], [], [])

    assert "<script>alert(1)</script>" in text(one)


def test_a_difference_is_told_with_its_direction() -> None:
    amounts = [own({"input": usd}).costs[0] for usd in ("1.5", "-1.5", "0", "-0.00001")]

    assert [fmt.signed(usd) for usd in amounts] == [
        "+$1.50",
        f"{MINUS}$1.50",
        "$0",
        "<$0.0001",
    ]


def test_before_the_first_reconciliation_there_is_no_file(store: Store) -> None:
    app = FastAPI()
    app.include_router(reconciliation_page(store))

    answer = TestClient(app).get("/reconciliation?csv=lines")

    assert answer.status_code == 404
    assert "taximeter reconcile" in answer.json()["detail"]


def test_a_month_without_a_bill_says_which_months_have_one(store: Store) -> None:
    for month in (1, 10, 11):
        store.keep_reconciliation(replace(sample(), month=date(2026, month, 1)))
    app = FastAPI()
    refusals(app)
    app.include_router(reconciliation_page(store))

    answer = TestClient(app).get("/reconciliation?month=1999-01", headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert (
        "month=1999-01: it is not reconciled yet, unlike 2026-11, 2026-10, 2026-01" in answer.text
    )


def test_each_table_can_be_taken_along_with_every_digit(store: Store) -> None:
    one = sample(charge("4", key="key_old"))
    store.keep_reconciliation(one)
    app = FastAPI()
    app.include_router(reconciliation_page(store))
    client = TestClient(app)

    page = client.get("/reconciliation").text
    links = [unescape(link) for link in re.findall(r'href="(/reconciliation[^"]+csv=[^"]+)"', page)]
    tables = {link.rpartition("=")[2]: client.get(link).text for link in links}

    rows = {name: list(csv.DictReader(table.splitlines())) for name, table in tables.items()}
    assert {name: len(some) for name, some in rows.items()} == {
        "causes": len(one.causes),
        "lines": len(one.lines),
        "days": len(one.days),
        "hours": len(one.gaps),
    }
    billed = [Decimal(line["billed"]) for line in rows["lines"]]
    assert billed == [line.billed for line in one.lines]
    assert client.get("/reconciliation?csv=nothing").status_code == 422
