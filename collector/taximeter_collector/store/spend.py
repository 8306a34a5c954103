"""Questions about money: how much, by what, over which period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from taximeter_collector.store.connection import Connected, Connection
from taximeter_collector.store.scope import DAY, HOUR, Dimension, Period, Scope, ceiling, floor


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow:
    """Sums over calls. `cost` is of the priced calls: at least, when any are unpriced."""

    key: tuple[str, ...] = ()
    at: datetime | None = None
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


MEASURES = tuple([field.name for field in fields(SpendRow) if field.name not in ("key", "at")])


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
        if limit is not None and list(by) == [Dimension.USER]:
            names = self.dearest_users(period, scope, limit=limit, least=least)
            scope = scope.narrowed(Dimension.USER, *names)
        sums = _sums(self._connection, period, by, MEASURES, scope, limit, least)
        return list(_rows(by, sums))

    def dearest_users(
        self,
        period: Period,
        scope: Scope = Scope(),  # noqa: B008
        *,
        limit: int,
        least: Decimal | None = None,
    ) -> list[str]:
        """Return who cost most, the dearest first: of very many, for far less than all measures."""
        by = [Dimension.USER]
        rows = _sums(self._connection, period, by, ["cost", "calls"], scope, limit, least)
        return [user for user, *_ in rows]


def _sums(
    connection: Connection,
    period: Period,
    by: Sequence[Dimension],
    measures: Sequence[str],
    scope: Scope,
    limit: int | None,
    least: Decimal | None,
) -> Sequence[Sequence[Any]]:
    question = _Question({*by, *scope.dimensions}, scope)
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
    return connection.read(sql, question.bound).result_rows


def total_of(rows: Iterable[SpendRow], key: tuple[str, ...] = ()) -> SpendRow:
    """Return the sum of rows."""
    sums: dict[str, Any] = dict.fromkeys(MEASURES, 0)
    for row in rows:
        for measure in MEASURES:
            sums[measure] += getattr(row, measure)
    money = {name: Decimal(sums[name]) for name in MEASURES if "cost" in name}
    return SpendRow(key=key, **{**sums, **money})


def summed_by(rows: Iterable[SpendRow], places: Sequence[int] = (0,)) -> list[SpendRow]:
    """Return the sums by some parts of the rows' keys, the dearest first."""
    alike: dict[tuple[str, ...], list[SpendRow]] = defaultdict(list)
    for row in rows:
        alike[tuple([row.key[place] for place in places])].append(row)
    sums = [total_of(some, key) for key, some in alike.items()]
    return sorted(sums, key=lambda row: (-row.cost, row.key))


def calls_within(period: Period, scope: Scope) -> tuple[str, dict[str, Any]]:
    """Return the SQL condition of the rows of `calls` there, and the values bound in it."""
    question = _Question((), scope)
    # The table is sorted by the hour.
    condition = f"""
        toStartOfHour(ts) >= toStartOfHour({{since:DateTime64(3, 'UTC')}})
            and toStartOfHour(ts) <= toStartOfHour({{until:DateTime64(3, 'UTC')}})
            and ts >= {{since:DateTime64(3, 'UTC')}} and ts < {{until:DateTime64(3, 'UTC')}}
            and {question.condition()}
    """
    return condition, {**question.bound, "since": period.start, "until": period.end}


class _Question:
    """One query in the making: the columns it needs and the values bound so far."""

    def __init__(self, dimensions: Iterable[Dimension], scope: Scope) -> None:
        self.dimensions = set(dimensions)
        self.scope = scope
        self.bound: dict[str, Any] = {}

    def bind(self, value: object, kind: str) -> str:
        name = f"v{len(self.bound)}"
        self.bound[name] = value
        return f"{{{name}:{kind}}}"

    def condition(self) -> str:
        conditions = [
            f"{dimension} in {self.bind(list(values), 'Array(String)')}"
            for dimension, values in self.scope.values.items()
        ]
        conditions += [
            f"{dimension} not in {self.bind(list(values), 'Array(String)')}"
            for dimension, values in self.scope.without.items()
        ]
        return " and ".join(conditions) or "true"

    def parts(self, period: Period) -> str:
        """Select what adds up to the period: what is whole from a rollup, the rest from rows."""
        rollup = self._rollup(period)
        if rollup is None or self.scope.has_tags:
            return self._rows(period)
        first, last = ceiling(period.start, rollup.grain), floor(period.end, rollup.grain)
        if first >= last:
            return self._rows(period)
        parts = [self._rolled_up(rollup, Period(first, last))]
        if period.start < first:
            parts.append(self._rows(Period(period.start, first)))
        if last < period.end:
            parts.append(self._rows(Period(last, period.end)))
        return "\nunion all\n".join(parts)

    def _rollup(self, period: Period) -> Rollup | None:
        """Return the coarsest rollup that knows the dimensions."""
        if self.dimensions - {Dimension.DAY} == {Dimension.USER}:
            return USER_TOTALS_BY_DAY
        if Dimension.USER in self.dimensions:
            return USERS_BY_DAY if self.dimensions <= KNOWN_OF_USERS else None
        whole_days = all(floor(end, DAY) == end for end in (period.start, period.end))
        return BY_DAY if whole_days and not self.dimensions & FINER_THAN_A_DAY else BY_HOUR

    def _rolled_up(self, rollup: Rollup, period: Period) -> str:
        start, end = (
            self.bind(moment.date() if rollup.grain == DAY else moment, rollup.kind)
            for moment in (period.start, period.end)
        )
        return f"""
            select {self._columns("day" if rollup.grain == DAY else "toDate(hour)")}
            from taximeter.{rollup.view}
            where {rollup.moment} >= {start} and {rollup.moment} < {end}
        """  # noqa: S608 as above

    def _rows(self, period: Period) -> str:
        hours = (floor(period.start, HOUR), ceiling(period.end, HOUR))
        first, last = (self.bind(hour, "DateTime('UTC')") for hour in hours)
        start, end = (
            self.bind(moment, "DateTime64(3, 'UTC')") for moment in (period.start, period.end)
        )
        return f"""
            select {self._columns("toDate(hour)")}
            from taximeter.spend_of_calls
            where hour >= {first} and hour < {last} and ts >= {start} and ts < {end}
                and {self._tags()}
        """  # noqa: S608 as above

    def _tags(self) -> str:
        conditions = [
            f"tags[{self.bind(name, 'String')}] {word} {self.bind(list(values), 'Array(String)')}"
            for word, tags in (("in", self.scope.tags), ("not in", self.scope.without_tags))
            for name, values in tags.items()
        ]
        return " and ".join(conditions) or "true"

    def _columns(self, day: str) -> str:
        keys = {dimension.value: dimension.value for dimension in self.dimensions}
        if Dimension.DAY in keys:
            keys[Dimension.DAY] = f"{day} as day"
        return ", ".join([*(keys[name] for name in sorted(keys)), *MEASURES])


class Rollup(NamedTuple):
    """A view that is exact at every moment, one row each grain of time and set of dimensions."""

    view: str
    moment: str
    kind: str
    grain: timedelta


BY_HOUR = Rollup("spend_by_hour", "hour", "DateTime('UTC')", HOUR)
BY_DAY = Rollup("spend_by_day", "day", "Date", DAY)
USER_TOTALS_BY_DAY = Rollup("user_totals_by_day", "day", "Date", DAY)
USERS_BY_DAY = Rollup("users_by_day", "day", "Date", DAY)
MOMENTS = {Dimension.HOUR, Dimension.DAY}
FINER_THAN_A_DAY = {Dimension.HOUR, Dimension.PROMPT_NAME, Dimension.PROMPT_VERSION}
KNOWN_OF_USERS = {
    Dimension.USER,
    Dimension.FEATURE,
    Dimension.TEAM,
    Dimension.MODEL,
    Dimension.ENVIRONMENT,
    Dimension.DAY,
}


def _rows(by: Sequence[Dimension], rows: Iterable[Sequence[Any]]) -> Iterator[SpendRow]:
    moments = [place for place, dimension in enumerate(by) if dimension in MOMENTS]
    moment = max(moments, key=lambda place: by[place] is Dimension.HOUR, default=None)
    names = [place for place in range(len(by)) if place not in moments]
    for values in rows:
        at = None if moment is None else values[moment]
        yield SpendRow(
            key=tuple([values[place] for place in names]),
            at=at and datetime(at.year, at.month, at.day, getattr(at, "hour", 0), tzinfo=UTC),
            **dict(zip(MEASURES, values[len(by) :], strict=True)),
        )
