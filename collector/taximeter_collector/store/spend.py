"""Questions about money: how much, by what, over which period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from taximeter_collector.store import dearest
from taximeter_collector.store.connection import Connected, Connection
from taximeter_collector.store.question import Question
from taximeter_collector.store.scope import Dimension, Period, Scope
from taximeter_collector.store.spend_row import MEASURES, SpendRow

MOMENTS = {Dimension.HOUR, Dimension.DAY}


class SpendQuestions(Connected):
    def spend(
        self,
        period: Period,
        by: Sequence[Dimension] = (),
        scope: Scope = Scope(),  # noqa: B008
        limit: int | None = None,
        least: Decimal | None = None,
    ) -> list[SpendRow]:
        """Return the spend of a period by some dimensions, the dearest first, from `least` on."""
        if list(by) == [Dimension.USER]:
            names = self._dearest_users(period, scope, limit, least)
            scope = scope if names is None else scope.narrowed(Dimension.USER, *names)
        sums = _sums(self._connection, period, by, MEASURES, scope, limit, least)
        return list(_rows(by, sums))

    def dearest_users(
        self,
        period: Period,
        scope: Scope = Scope(),  # noqa: B008
        *,
        limit: int,
    ) -> list[str]:
        """Return the names of who cost most, perhaps with a few more."""
        return self._dearest_users(period, scope, limit, None) or []

    def _dearest_users(
        self, period: Period, scope: Scope, limit: int | None, least: Decimal | None
    ) -> list[str] | None:
        """Find them for far less than all measures of everybody; None where it would not be."""
        names = dearest.names(self._connection, period, scope, limit, least)
        if names is None and limit is not None:
            by, measures = [Dimension.USER], ["cost", "calls"]
            rows = _sums(self._connection, period, by, measures, scope, limit, least)
            names = [user for user, *_ in rows]
        return names


def _sums(
    connection: Connection,
    period: Period,
    by: Sequence[Dimension],
    measures: Sequence[str],
    scope: Scope,
    limit: int | None,
    least: Decimal | None,
) -> Sequence[Sequence[Any]]:
    question = Question({*by, *scope.dimensions}, scope)
    sums = [f"sum(part.{measure}) as {measure}_sum" for measure in measures]
    sql = f"""
        select {", ".join([*by, *sums])}
        from ({question.parts(period)}) as part
        where {question.condition()}
        {"group by " + ", ".join(by) if by else ""}
        {"" if least is None else f"having cost_sum >= {question.bind(least, 'Decimal(38, 12)')}"}
        order by cost_sum desc, {", ".join([*by, "calls_sum"])}
        {"" if limit is None else f"limit {limit:d}"}
    """  # noqa: S608 the columns are names of ours, values are bound
    return connection.read_sums(sql, question.bound, period).result_rows


def _rows(by: Sequence[Dimension], rows: Iterable[Sequence[Any]]) -> Iterator[SpendRow]:
    moments = [place for place, dimension in enumerate(by) if dimension in MOMENTS]
    moment = max(moments, key=lambda place: by[place] is Dimension.HOUR, default=None)
    names = [place for place in range(len(by)) if place not in moments]
    for values in rows:
        at = None if moment is None else values[moment]
        yield SpendRow(
            tuple([values[place] for place in names]),
            at and datetime(at.year, at.month, at.day, getattr(at, "hour", 0), tzinfo=UTC),
            *values[len(by) :],
        )
