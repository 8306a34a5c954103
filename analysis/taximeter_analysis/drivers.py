"""What drives a change of spend: an exact split by cause, and who changed most. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from typing import Final

from taximeter_collector.store import SpendRow

PLACES: Final = Decimal("0.000000000001")
ZERO: Final = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """A change of spend in US dollars by cause; the causes sum to it to the last digit."""

    volume: Decimal
    """More or fewer calls, at what a call cost before."""
    mix: Decimal
    """Other shares of features, models and prompt versions that were there before."""
    new: Decimal
    """What was not there before."""
    use: Decimal
    """More or fewer tokens, or other units, a call."""
    price: Decimal
    """Other prices of the same tokens."""

    @property
    def total(self) -> Decimal:
        return sum((getattr(self, field.name) for field in fields(self)), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One feature, model or user: its spend now and over the same time before, in US dollars."""

    dimension: str
    name: str
    now: Decimal
    before: Decimal
    why: str = ""
    """The largest cause, in words."""

    @property
    def change(self) -> Decimal:
        return self.now - self.before


def causes(now: Sequence[SpendRow], before: Sequence[SpendRow]) -> Causes:
    """Split the change between two sets of sums with the same kind of key, each key once."""
    old, new = _by_key(before), _by_key(now)
    calls, calls_before = (sum(map(_calls, some.values())) for some in (new, old))
    parts = dict.fromkeys(("volume", "mix", "new", "use", "price"), ZERO)
    growth = Fraction(calls, calls_before) if calls_before else ZERO
    for key, row in old.items():
        cost, share = Fraction(row.cost), _calls(row)
        a_call = cost / share if share else ZERO
        after = new.get(key)
        count = _calls(after) if after else 0
        parts["volume"] += (growth - 1) * share * a_call
        parts["mix"] += (count - growth * share) * a_call
        if not share:
            # Cost without a call has no price a call: it comes and goes by itself.
            parts["new"] -= cost
        if after is not None:
            use, price = _per_call(row, after) if share and count else (Fraction(after.cost), ZERO)
            parts["use"] += use
            parts["price"] += price
    parts["new"] += sum((Fraction(row.cost) for key, row in new.items() if key not in old), ZERO)
    return _rounded(parts)


def drivers(dimension: str, now: Sequence[SpendRow], before: Sequence[SpendRow]) -> list[Driver]:
    """Return the values of one dimension, the largest rise first."""
    old, new = ({row.key[0]: row.cost for row in rows} for rows in (before, now))
    found = [
        Driver(
            dimension=dimension,
            name=name,
            now=new.get(name, Decimal(0)),
            before=old.get(name, Decimal(0)),
        )
        for name in {*old, *new}
    ]
    return sorted(found, key=lambda one: (-one.change, -one.now, one.name))


def _by_key(rows: Sequence[SpendRow]) -> dict[tuple[str, ...], SpendRow]:
    return {row.key: row for row in rows}


def _calls(row: SpendRow) -> int:
    return row.calls - row.unpriced_calls


def _classes(row: SpendRow) -> list[tuple[int, Fraction]]:
    """Return tokens and cost by class of token."""
    plain = row.input_tokens - row.cached_input_tokens - row.cache_write_tokens
    return [
        (plain, Fraction(row.cost_input)),
        (row.cached_input_tokens, Fraction(row.cost_cached_input)),
        (row.cache_write_tokens, Fraction(row.cost_cache_write)),
        (row.output_tokens, Fraction(row.cost_output)),
    ]


def _per_call(before: SpendRow, after: SpendRow) -> tuple[Fraction, Fraction]:
    """Return what another use a call and other prices make of the calls after."""
    calls, calls_before = _calls(after), _calls(before)
    use = Fraction(after.cost_other) - Fraction(before.cost_other) * calls / calls_before
    price = ZERO
    for (tokens_before, cost_before), (tokens, cost) in zip(
        _classes(before), _classes(after), strict=True
    ):
        at_before = Fraction(calls * tokens_before, calls_before)
        if tokens_before > 0:
            a_token = cost_before / tokens_before
            use += (tokens - at_before) * a_token
            price += cost - tokens * a_token
        else:
            use += cost - Fraction(calls, calls_before) * cost_before
    return use, price


def _rounded(parts: Mapping[str, Fraction]) -> Causes:
    """Round each to what dollars are kept to; the largest takes what is left."""
    total = sum(parts.values(), ZERO)
    shown = {name: _decimal(part) for name, part in parts.items()}
    largest = max(shown, key=lambda name: abs(shown[name]))
    shown[largest] += _decimal(total) - sum(shown.values(), Decimal(0))
    return Causes(**shown)


def _decimal(value: Fraction) -> Decimal:
    scaled = round(value / Fraction(PLACES))
    return Decimal(scaled).scaleb(-12)
