"""Pages that refresh themselves, as HTTP sees them; test_browser.py sees them at work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest
import urllib3
from fastapi import FastAPI
from starlette.testclient import TestClient

from builders import budget, costing
from overview_sample import TAKEN_AT, sample_overview
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.register import Register
from taximeter_alerts.state import State
from taximeter_api.demo.fake_openai import serving
from taximeter_api.explore import explore_pages
from taximeter_api.kept import Kept
from taximeter_api.live import Heads, script, tag_of
from taximeter_api.page import render
from taximeter_api.page.environment import VERSION
from taximeter_api.routes import page
from taximeter_api.snapshot import Snapshots, overview
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Store

HOUR = timedelta(hours=1)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    opened.close()


@pytest.fixture
def register(state: State, tmp_path: Path) -> Register:
    return Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)


@pytest.fixture
def client(store: Store, state: State, register: Register) -> TestClient:
    app = FastAPI()
    snapshots = Snapshots(Kept(cheap_s=0), store, state, register.in_force, PriceBook.shipped)
    app.include_router(page(snapshots, otlp_url="http://127.0.0.1:4318"))
    app.include_router(explore_pages(store, Kept(cheap_s=60)))
    app.include_router(script())
    app.add_middleware(Heads)
    return TestClient(app)


def spend(store: Store, usd: str, ts: datetime | None = None) -> None:
    now = datetime.now(UTC)
    store.add([costing(usd, ts=ts or now)], token=f"live-{now}", book_version="b", now=now)


@pytest.mark.parametrize("path", ["/", "/features?span=7d", f"/live.js?{VERSION}"])
def test_of_whatever_is_read_the_head_may_be_asked_for(client: TestClient, path: str) -> None:
    whole = client.get(path)

    with serving(client.app) as address:
        answer = urllib3.request("HEAD", address + path, headers={"Accept-Encoding": "gzip"})

    assert (answer.status, answer.data) == (200, b"")
    assert answer.headers.get("ETag") == whole.headers.get("ETag")


@pytest.mark.parametrize("path", ["/", "/features?span=7d"])
def test_a_page_that_the_reader_has_is_not_sent_again(
    client: TestClient, store: Store, path: str
) -> None:
    spend(store, "1")
    first = client.get(path)
    tag = first.headers["ETag"]

    again = client.get(path, headers={"If-None-Match": tag})
    other = client.get(path, headers={"If-None-Match": 'W/"other"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag
    assert (other.status_code, other.headers["ETag"]) == (200, tag)
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


def test_a_page_is_packed_for_who_takes_it_so(client: TestClient, store: Store) -> None:
    spend(store, "1")

    packed, plain = (
        client.get("/features?span=7d", headers={"Accept-Encoding": coding})
        for coding in ("gzip, br", "identity")
    )

    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(packed.content) / 2
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert "$1.00" in packed.text


def test_a_page_with_a_new_call_has_a_new_tag(client: TestClient, store: Store) -> None:
    spend(store, "1")
    tag = client.get("/features?span=7d").headers["ETag"]

    spend(store, "2")

    changed = client.get("/features?span=7d", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert "$3.00" in changed.text


def test_the_last_call_is_that_of_now_and_not_of_when_the_overview_was_taken(
    client: TestClient, store: Store
) -> None:
    now = datetime.now(UTC)
    spend(store, "1", ts=now - HOUR)
    before = client.get("/")

    spend(store, "2", ts=now)

    after = client.get("/", headers={"If-None-Match": before.headers["ETag"]})
    lasts = [
        re.findall('Last call <time datetime="([^"]+)"', page.text) for page in (before, after)
    ]
    assert lasts == [[one.isoformat(timespec="seconds")] for one in (now - HOUR, now)]


@pytest.mark.parametrize("words", ["month=2026-10", "feature=chat&span=7d", "x="])
def test_the_overview_takes_no_words_and_says_which_pages_do(
    client: TestClient, words: str
) -> None:
    refused = client.get(f"/?{words}")

    assert refused.status_code == 422
    assert "/features and /calls take from, to, span" in refused.json()["detail"]


def test_the_first_call_is_told_at_once(client: TestClient, store: Store) -> None:
    assert "It has not seen a call yet" in client.get("/").text

    spend(store, "1")

    assert "$1.00" in client.get("/").text


def test_the_overview_knows_of_a_budget_s_change_at_once_whoever_made_it(
    client: TestClient, store: Store, state: State, register: Register, tmp_path: Path
) -> None:
    spend(store, "1")
    other_service = Register(LiveFile(tmp_path / "none.yaml", read_budgets), state)
    soon = datetime.now(UTC) + HOUR
    changes: list[Callable[[], object]] = [
        lambda: register.put(budget("7"), "ada", soon),
        lambda: other_service.put(budget("8"), "ada", soon),
        lambda: register.put(budget("8", raised={"to": "9", "until": soon}), "ada", soon),
        lambda: register.put(budget("8", paused=True), "ada", soon),
        lambda: register.put(budget("8"), "ada", soon),
        lambda: register.delete("search", "ada", soon),
        lambda: (tmp_path / "budgets.yaml").write_text("budgets: [{name: A, amount: 6}]"),
    ]
    told = [re.findall(r"of \$(\d+) budget", client.get("/").text)]
    for change in changes:
        change()
        told.append(re.findall(r"of \$(\d+) budget", client.get("/").text))

    assert told == [[], ["7"], ["8"], ["9"], [], ["8"], [], ["6"]]


def test_the_week_of_the_overview_is_that_of_the_page_it_leads_to(
    client: TestClient, store: Store
) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for usd, days_ago in (("50", 0), ("6", 1), ("1", 7), ("2", 8), ("0.5", 14), ("9", 20)):
        spend(store, usd, ts=midnight - timedelta(days=days_ago))

    page = client.get("/").text

    assert "$4.50 more in the last 7 whole days. 2 calls after 2" in page
    weeks = {unescape(link) for link in re.findall(r'href="(/features\?feature[^"]+)"', page)}
    (link,) = weeks
    for said in ("$7.00 · 2 calls", "+180 %"):
        assert said in client.get(link).text
    assert page.count("+180 %") == 1


@pytest.mark.parametrize(
    ("amounts", "limit"),
    [
        (["1000000000", "500"], "500"),
        (["1000000000", "40", "20", "0"], "40"),
        (["0"], "0"),
    ],
)
def test_the_month_is_told_against_the_budget_that_was_used_up_last_or_will_be_next(
    store: Store, state: State, amounts: list[str], limit: str
) -> None:
    spend(store, "50")
    now = datetime.now(UTC)
    budgets = [budget(amount, name=f"of {amount}") for amount in amounts]
    others = [
        budget("1", name="search", scope={"feature": "search"}),
        budget("1", name="each", each="user"),
        budget("1", name="day", period="day"),
    ]

    taken = overview(store, state, [*budgets, *others], now, "b")

    assert taken.burn_up.budget is not None
    assert taken.burn_up.budget.limit == Decimal(limit)
    assert f"${limit} budget" in render(taken, now=now)


def test_the_overview_s_budgets_lead_to_their_calls(store: Store, state: State) -> None:
    budgets = [
        budget("2", name="search", scope={"feature": "search"}),
        budget("1", name="rest", scope={"feature": {"not": "search"}}),
    ]

    taken = overview(store, state, budgets, TAKEN_AT, "b")

    ends = "from=2026-11-01T00%3A00%3A00%2B00%3A00&to=2026-12-01T00%3A00%3A00%2B00%3A00"
    assert {one.name: one.calls for one in taken.budgets} == {
        "search": f"?{ends}&feature=search",
        "rest": "",
    }


def test_a_month_whose_burst_may_pass_the_budget_is_not_told_in_green(
    store: Store, state: State
) -> None:
    for day in range(40):
        spend(store, "1", TAKEN_AT - day * timedelta(days=1) - 5 * HOUR)
    quiet = overview(store, state, [budget("200")], TAKEN_AT, "b")
    for hour in (1, 2, 3):
        spend(store, "5", TAKEN_AT - hour * HOUR)
    loud = overview(store, state, [budget("200")], TAKEN_AT, "b")

    before, after = (render(one, now=TAKEN_AT) for one in (quiet, loud))

    assert '<strong class="under">' in before
    assert '<strong class="under">' not in after
    # 72 hours more of $5 are $360; the month until now is $37, its rest $8.56.
    assert "under budget, but it may reach <strong>$406</strong>" in after


def test_an_overview_that_is_not_sent_says_when_its_data_were_taken(
    client: TestClient, store: Store
) -> None:
    spend(store, "1")
    first = client.get("/")

    again = client.get("/", headers={"If-None-Match": first.headers["ETag"]})

    taken = re.search(r'data-taken datetime="([^"]+)"', first.text)
    assert taken
    told = parsedate_to_datetime(again.headers["Last-Modified"])
    assert told == datetime.fromisoformat(taken[1])


def test_ages_alone_are_no_change() -> None:
    sample = sample_overview()

    tags = {tag_of(render(sample, now=TAKEN_AT + timedelta(seconds=one))) for one in (1, 9, 90)}

    assert len(tags) == 1


def test_later_looks_at_the_same_calls_are_no_change_until_the_chart_has_moved(
    store: Store, state: State
) -> None:
    spend(store, "1")
    now = datetime.now(UTC).replace(minute=30)

    tags = [
        tag_of(render(overview(store, state, [], at, "b"), now=at))
        for at in (now + timedelta(seconds=5 * count) for count in range(6))
    ]

    changes = [after for before, after in pairwise(tags) if after != before]
    assert len(changes) <= 1


def test_the_script_is_kept_by_browsers_until_it_changes(client: TestClient) -> None:
    answer = client.get(f"/live.js?{VERSION}")

    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in answer.headers["Cache-Control"]
    assert len(answer.content) < 4_000
