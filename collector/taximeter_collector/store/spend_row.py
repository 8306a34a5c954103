"""A row of sums over calls, and sums of such rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple


class SpendRow(NamedTuple):
    """Sums over calls. `cost` is of the priced calls: at least, when any are unpriced."""

    key: tuple[str, ...]
    at: datetime | None
    """Start of the hour or UTC day that the row sums."""
    cost: Decimal
    estimated_cost: Decimal
    cost_input: Decimal
    cost_cached_input: Decimal
    cost_cache_write: Decimal
    cost_output: Decimal
    calls: int
    errors: int
    unpriced_calls: int
    estimated_calls: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int

    @staticmethod
    def nothing() -> SpendRow:
        return total_of(())

    @property
    def cost_other(self) -> Decimal:
        """Cost of audio, images, tools and whatever else is not a token of text."""
        text = self.cost_input + self.cost_cached_input + self.cost_cache_write + self.cost_output
        return self.cost - text

    @property
    def per_1000_calls(self) -> Decimal | None:
        """Dollars per 1,000 of the priced calls."""
        priced = self.calls - self.unpriced_calls
        return self.cost * 1000 / priced if priced else None


MEASURES = SpendRow._fields[2:]


def total_of(rows: Iterable[SpendRow], key: tuple[str, ...] = ()) -> SpendRow:
    """Return the sum of rows."""
    sums: dict[str, Any] = dict.fromkeys(MEASURES, 0)
    for row in rows:
        for measure in MEASURES:
            sums[measure] += getattr(row, measure)
    money = {name: Decimal(sums[name]) for name in MEASURES if "cost" in name}
    return SpendRow(key, None, **{**sums, **money})


def summed_by(rows: Iterable[SpendRow], places: Sequence[int] = (0,)) -> list[SpendRow]:
    """Return the sums by some parts of the rows' keys, the dearest first."""
    alike: dict[tuple[str, ...], list[SpendRow]] = defaultdict(list)
    for row in rows:
        alike[tuple([row.key[place] for place in places])].append(row)
    sums = [total_of(some, key) for key, some in alike.items()]
    return sorted(sums, key=lambda row: (-row.cost, row.key))
