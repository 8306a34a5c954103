"""The spend of many scopes at once, as budgets ask for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from math import prod
from typing import Final

from taximeter_collector.store.scope import Dimension, Period, Scope
from taximeter_collector.store.spend import SpendQuestions
from taximeter_collector.store.spend_row import SpendRow, total_of

MOST_BOUND_VALUES: Final = 2_000
"""A query that would be narrowed to more values reads all: a server limits a request's length."""


class ScopeQuestions(SpendQuestions):
    def spent(self, period: Period, scopes: Mapping[str, Scope]) -> dict[str, SpendRow]:
        """Return the spend of each named scope; those that name the same columns share a query."""
        alike: dict[tuple[Dimension, ...], dict[str, Scope]] = defaultdict(dict)
        found: dict[str, SpendRow] = {}
        for name, scope in scopes.items():
            if scope.has_tags:
                found[name] = self.spend(period, scope=scope)[0]
            else:
                alike[scope.dimensions][name] = scope
        for by, sharing in alike.items():
            rows = {row.key: row for row in self.spend(period, by, _union(by, sharing.values()))}
            for name, scope in sharing.items():
                found[name] = total_of(_inside(scope, by, rows))
        return found


def _inside(
    scope: Scope, by: Sequence[Dimension], rows: Mapping[tuple[str, ...], SpendRow]
) -> list[SpendRow]:
    if not scope.without:
        wanted = [set(scope.values[dimension]) for dimension in by]
        if prod(map(len, wanted)) <= len(rows):
            return [rows[key] for key in product(*wanted) if key in rows]
    return [row for key, row in rows.items() if all(map(scope.has, by, key))]


def _union(by: Sequence[Dimension], scopes: Collection[Scope]) -> Scope:
    """Return a scope that holds all of these, which name the dimensions of `by`."""
    values = {
        dimension: tuple({value for scope in scopes for value in scope.values[dimension]})
        for dimension in by
        if all(dimension in scope.values for scope in scopes)
    }
    return Scope({name: some for name, some in values.items() if len(some) <= MOST_BOUND_VALUES})
