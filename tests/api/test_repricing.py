"""Prices of the past, computed anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import NOON, budget, call
from stores import empty
from taximeter_alerts.alert import Alert
from taximeter_alerts.state import State
from taximeter_alerts.watch import evaluate
from taximeter_api.repricing import Repricer, repricing_api, told
from taximeter_collector.calls import Call, Priced, Usage
from taximeter_collector.prices import PriceBook, shipped_text
from taximeter_collector.prices.overrides import parse_overrides
from taximeter_collector.store import Dimension, Period, Scope, Store
from taximeter_collector.store import repricing as repricing_steps
from taximeter_collector.store.columns import as_stored

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
EVERYTHING = Scope()


def book(text: str = "") -> PriceBook:
    return PriceBook(shipped_text(), parse_overrides(text, "prices.yaml"))


SHIPPED = book()
HALF = book("discounts: [{percent: 50}]")
KNOWS_MYSTERY = book("rates: [{model: mystery-1, usd_per_million_tokens: {input: 1, output: 2}}]")


def add(store: Store, *calls: Call, by: PriceBook = SHIPPED) -> None:
    rows = [(one, by.priced(one)) for one in calls]
    store.add(rows, token=f"repricing-{id(rows)}", book_version=by.version, now=NOON)


def reprice(
    store: Store,
    prices: PriceBook,
    period: Period = NOVEMBER,
    scope: Scope = EVERYTHING,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    with closing(Repricer(store, lambda: prices)) as repricer:
        progress = repricer.start(period, scope, asked_by="ada", dry_run=dry_run)
        assert repricer.wait(60)
    assert progress.problem == ""
    return told(progress)


def cost(store: Store) -> Decimal:
    return store.spend(NOVEMBER)[0].cost


# gpt-4o: $2.50 and $10 per million tokens, so 1,000 in and 100 out are $0.0035
def test_calls_get_the_price_of_today_and_the_job_says_what_changed(store: Store) -> None:
    add(store, call(), call(), call(ts=NOON + timedelta(days=1), model="gpt-4o-mini"))
    store.refresh()

    one = reprice(store, HALF)

    assert one["lines"] == [
        {
            "day": "2026-11-16",
            "model": "gpt-4o",
            "calls": 2,
            "changed": 2,
            "before": "0.007000000000",
            "after": "0.003500000000",
            "unpriced_before": 0,
            "unpriced_after": 0,
        },
        {
            "day": "2026-11-17",
            "model": "gpt-4o-mini",
            "calls": 1,
            "changed": 1,
            # 1,000 x 0.15 + 100 x 0.60
            "before": "0.000210000000",
            "after": "0.000105000000",
            "unpriced_before": 0,
            "unpriced_after": 0,
        },
    ]
    for _ in range(2):
        assert cost(store) == Decimal("0.003605")
        store.refresh()


def test_what_had_no_price_gets_one_as_soon_as_there_is_one(store: Store) -> None:
    add(store, call(model="mystery-1"), call())

    one = reprice(store, KNOWS_MYSTERY)

    total = one["total"]
    assert (total["changed"], total["unpriced_before"], total["unpriced_after"]) == (1, 1, 0)
    # 1,000 x 1 + 100 x 2, and the other call's 0.0035
    assert (cost(store), store.spend(NOVEMBER)[0].unpriced_calls) == (Decimal("0.0047"), 0)


def test_a_dry_run_says_the_same_and_does_nothing(store: Store) -> None:
    add(store, call(), call(model="mystery-1"))

    foretold = reprice(store, HALF, dry_run=True)
    before = cost(store)
    done = reprice(store, HALF)

    assert before == Decimal("0.0035")
    assert foretold["lines"] == done["lines"]
    assert [one.id for one in store.repricings()] == [done["id"]]


def test_a_second_time_changes_nothing(store: Store) -> None:
    add(store, call(), call(model="mystery-1"))
    reprice(store, HALF)
    store.refresh()

    again = reprice(store, HALF)

    assert again["total"]["changed"] == 0
    assert again["total"]["before"] == again["total"]["after"] == "0.001750000000"
    assert cost(store) == Decimal("0.00175")


def test_only_the_calls_of_period_and_scope_change(store: Store) -> None:
    add(
        store,
        call(feature="search"),
        call(feature="chat"),
        call(feature="search", ts=NOON.replace(minute=30)),
        call(feature="search", ts=NOON + timedelta(days=3)),
    )
    period = Period(NOON.replace(minute=10), NOON + timedelta(days=3))

    one = reprice(store, HALF, period, Scope({Dimension.FEATURE: ("search",)}))

    assert (one["total"]["calls"], one["total"]["changed"]) == (1, 1)
    assert cost(store) == 3 * Decimal("0.0035") + Decimal("0.00175")


def test_hours_beyond_a_step_are_cut_and_small_ones_taken_together(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repricing_steps, "CALLS_A_STEP", 3)
    add(store, *(call(ts=NOON + timedelta(hours=hour)) for hour in (0, 0, 0, 0, 0, 0, 0, 2, 5, 6)))

    one = reprice(store, HALF)

    assert (one["total"]["calls"], one["total"]["changed"]) == (10, 10)
    assert cost(store) == Decimal("0.0175")
    sizes = [sum(line.calls for line in step.lines) for step in store.repricing_steps(one["id"])]
    assert sizes == [3, 3, 1, 3]


def test_what_was_kept_of_a_job_can_be_asked_for(store: Store) -> None:
    add(store, call())
    done = reprice(store, HALF, scope=Scope({Dimension.MODEL: ("gpt-4o",)}))
    app = FastAPI()
    app.include_router(repricing_api(store, Repricer(store, lambda: HALF)))

    with TestClient(app) as client:
        (listed,) = client.get("/api/repricings").json()["repricings"]
        one = client.get(f"/api/repricings/{done['id']}").json()
        unknown = client.get("/api/repricings/nope")

    assert one["lines"] == done["lines"]
    assert (listed["asked_by"], listed["scope"]) == ("ada", {"model": ["gpt-4o"]})
    assert listed["book_version"] == HALF.version
    assert listed["finished_at"] == done["finished_at"] is not None
    assert unknown.status_code == 404


def test_over_http_a_job_is_started_watched_and_never_doubled(store: Store) -> None:
    add(store, call())
    let_go = threading.Event()

    class Slow(PriceBook):
        def priced(self, call: Call) -> Priced:
            let_go.wait(30)
            return super().priced(call)

    slow = Slow(shipped_text(), HALF.overrides)
    repricer = Repricer(store, lambda: slow)
    app = FastAPI()
    app.include_router(repricing_api(store, repricer))
    with TestClient(app) as client:
        asked = "/api/repricings?from=2026-11-01&to=2026-12-01&model=gpt-4o&by=ada"
        started = client.post(asked)
        under_way = client.get(f"/api/repricings/{started.json()['id']}").json()
        refused = client.post(asked)
        let_go.set()
        assert repricer.wait(30)
        done = client.get(f"/api/repricings/{started.json()['id']}").json()
        wrong = [
            client.post(f"/api/repricings?{words}")
            for words in ("from=soon", "from=2026-11-02&to=2026-11-01", "from=2026-11-01&modle=x")
        ]

    assert (started.status_code, refused.status_code) == (202, 409)
    assert under_way["finished_at"] is None
    assert done["total"]["changed"] == 1
    assert [answer.status_code for answer in wrong] == [422, 422, 422]
    assert "filter='modle': give some of feature, team" in wrong[2].json()["detail"]


def raised_by(alerts: list[Alert]) -> list[str]:
    return [f"{one.key.kind} {one.key.percent}" for one in alerts]


def test_budgets_see_the_new_figure_and_say_nothing_twice(store: Store, tmp_path: Path) -> None:
    # 1,000,000 in at 2.50: $2.50 of a budget of $4 is past 50 %
    add(store, call(input_tokens=1_000_000, output_tokens=0))
    with closing(State(f"sqlite:///{tmp_path / 'state.db'}")) as state:
        budgets = [budget("4")]
        raised = [raised_by(evaluate(store, state, budgets, NOON))]
        for prices in (
            HALF,
            SHIPPED,
            book("rates: [{model: gpt-4o, usd_per_million_tokens: {input: 3.2}}]"),
        ):
            reprice(store, prices)
            raised.append(raised_by(evaluate(store, state, budgets, NOON)))

    # $1.25, $2.50 again, then $3.20
    assert raised == [["threshold 50"], ["correction 50"], [], ["threshold 75"]]


CRASHES = {
    "before the calls": "Store.add = lambda *_, **__: die()",
    "after the calls": "add = Store.add; Store.add = lambda *a, **k: (add(*a, **k), die())",
    "before the end": """
Store.keep_repricing = lambda self, job: die() if job.finished_at else keep(self, job)
""",
}
KILLED = """
import os, signal, sys
from contextlib import closing
from taximeter_collector.store import Store
from taximeter_collector.store import repricing as steps
from taximeter_api.repricing import Repricer
from test_repricing import EVERYTHING, HALF, NOVEMBER
def die():
    os.kill(os.getpid(), signal.SIGKILL)
keep = Store.keep_repricing
steps.CALLS_A_STEP = 3
{crash}
with closing(Store(sys.argv[1])) as store, closing(Repricer(store, lambda: HALF)) as one:
    one.start(NOVEMBER, EVERYTHING, asked_by="ada", dry_run=False)
    one.wait(60)
"""
PREPARED = """
import sys
from contextlib import closing
from datetime import timedelta
from builders import NOON, call
from taximeter_collector.store import Store
from test_repricing import add
with closing(Store(sys.argv[1])) as store:
    add(store, *(call(ts=NOON + timedelta(hours=hour)) for hour in (0, 0, 0, 0, 2, 5, 6)))
"""
RESUMED = """
import json, sys
from contextlib import closing
from taximeter_collector.store import Store
from taximeter_api.repricing import Progress, Repricer, told
from test_repricing import HALF, cost
with closing(Store(sys.argv[1])) as store, closing(Repricer(store, lambda: HALF)) as one:
    one.resume()
    one.wait(60)
    jobs = store.repricings()
    shown = [told(Progress(job=job, steps=store.repricing_steps(job.id))) for job in jobs]
    print(json.dumps({"jobs": shown, "cost": str(cost(store))}))
"""


def in_a_process(code: str, store_url: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    return subprocess.run(
        [sys.executable, "-c", code, store_url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_a_killed_job_goes_on_and_ends_as_if_nothing_had_happened(
    crash: str, tmp_path: Path
) -> None:
    url = f"chdb://{tmp_path / 'store'}"
    assert in_a_process(PREPARED, url).returncode == 0

    killed = in_a_process(KILLED.format(crash=crash), url)
    resumed = in_a_process(RESUMED, url)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = json.loads(resumed.stdout)
    (job,) = found["jobs"]
    assert job["finished_at"]
    assert (job["total"]["calls"], job["total"]["changed"]) == (7, 7)
    assert (job["total"]["before"], job["total"]["after"]) == ("0.024500000000", "0.012250000000")
    assert Decimal(found["cost"]) == Decimal("0.01225")


def test_a_call_that_is_sent_again_meanwhile_is_not_replaced_by_its_old_self(store: Store) -> None:
    first = call(feature="old")
    add(store, first)
    begun, added = threading.Event(), threading.Event()

    class Watched(PriceBook):
        def priced(self, call: Call) -> Priced:
            begun.set()
            added.wait(0.5)
            return super().priced(call)

    prices = Watched(shipped_text(), HALF.overrides)
    repricer = Repricer(store, lambda: prices)
    repricer.start(NOVEMBER, EVERYTHING, asked_by="", dry_run=False)
    assert begun.wait(30)
    add(store, replace(first, feature="new"), by=HALF)
    added.set()
    assert repricer.wait(30)

    rows = store.spend(NOVEMBER, [Dimension.FEATURE])
    assert [(row.key, row.cost) for row in rows] == [(("new",), Decimal("0.00175"))]


counts = st.integers(0, 2**31)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
amounts = st.decimals(0, 1000, places=6)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    audio_input_tokens=counts,
    meters=st.dictionaries(texts, amounts, max_size=2),
)
calls = st.builds(
    Call,
    ts=st.integers(0, 28 * 86_400_000).map(lambda ms: NOVEMBER.start + timedelta(milliseconds=ms)),
    call_id=st.uuids().map(str),
    trace_id=texts,
    span_id=texts,
    feature=texts,
    server_port=st.none() | st.integers(0, 65535),
    model=st.sampled_from(["gpt-4o", "gpt-5-2025-08-07", "whisper-1", "mystery-1", "gpt-realtime"]),
    provider=st.just("openai"),
    attempt_statuses=st.lists(st.integers(100, 599), max_size=3).map(tuple),
    timeout_set=st.none() | st.booleans(),
    stream=st.booleans(),
    batch=st.booleans(),
    tags=st.dictionaries(texts, texts, max_size=2),
    usage=usages,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(calls, min_size=1, max_size=5, unique_by=lambda one: one.call_id))
def test_a_call_comes_back_as_it_was_stored(store: Store, many: Sequence[Call]) -> None:
    empty(store)
    add(store, *many)
    found: dict[str, tuple[Call, Priced]] = {}
    for span in store.repricing_spans(NOVEMBER, EVERYTHING):
        rows, *_ = repricing_steps.rows_of(store._connection, span, NOVEMBER, EVERYTHING)
        found |= {one.call_id: (one, priced) for one, priced in rows}

    for one in many:
        stored, priced = found[one.call_id]
        assert stored == one
        assert priced == as_stored(SHIPPED.priced(one))
