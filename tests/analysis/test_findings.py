"""What would save money, from calls in the store to dollars a month."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from builders import NOON, Rows, call
from taximeter_analysis.findings import MONTH_DAYS, Finding, findings
from taximeter_collector.calls import Call
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Dimension, Period, Scope, Store

TEN_DAYS = Period(NOON - timedelta(days=10), NOON)
BOOK = PriceBook.shipped()


def add(store: Store, *calls: Call) -> None:
    rows: Rows = [(one, BOOK.priced(one)) for one in calls]
    store.add(rows, token=f"f{id(calls)}", book_version="b", now=NOON)


def many(count: int, **fields: object) -> list[Call]:
    defaults = {"ts": NOON - timedelta(days=1), "server_address": "api.openai.com"}
    return [call(**{**defaults, **fields}) for _ in range(count)]  # type: ignore[arg-type]


def found(store: Store, scope: Scope = Scope()) -> dict[str, Finding]:  # noqa: B008
    habits = store.habits(TEN_DAYS, scope)
    return {one.kind: one for one in findings(habits, BOOK, NOON)}


def test_calls_that_nobody_waits_for_cost_half_in_a_batch(store: Store) -> None:
    # 1,000,000 in at $2.50 a million and 100 out at $10: $2.501 a call.
    patient = many(30, feature="nightly", input_tokens=1_000_000)
    waited_for = many(70, feature="nightly", user_id="ada", input_tokens=1_000_000)
    add(store, *patient, *waited_for)

    one = found(store)["batch"]

    assert (one.feature, one.model) == ("nightly", "gpt-4o")
    assert one.evidence.startswith("30% of its calls")
    assert one.usd_a_month == 30 * Decimal("2.501") / 2 / 10 * MONTH_DAYS


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": True},
        {"user_id": "ada"},
        {"batch": True},
        {"service_tier": "flex"},
        {"endpoint": "audio.speech"},
    ],
)
def test_calls_that_somebody_waits_for_are_left_alone(
    store: Store, fields: dict[str, object]
) -> None:
    add(store, *many(100, input_tokens=1_000_000, **fields))

    assert "batch" not in found(store)


def test_simple_calls_are_priced_by_the_smaller_model(store: Store) -> None:
    add(store, *many(4000, feature="classify", input_tokens=2000, output_tokens=10, stream=True))

    one = found(store)["smaller_model"]

    # gpt-4o $2.50 and $10 a million; gpt-4o-mini $0.15 and $0.60.
    saved = 2000 * Decimal("2.35") / 1_000_000 + 10 * Decimal("9.40") / 1_000_000
    assert one.advice == "try gpt-4o-mini for simple calls"
    assert one.usd_a_month == 4000 * saved / 10 * MONTH_DAYS


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": {"reasoning_tokens": 5}},
        {"finish_reason": "tool_calls"},
        {"output_tokens": 500},
        {"input_tokens": 20_000},
        {"model": "gpt-4.1-nano"},
    ],
)
def test_calls_that_need_the_model_are_left_alone(store: Store, fields: dict[str, object]) -> None:
    add(store, *many(3000, **{"input_tokens": 1500, "output_tokens": 10, **fields}))

    assert "smaller_model" not in found(store)


def test_answers_without_a_limit_have_a_tail(store: Store) -> None:
    usual = many(990, output_tokens=200)
    tail = many(5, output_tokens=100_200)
    add(store, *usual, *tail)

    one = found(store)["max_tokens"]

    assert one.advice == "set max_tokens to about 200"
    assert "the longest had 100,200" in one.evidence
    assert one.usd_a_month == 5 * 100_000 * Decimal("0.00001") / 10 * MONTH_DAYS


def test_answers_with_a_limit_near_their_length_are_left_alone(store: Store) -> None:
    add(store, *many(990, output_tokens=200, max_output_tokens=800))
    add(store, *many(5, output_tokens=800, max_output_tokens=800))

    assert "max_tokens" not in found(store)


def test_a_finding_is_of_the_scope_and_the_period(store: Store) -> None:
    add(store, *many(30, feature="nightly", input_tokens=1_000_000))
    add(store, *many(30, feature="old", ts=NOON - timedelta(days=11), input_tokens=1_000_000))

    assert found(store, Scope({Dimension.FEATURE: ("other",)})) == {}
    assert {one.feature for one in found(store).values()} == {"nightly"}


def test_what_saves_less_than_a_dollar_a_month_is_not_told(store: Store) -> None:
    add(store, *many(30))

    assert found(store) == {}
