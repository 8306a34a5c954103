"""Questions about calls in the making: where the engine reads what adds up to a period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from taximeter_collector.store.scope import DAY, HOUR, Dimension, Period, Scope, ceiling, floor
from taximeter_collector.store.spend_row import MEASURES


class Rollup(NamedTuple):
    """A view that is exact at every moment, one row each grain of time and set of dimensions."""

    view: str
    moment: str
    kind: str
    grain: timedelta
    also: Sequence[str] = ()
    """Columns of dollars that calls do not have."""


BY_HOUR = Rollup("spend_by_hour", "hour", "DateTime('UTC')", HOUR)
BY_DAY = Rollup("spend_by_day", "day", "Date", DAY)
USER_TOTALS_BY_DAY = Rollup("user_totals_by_day", "day", "Date", DAY)
USERS_BY_DAY = Rollup("users_by_day", "day", "Date", DAY)
FINER_THAN_A_DAY = {Dimension.HOUR, Dimension.PROMPT_NAME, Dimension.PROMPT_VERSION}
KNOWN_OF_USERS = {
    Dimension.USER,
    Dimension.FEATURE,
    Dimension.TEAM,
    Dimension.MODEL,
    Dimension.ENVIRONMENT,
    Dimension.DAY,
}


def calls_within(period: Period, scope: Scope) -> tuple[str, dict[str, Any]]:
    """Return the SQL condition of the rows of `calls` there, and the values bound in it."""
    question = Question((), scope)
    # The table is sorted by the hour.
    condition = f"""
        toStartOfHour(ts) >= toStartOfHour({{since:DateTime64(3, 'UTC')}})
            and toStartOfHour(ts) <= toStartOfHour({{until:DateTime64(3, 'UTC')}})
            and ts >= {{since:DateTime64(3, 'UTC')}} and ts < {{until:DateTime64(3, 'UTC')}}
            and {question.condition()}
    """
    return condition, {**question.bound, "since": period.start, "until": period.end}


class Question:
    """One query in the making: the columns it needs and the values bound so far."""

    def __init__(
        self,
        dimensions: Iterable[Dimension],
        scope: Scope,
        measures: Sequence[str] = MEASURES,
        rollup: Rollup | None = None,
    ) -> None:
        """Set it up; without a rollup it is the coarsest that knows the dimensions."""
        self.dimensions = set(dimensions)
        self._measures = measures
        self._given = rollup
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
        """Select what adds up to the period: what is whole from rollups, the rest from rows."""
        rollup = self._given or self._rollup()
        if rollup is None or self.scope.has_tags:
            return self._rows(period)
        return "\nunion all\n".join(self._parts(period, rollup))

    def _parts(self, period: Period, rollup: Rollup) -> Iterator[str]:
        first, last = ceiling(period.start, rollup.grain), floor(period.end, rollup.grain)
        if first >= last:
            yield from self._finer(period, rollup)
            return
        if period.start < first:
            yield from self._finer(Period(period.start, first), rollup)
        yield self._rolled_up(rollup, Period(first, last))
        if last < period.end:
            yield from self._finer(Period(last, period.end), rollup)

    def _finer(self, period: Period, rollup: Rollup) -> Iterator[str]:
        if rollup is BY_DAY:
            yield from self._parts(period, BY_HOUR)
        else:
            yield self._rows(period, rollup.also)

    def _rollup(self) -> Rollup | None:
        """Return the coarsest rollup that knows the dimensions."""
        if self.dimensions - {Dimension.DAY} == {Dimension.USER}:
            return USER_TOTALS_BY_DAY
        if Dimension.USER in self.dimensions:
            return USERS_BY_DAY if self.dimensions <= KNOWN_OF_USERS else None
        return BY_HOUR if self.dimensions & FINER_THAN_A_DAY else BY_DAY

    def _rolled_up(self, rollup: Rollup, period: Period) -> str:
        start, end = (
            self.bind(moment.date() if rollup.grain == DAY else moment, rollup.kind)
            for moment in (period.start, period.end)
        )
        return f"""
            select {self._columns("day" if rollup.grain == DAY else "toDate(hour)", rollup.also)}
            from taximeter.{rollup.view}
            where {rollup.moment} >= {start} and {rollup.moment} < {end}
        """  # noqa: S608 the columns are names of ours, values are bound

    def _rows(self, period: Period, also: Iterable[str] = ()) -> str:
        hours = (floor(period.start, HOUR), ceiling(period.end, HOUR))
        first, last = (self.bind(hour, "DateTime('UTC')") for hour in hours)
        start, end = (
            self.bind(moment, "DateTime64(3, 'UTC')") for moment in (period.start, period.end)
        )
        nothing = [f"toDecimal128(0, 12) as {name}" for name in also]
        return f"""
            select {self._columns("toDate(hour)", nothing)}
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

    def _columns(self, day: str, also: Iterable[str]) -> str:
        keys = {dimension.value: dimension.value for dimension in self.dimensions}
        if Dimension.DAY in keys:
            keys[Dimension.DAY] = f"{day} as day"
        return ", ".join([*(keys[name] for name in sorted(keys)), *self._measures, *also])
