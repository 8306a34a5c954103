"""The pages beside the overview: what each is for, in a browser, and that no data breaks them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.test_page import Document
from builders import Rows, alert, budget, call, costing, unpriced
from stores import empty
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.channels import Channels
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import State
from taximeter_alerts.watch import evaluate
from taximeter_api.answers import alerts_page
from taximeter_api.budget_pages import budget_pages
from taximeter_api.call_pages import call_pages
from taximeter_api.checks.running import Running
from taximeter_api.explore import VIEWS, explore_pages
from taximeter_api.insight_pages import findings_pages, health_page
from taximeter_api.kept import Kept
from taximeter_api.page.environment import VERSION
from taximeter_api.refusals import refusals
from taximeter_collector.calls import CostStatus, Priced
from taximeter_collector.journal import Journal
from taximeter_collector.labels import label
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.settings import Settings
from taximeter_collector.store import Dimension, Store
from taximeter_collector.store.connection import READERS

TOKENS = count()
NO_CHANNELS: Channels = {}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal", max_bytes=1_000_000)
    yield opened
    opened.close()


@pytest.fixture
def register(tmp_path: Path, state: State) -> Register:
    return Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(f"sqlite:///{tmp_path / 'state.db'}")
    yield opened
    opened.close()


@pytest.fixture
def client(
    store: Store, state: State, register: Register, journal: Journal, tmp_path: Path
) -> TestClient:
    app = FastAPI()
    refusals(app)
    app.include_router(explore_pages(store, Kept(cheap_s=60)))
    app.include_router(call_pages(store, Kept(cheap_s=60)))
    app.include_router(budget_pages(store, state, register, NO_CHANNELS))
    app.include_router(findings_pages(Savings(store, PriceBook.shipped)))
    running = Running(
        store=store,
        state=state,
        channels=NO_CHANNELS,
        register=register,
        settings=Settings(data_dir=tmp_path, journal_mb=10),
        trouble=lambda: "",
    )
    app.include_router(health_page(running, journal))
    app.include_router(
        alerts_page(state, NO_CHANNELS, "http://meter.test", running.wrong_with_alerts)
    )
    return TestClient(app)


def add(store: Store, *rows: Any) -> None:
    typed: Rows = rows
    now = datetime.now(UTC)
    store.add(typed, token=f"pages-{next(TOKENS)}", book_version="b1", now=now)


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def test_what_was_told_is_shown_though_the_store_does_not_answer(
    client: TestClient, store: Store, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.add(alert(90))
    monkeypatch.setattr("taximeter_collector.store.connection.WAIT_S", 0.1)
    with ExitStack() as busy:
        for _ in range(READERS):
            busy.enter_context(store._connection._readers.lent())
        page = client.get("/alerts")

    assert page.status_code == 200
    assert "readers of the store are busy" in page.text
    assert "no budget is looked at meanwhile" in unescape(page.text)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.path)
def test_every_page_of_spend_has_its_rows(client: TestClient, store: Store, view: Any) -> None:
    add(store, costing("6", ts=ago(1), **{column.value: "dear" for column in view.by}))
    add(store, costing("2", ts=ago(1), **{column.value: "cheap" for column in view.by}))

    page = client.get(f"{view.path}?span=7d")

    assert page.status_code == 200
    assert page.text.index("dear") < page.text.index("cheap")
    assert "$6.00" in page.text
    assert "75 %" in page.text
    words = "".join(f"&amp;{name}=dear" for name in view.names)
    assert f'href="/calls?span=7d{words}"' in page.text


def test_versions_of_two_prompts_that_are_called_alike_are_two_rows(
    client: TestClient, store: Store
) -> None:
    for usd, prompt in (("6", "draft"), ("2", "route")):
        about = {"prompt_name": prompt, "prompt_version": "v2", "call_id": f"id-{prompt}"}
        add(store, costing(usd, ts=ago(1), **about))

    page = client.get("/prompt-versions?span=7d").text
    rows = csv.DictReader(client.get("/prompt-versions?span=7d&format=csv").text.splitlines())

    assert "draft v2" in page
    assert "route v2" in page
    (link,) = hrefs(page, "$6.00")
    assert re.findall(r"/calls/(id-\w+)", client.get(link).text) == ["id-draft"]
    assert [(row["prompt_name"], row["prompt_version"], row["cost"]) for row in rows] == [
        ("draft", "v2", "6.000000000000"),
        ("route", "v2", "2.000000000000"),
    ]


def test_a_page_of_many_users_is_light_and_draws_the_days_of_each(
    client: TestClient, store: Store
) -> None:
    moments = [ago(24 * days + 1) for days in (0, 40, 88)]
    names = [f"user-{number}-of-a-long-name@example.com" for number in range(50)]
    add(store, *(costing("1.25", ts=at, user_id=name) for name in names for at in moments))

    page = client.get("/users?span=90d").text

    assert page.count('class="spark"') == 50
    assert len(page) < 100_000


def test_an_error_rate_is_red_from_five_percent_on(client: TestClient, store: Store) -> None:
    for feature, calls in (("many", 20), ("few", 21)):
        add(store, costing("0", ts=ago(1), feature=feature, error_type="Timeout"))
        add(store, *(costing("1", ts=ago(1), feature=feature) for _ in range(calls - 1)))

    page = client.get("/features?span=7d").text

    red = re.findall('class="wide over"><a[^>]*feature=([a-z]+)', page)
    assert red == ["many"]
    assert 'title="Red from 5 % on">Errors' in page


@pytest.mark.parametrize(("usd", "colour"), [("1.49", "soft"), ("1.50", "over")])
def test_a_change_is_red_from_half_as_much_again_on(
    client: TestClient, store: Store, usd: str, colour: str
) -> None:
    add(store, costing("9", ts=ago(24 * 20)), costing("1", ts=ago(24 * 8 + 1)))
    add(store, costing(usd, ts=ago(1)))

    page = client.get("/features?span=7d").text

    change = "+50 %" if colour == "over" else "+49 %"
    assert f'<td class="{colour}">{change}' in page
    assert 'title="Red from 50 % on">Change' in page


def test_filters_and_period_narrow_a_page_and_stay_in_its_links(
    client: TestClient, store: Store
) -> None:
    add(store, costing("6", ts=ago(1), feature="chat", model="gpt-4o"))
    add(store, costing("3", ts=ago(1), feature="search", model="gpt-5"))
    add(store, costing("9", ts=ago(24 * 20), feature="chat", model="gpt-4.1"))

    page = client.get("/models?feature=chat&span=7d").text
    longer = client.get("/models?feature=chat&span=30d").text

    assert "gpt-4o" in page
    assert "gpt-5" not in page
    assert "gpt-4.1" not in page
    assert "gpt-4.1" in longer
    assert 'href="/models?span=7d" title="Take this filter away"' in page


def test_a_change_is_against_as_long_a_time_before(client: TestClient, store: Store) -> None:
    add(store, costing("3", ts=ago(24 * 8 + 1), feature="chat"))
    add(store, costing("6", ts=ago(1), feature="chat"), costing("1", ts=ago(1), feature="new"))

    of_a_part = client.get("/features?span=7d").text
    add(store, costing("9", ts=ago(24 * 20), feature="chat"))
    of_a_whole = client.get("/features?span=7d").text

    assert "+100 %" not in of_a_part
    assert "+100 %" in of_a_whole
    assert "nothing before" in of_a_whole


def test_a_page_says_how_much_more_it_costs_than_before_and_why(
    client: TestClient, store: Store
) -> None:
    before, now = ago(24 * 8 + 1), ago(1)
    add(store, costing("9", ts=ago(24 * 20)))
    add(store, costing("2", ts=before, feature="chat"), costing("3", ts=before, feature="old"))
    add(store, *(costing("3.5", ts=now, feature="chat") for _ in range(2)))
    add(store, costing("1", ts=now, feature="new"))

    page = client.get("/features?span=7d").text

    words = Document(page).text
    assert "+$3.00 (+60%) against " in words
    assert (
        "By cause: mix of features, models and prompts -$3.50, tokens a call +$3.00, "
        "number of calls +$2.50, what is new +$1.00." in words
    )
    assert "chat +$5.00 (+250%): more tokens a call new +$1.00: new" in words
    assert [(row[0], row[1], row[4]) for row in cells(page)] == [
        ("chat", "$7.00", "+250 %"),
        ("new", "$1.00", "\N{EN DASH}"),
        ("old", "$0", "\N{MINUS SIGN}100 %"),
    ]
    for path in ("/models", "/users", "/teams", "/users?user=", "/models?user="):
        said = Document(client.get(f"{path}{'&' if '?' in path else '?'}span=7d").text).text
        assert "+$3.00 (+60%) against " in said, path


def test_a_change_of_calls_without_a_price_is_of_the_others(
    client: TestClient, store: Store
) -> None:
    add(store, costing("9", ts=ago(24 * 20)), costing("1", ts=ago(24 * 8 + 1)))
    add(store, costing("3", ts=ago(1)), unpriced(ts=ago(1)))

    words = Document(client.get("/features?span=7d").text).text

    assert re.search(r"\+\$2\.00 \(\+200%\) against [^,]+, of calls whose cost is known\.", words)


def test_why_there_is_no_change_to_tell_is_said(client: TestClient, store: Store) -> None:
    add(store, costing("1", ts=ago(24 * 8 + 1)), costing("1", ts=ago(1)))
    in_part = client.get("/features?span=7d").text
    add(store, costing("9", ts=ago(24 * 20)), costing("1", ts=ago(1), feature="new"))
    add(store, unpriced(ts=ago(1)))

    whole = client.get("/features?span=7d").text

    why = '<td class="soft"><span class="none" title="([^"]+)">\N{EN DASH}'
    assert re.findall(why, in_part) == ["not all of the time before was metered"]
    assert sorted(re.findall(why, whole)) == [
        "calls of unknown cost, now or before",
        "new: it cost nothing before",
    ]
    assert "By cause" not in in_part


DAYS = "from=2026-11-01&to=2026-12-01"
HALF_A_DAY = "from=2026-11-28T00:00:00%2B14:00&to=2026-11-28T12:00:00%2B14:00"
IN_WORDS = {
    DAYS: "1 to 30 November 2026",
    HALF_A_DAY: "28 November 2026 00:00 to 28 November 2026 12:00 (UTC+14:00)",
}


@pytest.mark.parametrize("path", ["/features", "/calls"])
@pytest.mark.parametrize("period", IN_WORDS)
def test_a_page_says_its_period_and_its_filters(client: TestClient, path: str, period: str) -> None:
    page = client.get(f"{path}?feature=support-chat&user=%E2%80%AEevil&{period}").text

    words = (
        f"{IN_WORDS[period]} · feature support-chat · user "
        "\N{FIRST STRONG ISOLATE}\N{RIGHT-TO-LEFT OVERRIDE}evil\N{POP DIRECTIONAL ISOLATE}"
    )
    assert f"{words} · Taximeter</title>" in page
    assert f"<p>{words}</p>" in page
    assert "user: <bdi>" in page


@pytest.mark.parametrize(
    ("period", "dates"),
    [
        (DAYS, ["2026-11-01", "2026-12-01"]),
        ("from=2026-11-01", ["2026-11-01", ""]),
        (HALF_A_DAY, ["", ""]),
        ("span=7d", ["", ""]),
    ],
)
def test_fields_hold_the_days_of_a_period_or_nothing(
    client: TestClient, period: str, dates: list[str]
) -> None:
    page = client.get(f"/features?{period}").text

    assert re.findall('type="date"[^>]*value="([^"]*)"', page) == dates


def test_of_unknown_costs_no_change_is_told(client: TestClient, store: Store) -> None:
    add(store, costing("9", ts=ago(24 * 20), feature="old"))
    for now, before in (("6", ""), ("", "3"), ("4", "2")):
        for usd, hours in ((now, 1), (before, 24 * 8 + 1)):
            feature = f"now {now}, before {before}"
            call = costing(usd, ts=ago(hours)) if usd else unpriced(ts=ago(hours))
            add(store, (replace(call[0], feature=feature), call[1]))

    page = client.get("/features?span=7d").text

    dash = "\N{EN DASH}"
    assert [row[4] for row in cells(page)] == [dash, "+100 %", dash]


def test_a_change_is_told_though_the_calls_of_before_are_gone(
    client: TestClient, store: Store
) -> None:
    add(store, costing("3", ts=ago(24 * 8 + 1), feature="chat"))
    add(store, costing("9", ts=ago(24 * 20), feature="chat"))
    store.refresh()
    empty(store, "calls")
    add(store, costing("6", ts=ago(1), feature="chat"))

    assert "+100 %" in client.get("/features?span=7d").text


def test_a_table_is_a_csv_with_every_digit_and_no_formula(client: TestClient, store: Store) -> None:
    add(store, costing("0.000000000001", ts=ago(1), feature="=1+1"))

    answer = client.get("/features?span=7d&format=csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(answer.text.splitlines())
    assert row["feature"] == "'=1+1"
    assert row["cost"] == "0.000000000001"
    assert row["estimated_cost"] == "0.000000000000"


def test_a_file_says_money_times_and_tags_as_machines_read_them(
    client: TestClient, store: Store
) -> None:
    ts = ago(1).replace(microsecond=250_000)
    about = {"tags": {"tier": "pro", "lang": "é"}, "prompt_name": "draft", "prompt_version": "v2"}
    add(store, costing("0.000000000000", ts=ts, **about))

    (row,) = csv.DictReader(client.get("/calls?span=7d&format=csv").text.splitlines())

    assert row["cost"] == "0.000000000000"
    assert row["ts"] == ts.isoformat()
    assert (row["prompt_name"], row["prompt_version"]) == ("draft", "v2")
    assert json.loads(row["tags"]) == {"tier": "pro", "lang": "é"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("/features?span=1d", "span='1d': give one of 7d"),
        ("/features?from=x", "from='x': give an ISO date"),
        ("/features?from=2026-02-01&to=2026-01-01", "give a time before"),
        ("/features?env=staging", "filter='env': give some of feature"),
        ("/features?env=staging&format=csv", "filter='env': give some of feature"),
        ("/features?format=xml", "format='xml': give csv"),
        ("/features?span=7d&span=30d", "span: give it once"),
        ("/features?span=7d&from=2026-11-01", "span=7d: give it, or from and to"),
        ("/calls?only=errors&only=unpriced", "only: give it once"),
        ("/calls?q=a&q=b", "q: give it once"),
        ("/features?q=ada", "filter='q': give some of feature"),
        ("/calls?env=staging", "filter='env': give some of feature"),
        ("/calls?format=xml", "format='xml': give csv"),
        ("/calls?q=ada&only=errors&from=2026-02-01", "leave out from, only"),
        ("/calls?q=ada&team=web&format=csv", "leave out team"),
        ("/calls?q=ada&order=dearest", "leave out order"),
        ("/calls?order=cost", "order='cost': give dearest"),
        ("/calls?order=dearest&older=2026-11-01,id", "leave out order"),
        ("/features?order=dearest", "order='dearest': it is for single calls"),
        ("/budgets?format=xml", "format='xml': give csv"),
        ("/alerts?format=xml", "format='xml': give csv"),
        ("/findings?format=xml", "format='xml': give csv"),
    ],
)
def test_words_that_are_not_understood_are_refused(
    client: TestClient, words: str, says: str
) -> None:
    answer = client.get(words)

    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "hour" not in answer.json()["detail"]


def test_spend_without_a_price_is_at_least_or_unknown(client: TestClient, store: Store) -> None:
    add(store, unpriced(ts=ago(1), feature="only"), unpriced(ts=ago(1), feature="some"))
    add(store, costing("2", ts=ago(1), feature="some"))

    page = client.get("/features?span=7d").text

    assert "at least $2.00" in page
    assert "unknown" in page
    assert page.count('class="spark"') == 1


def test_what_some_calls_cost_is_the_mean_of_those_with_a_price(
    client: TestClient, store: Store
) -> None:
    add(store, unpriced(ts=ago(1), feature="some"), costing("2", ts=ago(1), feature="some"))

    page = client.get("/features?span=7d").text

    assert re.findall('title="of the calls whose cost is known: 1 [^>]+>([^<]+)<', page) == [
        "$2,000.00"
    ]


def test_a_file_of_spend_has_no_cost_where_none_is_known(client: TestClient, store: Store) -> None:
    add(store, unpriced(ts=ago(1), feature="only"), unpriced(ts=ago(1), feature="some"))
    add(store, costing("2", ts=ago(1), feature="some"))

    rows = csv.DictReader(client.get("/features?span=7d&format=csv").text.splitlines())

    names = ("feature", "cost", "cost_input", "cost_other", "cost_is_complete", "unpriced_calls")
    assert [[row[name] for name in names] for row in rows] == [
        ["some", "2.000000000000", "0.000000000000", "2.000000000000", "False", "1"],
        ["only", "", "", "", "False", "1"],
    ]


SCRIPT = f'<script src="/live.js?{VERSION}" defer>'
HOSTILE = [
    "<script>alert(1)</script>",
    "' onmouseover=x",
    "x" * 3000,
    "🙂" * 200,
    "../../etc",
    "%s",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_page(client: TestClient, store: Store, name: str) -> None:
    stored = label(name)
    fields = {"feature": stored, "user_id": stored, "model": stored, "tags": {"a": stored}}
    add(store, costing("6", ts=ago(1), call_id=f"id-{next(TOKENS)}", **fields))

    pages = [client.get(f"{path}?span=7d") for path in ("/features", "/models", "/users", "/calls")]
    pages.append(client.get("/features", params={"span": "7d", "user": stored}))

    for page in pages:
        assert page.status_code == 200
        assert re.findall("<script[^>]*>", page.text) == [SCRIPT]
        attributes = {name for _, attrs in Document(page.text).tags for name in attrs}
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        assert len(page.content) < 100_000


WIDE = "\N{GRINNING FACE}"
SPAN = ("span", "90d")
LIGHT: dict[str, list[tuple[str, Any]]] = {
    "repeated": [SPAN, *[("feature", "chat")] * 1_500],
    "many": [SPAN, *(("feature", f"the-feature-of-{number:02}") for number in range(50))],
    "a few long ones": [SPAN, *(("feature", f"{number:048}") for number in range(10))],
    "of wide characters": [SPAN, ("feature", WIDE * 50), ("team", WIDE * 210)],
    "longer than any label": [SPAN, ("feature", "x" * 60_000)],
}
REFUSED: dict[str, list[tuple[str, Any]]] = {
    "values": [("feature", str(number)) for number in range(51)],
    "long values": [(name, WIDE * 200) for name in ("feature", "team")],
    "fractions": [("from", f"2026-11-01T00:00:00.{'0' * 4_000}")],
    "no such word": [("x" * 60_000, "")],
    "no such span": [("span", WIDE * 5_000)],
}


@pytest.mark.parametrize("path", ["/models", "/calls"])
@pytest.mark.parametrize("words", LIGHT.values(), ids=LIGHT)
def test_no_address_makes_a_page_heavy(
    client: TestClient, store: Store, path: str, words: list[tuple[str, Any]]
) -> None:
    first = {name: label(value) for name, value in reversed(words) if name != "span"}
    for number in range(51):
        add(store, costing("1", ts=ago(1), model=f"gpt-of-a-long-name-{number:02}", **first))

    page = client.get(path, params=words)

    assert page.status_code == 200
    assert page.text.count('<th scope="row"') == 50
    assert len(page.content) < 100_000


def test_an_address_of_many_filters_leads_to_one_without_any(client: TestClient) -> None:
    words = "&".join(f"feature={number}" for number in range(11))

    page = client.get(f"/calls?{words}&span=7d&only=errors").text

    assert hrefs(page, "all filters ✕") == ["/calls?span=7d&only=errors"]
    assert (
        "Take this filter away" not in page.replace("only=errors", "").partition("only errors")[0]
    )


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_an_address_of_too_many_words_is_refused_in_a_few(
    client: TestClient, words: list[tuple[str, Any]]
) -> None:
    refused = client.get("/features", params=words, headers={"Accept": "text/html"})

    assert refused.status_code == 422
    assert "give" in refused.text
    assert len(refused.content) < 50_000


def test_bounds_of_an_address_are_told(client: TestClient) -> None:
    told = [
        client.get("/calls", params=words).json()["detail"]
        for words in (REFUSED["values"], REFUSED["long values"])
    ]
    of_search = client.get("/calls", params={"q": "x" * 501}).json()["detail"]

    bounds = "give at most 50, and 3,200 characters with from and to"
    assert told == [f"51 values: {bounds}", f"2 values: {bounds}"]
    assert of_search == "q: give at most 500 characters"


@pytest.mark.parametrize("path", ["/features", "/calls"])
def test_where_there_is_one_environment_none_is_chosen(
    client: TestClient, store: Store, path: str
) -> None:
    add(store, costing("1", ts=ago(1), environment="staging"))
    store.refresh()

    assert "All environments" not in client.get(path).text


@pytest.mark.parametrize("path", ["/features", "/calls"])
def test_an_environment_is_chosen_where_there_are_several(
    client: TestClient, store: Store, path: str
) -> None:
    for number in range(5):
        add(store, costing("0.5", ts=ago(1), environment=f"branch-{number}"))
    for _ in range(2):
        add(store, costing("1", ts=ago(1), environment="staging"))
    for _ in range(3):
        add(store, costing("2", ts=ago(1), environment="production", feature="of-production"))
    store.refresh()

    page = client.get(f"{path}?span=7d&feature=search&feature=of-production").text
    (link,) = hrefs(page, "<bdi>production")
    chosen = client.get(link).text

    names = re.findall("<bdi>([^<]+)</bdi></a>", page.partition("All environments")[2])
    assert names[:3] == ["production", "staging", "branch-0"]
    assert "branch-3" not in page.partition("<table")[0]
    assert "$6.00 · 3 calls" in chosen
    assert re.findall('aria-current="true"><bdi>([^<]+)', chosen) == ["production"]
    words = "feature=search&feature=of-production&span=7d"
    assert hrefs(chosen, "All environments") == [f"{path}?{words}"]
    assert hrefs(chosen, "compare all") == [f"/environments?{words}"]
    (back,) = hrefs(client.get("/environments?span=7d").text, "branch-4")
    assert back == "/features?span=7d&environment=branch-4"


def test_calls_are_found_by_scope_and_by_any_id(client: TestClient, store: Store) -> None:
    add(
        store,
        costing("1", ts=ago(1), call_id="chatcmpl-1", request_id="req_1", feature="chat"),
        costing("2", ts=ago(1), call_id="chatcmpl-2", trace_id="f" * 32, user_id="ada"),
        costing("3", ts=ago(1), call_id="chatcmpl-3", user_id=label("O'Hara")),
    )

    by_scope = client.get("/calls?feature=chat&span=7d").text
    found = {q: client.get(f"/calls?q={q}").text for q in ("req_1", "f" * 32, "ada", "chatcmpl-1")}

    assert "chatcmpl-1" in by_scope
    assert "chatcmpl-2" not in by_scope
    assert "chatcmpl-1" in found["req_1"]
    assert "chatcmpl-2" in found["f" * 32]
    assert "chatcmpl-2" in found["ada"]
    assert "chatcmpl-1" in found["chatcmpl-1"]
    assert "chatcmpl-3" in client.get("/calls?q=O'Hara").text
    assert "No call has the id nothing" in client.get("/calls?q=nothing").text


def hrefs(page: str, words: str) -> list[str]:
    """Return where links with these words lead."""
    return [unescape(link) for link in re.findall(f'href="([^"]+)"[^>]*>{re.escape(words)}<', page)]


def test_older_calls_are_reached_though_they_came_at_once_and_were_priced_anew(
    client: TestClient, store: Store
) -> None:
    ts = ago(1)
    for _ in range(2):
        add(store, *(costing("1", ts=ts, call_id=f"id-{number:03}") for number in range(110)))

    pages, link = [], ["/calls?span=7d"]
    while link:
        pages.append(client.get(link[0]).text)
        link = hrefs(pages[-1], "Older calls")

    found = [re.findall(r'href="/calls/(id-\d+)"', page) for page in pages]
    assert [len(ids) for ids in found] == [50, 50, 10]
    assert len({name for ids in found for name in ids}) == 110
    assert client.get("/calls?older=yesterday").status_code == 422


def test_the_dearest_calls_of_a_feature_are_a_link_away_and_stay_in_order(
    client: TestClient, store: Store
) -> None:
    add(store, costing("3", ts=ago(3), feature="chat", call_id="id-dear"))
    add(store, costing("9", ts=ago(3), feature="search", call_id="id-other"))
    add(store, unpriced(ts=ago(2), feature="chat", call_id="id-unknown"))
    add(store, *(costing("1", ts=ago(1), feature="chat") for _ in range(501)))

    (link,) = hrefs(client.get("/models?feature=chat&span=7d").text, "dearest calls")
    page = client.get(link).text

    rows = cells(page)
    assert len(rows) == 50
    assert [row[4] for row in rows[:2]] == ["$3.00", "$1.00"]
    assert "id-other" not in page
    assert "id-unknown" not in page
    (without,) = hrefs(page, "calls without a price")
    assert re.findall(r"/calls/(id-\w+)", client.get(without).text) == ["id-unknown"]
    (newest,) = hrefs(page, "newest first")
    assert newest in ("/calls?feature=chat&span=7d", "/calls?span=7d&feature=chat")
    assert hrefs(client.get(newest).text, "dearest first") == [link]
    assert all("order=dearest" in one for name in ("30 days", "CSV") for one in hrefs(page, name))
    assert '<input type="hidden" name="order" value="dearest">' in page
    assert "a file has the dearest 500" in page
    assert "Older calls" not in page
    file = list(csv.DictReader(client.get(hrefs(page, "CSV")[0]).text.splitlines()))
    assert [row["call_id"] for row in file].index("id-dear") == 0
    assert len(file) == 500


def test_the_dearest_calls_are_kept_where_they_take_long(store: Store) -> None:
    app = FastAPI()
    app.include_router(call_pages(store, Kept(cheap_s=0)))
    client, path = TestClient(app), "/calls?span=7d&order=dearest"
    add(store, costing("1", ts=ago(1)))

    first = client.get(path).text
    add(store, costing("9", ts=ago(1)))
    second = client.get(path).text

    assert "listed <time" not in first
    assert "$9.00" not in second
    assert "listed <time" in second


def test_a_file_of_budgets_has_no_spend_where_none_is_known(
    client: TestClient, store: Store
) -> None:
    now = datetime.now(UTC)
    add(store, unpriced(ts=now, feature="chat"), costing("2", ts=now, feature="search"))
    for name in ("chat", "search"):
        made = client.post("/budgets", data={"name": name, "amount": "5", "feature": name})
        assert made.status_code == 200

    rows = csv.DictReader(client.get("/budgets?format=csv").text.splitlines())

    assert {row["budget"]: row["spent"] for row in rows} == {"chat": "", "search": "2.000000000000"}


def test_a_search_goes_on_to_older_calls_and_its_file_has_the_same(
    client: TestClient, store: Store
) -> None:
    add(store, *(costing("1", ts=ago(1), user_id="ada") for _ in range(51)))
    add(store, costing("1", ts=ago(1), user_id="bob"))

    cut = client.get("/calls?q=ada").text
    whole = client.get("/calls?q=bob").text

    (older,) = hrefs(cut, "Older calls")
    assert len(re.findall('href="/calls/chatcmpl', client.get(older).text)) == 1
    assert hrefs(whole, "Older calls") == []
    assert 'name="from"' not in cut
    (link,) = hrefs(cut, "CSV")
    assert link == "/calls?q=ada&format=csv"
    file = list(csv.DictReader(client.get(link).text.splitlines()))
    assert [row["user_id"] for row in file] == ["ada"] * 51


@pytest.mark.parametrize("path", ["/calls", "/calls?q=ada"])
def test_it_is_said_how_long_a_file_of_calls_gets(
    client: TestClient, store: Store, path: str
) -> None:
    add(store, costing("1", ts=ago(0), user_id="ada"))

    assert "a file has the newest 10,000" in client.get(path).text


def test_one_call_tells_its_whole_story(client: TestClient, store: Store) -> None:
    one = costing(
        "0.0035",
        ts=ago(1),
        call_id="chatcmpl-story",
        feature="chat",
        tags={"tier": "pro"},
        attempts=2,
        attempt_statuses=(429, 200),
        attempt_waits_ms=(500,),
        max_output_tokens=800,
    )[0]
    add(store, (one, PriceBook.shipped().price("gpt-4o", one.ts, one.usage)))

    page = client.get("/calls/chatcmpl-story").text

    # 1,000 in at $2.50 and 100 out at $10 a million.
    for said in ("$0.002500", "$0.001000", "$0.003500", "429", "500 ms", "tier", "pro", "800"):
        assert said in page
    assert client.get("/calls/nothing").status_code == 404


def test_one_call_tells_its_cost_and_each_part_to_the_last_digit(
    client: TestClient, store: Store
) -> None:
    # 3,331 in at $2.50 and 333 out at $10 a million.
    one = costing("1", ts=ago(1), call_id="id", input_tokens=3331, output_tokens=333)[0]
    add(store, (one, PriceBook.shipped().price("gpt-4o", one.ts, one.usage)))

    page = Document(client.get("/calls/id").text).text

    assert "Input 3,331 $2.50 $0.0083275" in page
    assert "Output 333 $10 $0.003330" in page
    assert "Total $0.0116575" in page


def test_a_call_leads_to_others_of_its_day_and_once_to_those_of_its_trace(
    client: TestClient, store: Store
) -> None:
    ts = ago(24 * 40)
    about = {"feature": "chat", "user_id": "ada", "team": "web", "trace_id": "f" * 32}
    add(store, costing("1", ts=ts, call_id="id-one", **about))

    page = client.get("/calls/id-one").text

    for words in ("chat", "ada", "web"):
        (link,) = hrefs(page, words)
        assert "id-one" in client.get(link).text
    assert page.count(f"/calls?q={'f' * 32}") == 1


def test_a_failed_call_without_a_price_is_unknown_and_not_zero(
    client: TestClient, store: Store
) -> None:
    add(store, unpriced(ts=ago(1), call_id="chatcmpl-unknown"))

    page = client.get("/calls/chatcmpl-unknown").text

    assert "unknown cost" in page
    assert "no price for model mystery-1" in page


def change(client: TestClient, name: str, do: str, **fields: str) -> Any:
    return client.post("/budgets/change", data={"name": name, "do": do, **fields})


def test_a_budget_is_made_raised_paused_and_deleted_on_the_page(
    client: TestClient, store: Store, register: Register
) -> None:
    add(store, costing("6", ts=ago(0.1), feature="chat"))
    form = {"name": "Chat", "amount": "10", "period": "day", "zone": "UTC", "feature": "chat, x"}

    made = client.post("/budgets", data=form | {"channels": "slack, mail"})
    assert "Chat is watched from now on." in made.text
    assert register.defined("Chat").definition == {
        "name": "Chat",
        "amount": "10",
        "period": "day",
        "scope": {"feature": ["chat", "x"]},
        "channels": ["slack", "mail"],
    }
    until = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert "Chat is raised." in change(client, "Chat", "raise", to="30", until=until).text
    assert "Chat is paused." in change(client, "Chat", "pause").text
    assert "Chat is watched again." in change(client, "Chat", "resume").text
    (in_force,) = register.in_force(datetime.now(UTC))
    assert in_force.amount == 30
    assert "Chat is not raised any more." in change(client, "Chat", "end").text
    (in_force,) = register.in_force(datetime.now(UTC))
    assert in_force.amount == 10
    assert "The budget is deleted." in change(client, "Chat", "delete").text
    assert register.kept() == []


def test_the_form_of_a_budget_holds_what_it_is_and_changes_only_what_it_has_a_field_for(
    client: TestClient, register: Register
) -> None:
    before = budget(
        "100",
        name="All of it",
        zone="Europe/Berlin",
        scope={"team": "web", "environment": {"not": "dev"}, "service": "s"},
        thresholds=(80, 100),
        channels=("slack", "mail"),
        owner="@web",
    )
    register.put(before, "ada", datetime.now(UTC))

    page = client.get("/budgets").text
    (link,) = re.findall(r'href="(/budgets\?change=[^"]+)"', page)
    panel = client.get(link).text.partition('id="change"')[2]
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', panel.partition("</form>")[0])
    client.post("/budgets/change", data=dict(fields))

    assert dict(fields) == {
        "name": "All of it",
        "amount": "100",
        "period": "month",
        "zone": "Europe/Berlin",
        "feature": "",
        "team": "web",
        "user": "",
        "model": "",
        "thresholds": "80, 100",
        "channels": "slack, mail",
        "do": "save",
    }
    assert register.defined("All of it") == before
    change(client, **{**dict(fields), "team": "", "user": "ada", "thresholds": "90"})
    assert register.defined("All of it").definition == {
        **before.definition,
        "scope": {"user": ["ada"], "environment": {"not": ["dev"]}, "service": ["s"]},
        "thresholds": [90],
    }


def test_a_raise_is_told_with_its_end_by_the_budget_s_clock_and_what_it_is_otherwise(
    client: TestClient, register: Register
) -> None:
    register.put(budget("120.55", name="Chat", zone="Europe/Berlin"), "ada", datetime.now(UTC))

    change(client, "Chat", "raise", to="200", until="2099-07-01")

    raised = register.defined("Chat").raised
    assert raised is not None
    assert raised.until == datetime(2099, 6, 30, 22, tzinfo=UTC)
    assert "$200 until 1 July 2099, then $120.55" in Document(client.get("/budgets").text).text
    saved = change(client, "Chat", "save", amount="130", zone="Europe/Berlin")
    assert "Chat is changed. It is $200 until 1 July 2099, then $130." in saved.text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"to": "150", "until": "2099-07-01"}, "raised to $150: give more than the present $200"),
        ({"to": "50", "until": "2099-07-01"}, "raised to $50: give more than the present $200"),
        ({"to": "300", "until": "2020-07-01"}, "raised until 1 July 2020: give a day or a time to"),
        ({"to": "300", "until": "0001-01-01"}, "raised until 1 January"),
        ({"to": "300", "until": ""}, "until='': give a day to come like 2026-12-01"),
        ({"to": "$300", "until": "2099-07-01"}, "raised.to='$300': give dollars as a number"),
    ],
)
def test_a_raise_that_does_not_raise_is_refused_and_the_one_that_runs_goes_on(
    client: TestClient, register: Register, fields: dict[str, str], says: str
) -> None:
    register.put(budget("120.55", name="Chat"), "ada", datetime.now(UTC))
    change(client, "Chat", "raise", to="200", until="2099-07-01")
    before = register.defined("Chat")

    answer = change(client, "Chat", "raise", **fields)

    assert answer.status_code == 400
    assert f"Not done: {says}" in Document(answer.text).text
    assert f'name="to" value="{fields["to"]}"' in answer.text
    assert register.defined("Chat") == before


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "A", "amount": "$5"}, "amount='$5': give dollars as a number, like 100 or 99.50"),
        ({"name": "A", "amount": "1", "period": "fortnight"}, "give day, week"),
        ({"name": "A", "amount": "1", "thresholds": "half"}, "thresholds.0='half': give a whole"),
        ({"name": " ", "amount": "1"}, "name: is missing; give name and amount"),
        ({"name": "Kept", "amount": "1"}, "is taken"),
    ],
)
def test_a_budget_that_is_not_understood_says_why_and_keeps_what_was_typed(
    client: TestClient, register: Register, tmp_path: Path, form: dict[str, str], says: str
) -> None:
    (tmp_path / "budgets.yaml").write_text("budgets:\n  - {name: Kept, amount: 10}\n")
    typed = form | {"zone": "Europe/Berlin", "team": "a <b>", "each": "user", "channels": ""}

    answer = client.post("/budgets", data=typed)

    assert answer.status_code == 400
    assert "Not done:" in answer.text
    assert says in Document(answer.text).text
    assert [one.budget for one in register.kept()] == ["Kept"]
    held = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
    assert {name: unescape(held[name]) for name in typed if name != "each"} == {
        name: value for name, value in typed.items() if name != "each"
    }
    assert "<option selected>user</option>" in answer.text
    assert "data-refresh" not in answer.text


def test_a_budget_of_the_file_is_not_changed_on_the_page(
    client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "budgets.yaml").write_text("budgets:\n  - {name: Kept, amount: 10}\n")

    answer = change(client, "Kept", "delete")

    assert "edit that file" in answer.text
    assert 'value="delete"' not in answer.text
    assert 'value="delete"' not in client.get("/budgets?change=Kept").text


def test_nothing_of_the_address_is_told_as_the_service_s_own_words(client: TestClient) -> None:
    for query in ("problem=hacked", "done=hacked", "done=made&name=hacked", "change=hacked"):
        assert "hacked" not in client.get(f"/budgets?{query}").text


def test_of_budgets_for_each_the_row_says_which_alerts_there_are_and_of_whom(
    client: TestClient, store: Store, state: State, register: Register
) -> None:
    now = datetime.now(UTC)
    for name, amount in (("Each", "10"), ("each", "1000"), ("Nothing", "0")):
        each = Dimension.USER if amount != "0" else None
        register.put(budget(amount, name=name, each=each), "ada", now)
    add(store, costing("20", ts=now, user_id="u1"), costing("6", ts=now, user_id="u2"))
    evaluate(store, state, register.in_force(now), now)

    page = client.get("/budgets").text

    rows = {re.split(r"\W", row[0])[0]: row for row in cells(page)}
    assert rows["Each"][6] == "50 % (u2), 100 % (u1)"
    assert rows["each"][6] == "\N{EN DASH}"
    assert (rows["Nothing"][1], rows["Nothing"][6]) == ("over", "100 %")
    # None of them was sent: what became of each is on the page of alerts.
    assert hrefs(page, "100 %") == ["/alerts"]
    assert ">Told<" not in page


def cells(page: str) -> list[list[str]]:
    """Return the texts of the cells of each row of a table."""
    rows = re.findall(r"<tr><th scope=\"row\".+?</tr>", page, re.DOTALL)
    return [
        [
            unescape(re.sub(r"<title>.*?</title>|<[^>]+>", "", cell)).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in rows
    ]


def test_findings_are_told_in_dollars_a_month(client: TestClient, store: Store) -> None:
    calls = [
        costing("2.501", ts=ago(24), feature="nightly", input_tokens=1_000_000) for _ in range(30)
    ]
    add(store, *((one, Priced(status=priced.status, usd=priced.usd)) for one, priced in calls))

    page = client.get("/findings").text
    told = client.get("/api/findings").json()

    assert "Batch API" in page
    assert "nightly" in page
    assert [one["kind"] for one in told["findings"]] == ["batch"]
    dollars, link = (unescape(one) for one in re.findall('href="(/calls[^"]+)"', page))
    assert dollars == link
    looked_at = datetime.fromisoformat(told["looked_at"])
    words = dict(parse_qsl(link.partition("?")[2]))
    assert words == {
        "feature": "nightly",
        "model": "gpt-4o",
        "from": (looked_at - timedelta(days=14)).isoformat(),
        "to": looked_at.isoformat(),
    }
    assert Decimal(told["findings"][0]["usd_a_month"]) > 50


def test_advice_that_asks_ends_as_a_question(client: TestClient) -> None:
    assert "TAXIMETER_ENDPOINT set?</p>" in client.get("/health").text


def test_a_blank_name_can_be_seen_and_clicked(client: TestClient, store: Store) -> None:
    add(store, costing("1", ts=ago(1), user_id="  "))

    assert hrefs(client.get("/users?span=7d").text, "(blank)") == ["/features?span=7d&user=%20%20"]


def test_health_says_what_is_missing(client: TestClient, store: Store) -> None:
    add(store, costing("1", ts=ago(1)), unpriced(ts=ago(1)))

    page = client.get("/health").text

    things = page.count('<section class="notice" role="alert">')
    assert f"{things} things to look at" in page
    assert "Without a price:</strong> 1 call: no price for model mystery-1. What to do:" in page
    assert "1: no price for model mystery-1" in page
    assert "taximeter-server" in page
    links = [*hrefs(page, "2"), *hrefs(page, "1: no price for model mystery-1")]
    found = [len(re.findall('href="/calls/', client.get(link).text)) for link in links]
    assert found == [2, 1]
    assert all("&to=" in link for link in links)


def test_several_values_of_a_filter_are_any_of_them(client: TestClient, store: Store) -> None:
    for feature in ("chat", "search", "other"):
        add(store, costing("6", ts=ago(1), feature=feature, call_id=f"id-{feature}"))

    page = client.get("/calls?feature=chat&feature=search&span=7d").text

    assert "id-chat" in page
    assert "id-search" in page
    assert "id-other" not in page
    assert 'href="/calls?feature=search&amp;span=7d" title="Take this filter away"' in page


@pytest.mark.parametrize(
    ("words", "sums"),
    [
        ("", "at least $3.50 · 4 calls"),
        ("feature=chat", "$3.50 · 3 calls"),
        ("user=ada", "$1.00 · 1 call"),
        ("only=errors", "1 call"),
        ("only=unpriced", "1 call"),
        ("only=estimated", "$2.50 · 1 call"),
        ("only=estimated&user=ada", "$0 · 0 calls"),
    ],
)
def test_a_list_of_calls_says_what_all_of_them_sum_to(
    client: TestClient, store: Store, words: str, sums: str
) -> None:
    of_chat: dict[str, Any] = {"ts": ago(1), "feature": "chat"}
    lost = Priced(status=CostStatus.ESTIMATED, usd=Decimal("2.50"))
    add(store, costing("1", user_id="ada", **of_chat), (call(**of_chat), lost))
    add(store, costing("0", error_type="RateLimitError", **of_chat), unpriced(ts=ago(1)))

    page = client.get(f"/calls?{words}&span=7d").text

    assert f"<p>{sums}</p>" in page


def test_errors_and_calls_without_a_price_can_be_seen_alone(
    client: TestClient, store: Store
) -> None:
    add(store, costing("1", ts=ago(1), call_id="id-fine"))
    add(store, costing("0", ts=ago(1), call_id="id-failed", error_type="APITimeoutError"))
    too_many = {"error_type": "RateLimitError", "http_status": 429}
    add(store, costing("0", ts=ago(1), call_id="id-limited", **too_many))
    add(store, unpriced(ts=ago(1), call_id="id-unpriced"))

    found = {
        only: client.get(f"/calls?only={only}&span=7d").text
        for only in ("errors", "rate_limited", "unpriced")
    }

    assert [row[4] for row in cells(found["unpriced"])] == ["unknown"]
    assert {only: re.findall(r"/calls/(id-\w+)", page) for only, page in found.items()} == {
        "errors": ["id-limited", "id-failed"],
        "rate_limited": ["id-limited"],
        "unpriced": ["id-unpriced"],
    }
    assert "only rate limited" in found["rate_limited"]
    assert (
        "/calls?span=7d&amp;feature=search&amp;only=errors" in client.get("/features?span=7d").text
    )
    assert client.get("/calls?only=some").status_code == 422


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.path)
def test_spend_can_not_be_of_errors_alone(client: TestClient, store: Store, view: Any) -> None:
    add(store, unpriced(ts=ago(1)), costing("0", ts=ago(1), error_type="RateLimitError"))

    for words in ("only=errors", "only=errors&format=csv"):
        refused = client.get(f"{view.path}?{words}")
        assert (refused.status_code, "/calls?only=errors" in refused.text) == (422, True)
    links = [
        link
        for path in (f"{view.path}?span=7d", "/calls?span=7d&only=errors")
        for link in re.findall('href="([^"]*only=[^"]*)"', client.get(path).text)
    ]
    assert links
    assert all(link.startswith("/calls?") for link in links)


@pytest.mark.parametrize("path", ["/calls", "/budgets", "/findings"])
def test_a_table_can_be_taken_along(
    client: TestClient, store: Store, tmp_path: Path, path: str
) -> None:
    (tmp_path / "budgets.yaml").write_text("budgets:\n  - {name: =1+1, amount: 10}\n")
    calls = [
        costing("2.501", ts=ago(24), feature="=1+1", input_tokens=1_000_000) for _ in range(30)
    ]
    add(store, *((one, Priced(status=priced.status, usd=priced.usd)) for one, priced in calls))

    assert "format=csv" in client.get(f"{path}?span=7d").text
    answer = client.get(f"{path}?span=7d&format=csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert rows
    assert "'=1+1" in rows[0].values()


def test_what_is_spent_of_a_budget_leads_to_its_calls(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "budgets.yaml").write_text(
        "budgets:\n"
        "  - {name: A, amount: 10, scope: {feature: [chat, search]}}\n"
        "  - {name: B, amount: 10, scope: {feature: {not: chat}}}\n"
    )
    now = datetime.now(UTC)
    add(store, costing("6", ts=now, feature="chat", call_id="id-chat"))
    add(store, costing("5", ts=now, feature="other", call_id="id-other"))

    page = client.get("/budgets").text

    used, spent = re.findall(r'href="(/calls[^"]+)"', page)
    calls = client.get(unescape(spent)).text
    assert used == spent
    assert "id-chat" in calls
    assert "id-other" not in calls


@pytest.mark.parametrize(("values", "status"), [(50, 200), (51, None)])
def test_a_budget_of_more_values_than_an_address_takes_leads_nowhere(
    client: TestClient, register: Register, values: int, status: int | None
) -> None:
    scope = {"feature": [str(number) for number in range(values)]}
    register.put(budget(scope=scope), "ada", ago(0))

    links = re.findall(r'href="(/calls\?[^"]+)"', client.get("/budgets").text)

    assert {client.get(unescape(link)).status_code for link in links} == {status} - {None}


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/calls/nothing", 404, "no call has the id"),
        ("/features?span=1d", 422, "give one of 7d"),
    ],
)
def test_people_get_a_page_and_programs_json_where_something_is_wrong(
    client: TestClient, path: str, status: int, says: str
) -> None:
    read = client.get(path, headers={"Accept": "text/html"})
    asked = client.get(path)

    assert (read.status_code, asked.status_code) == (status, status)
    assert says in Document(read.text).text
    assert says in asked.json()["detail"]
