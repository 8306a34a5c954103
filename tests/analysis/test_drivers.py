from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taximeter_analysis.drivers import causes, drivers
from taximeter_collector.store import SpendRow

TEXT_PRICE = Decimal("0.000002")


def row(key: str, calls: int, **fields: Any) -> SpendRow:
    return SpendRow.nothing()._replace(key=(key,), calls=calls, **fields)


def priced(key: str, calls: int, tokens: int, price: Decimal = TEXT_PRICE) -> SpendRow:
    """Build the row of calls of so many input tokens each, at a price a token."""
    cost = calls * tokens * price
    return row(key, calls, input_tokens=calls * tokens, cost=cost, cost_input=cost)


def test_twice_the_calls_are_volume() -> None:
    found = causes([priced("a", 20, 1000)], [priced("a", 10, 1000)])

    assert found.volume == found.total == Decimal("0.02")


def test_longer_prompts_are_use_and_dearer_tokens_price() -> None:
    before = [priced("a", 10, 1000)]

    longer = causes([priced("a", 10, 3000)], before)
    dearer = causes([priced("a", 10, 1000, TEXT_PRICE * 2)], before)

    assert longer.use == longer.total == Decimal("0.04")
    assert dearer.price == dearer.total == Decimal("0.02")


def test_calls_that_move_to_a_dearer_model_are_mix() -> None:
    before = [priced("cheap", 90, 100), priced("dear", 10, 1000)]
    now = [priced("cheap", 50, 100), priced("dear", 50, 1000)]

    found = causes(now, before)

    assert found.mix == found.total == 40 * 900 * TEXT_PRICE
    assert found.volume == found.use == found.price == found.new == 0


def test_what_was_not_there_before_is_new() -> None:
    found = causes([priced("a", 10, 1000), priced("b", 10, 1000)], [priced("a", 10, 1000)])

    assert found.new == Decimal("0.02")
    assert found.volume == -found.mix
    assert found.total == Decimal("0.02")
    assert causes([priced("a", 1, 10)], []).new == 10 * TEXT_PRICE


amounts = st.decimals(min_value=0, max_value=10_000, places=12)
counts = st.integers(min_value=0, max_value=10**7)


@st.composite
def sums(draw: st.DrawFn, key: str) -> SpendRow:
    parts = {name: draw(amounts) for name in ("cost_input", "cost_cached_input", "cost_output")}
    calls, cached = draw(counts), draw(counts)
    return row(
        key,
        calls,
        unpriced_calls=draw(st.integers(0, calls)),
        input_tokens=cached + draw(counts),
        cached_input_tokens=cached,
        output_tokens=draw(counts),
        cost=sum(parts.values(), draw(amounts)),
        **parts,
    )


rows = st.lists(st.sampled_from("abcde"), unique=True).flatmap(
    lambda keys: st.tuples(*(sums(key) for key in keys))
)


@given(rows, rows)
def test_the_causes_sum_to_the_change_to_the_last_digit(
    now: tuple[SpendRow, ...], before: tuple[SpendRow, ...]
) -> None:
    change = sum((one.cost for one in now), Decimal(0)) - sum(
        (one.cost for one in before), Decimal(0)
    )

    assert causes(now, before).total == change


def test_drivers_are_told_by_their_rise() -> None:
    now = [priced("a", 10, 1000), priced("b", 30, 1000), priced("c", 1, 10)]
    before = [priced("a", 20, 1000), priced("b", 10, 1000)]

    found = drivers("feature", now, before)

    assert [(one.name, one.change) for one in found] == [
        ("b", Decimal("0.04")),
        ("c", Decimal("0.00002")),
        ("a", Decimal("-0.02")),
    ]
