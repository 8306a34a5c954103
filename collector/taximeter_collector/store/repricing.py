"""Stored calls priced anew: which ones, what changes, and what was noted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from operator import add
from typing import Any, Final

from taximeter_collector.calls import Call, Priced
from taximeter_collector.store.columns import READ_COLUMNS, Row, as_stored, call_and_price
from taximeter_collector.store.connection import Connected, Connection
from taximeter_collector.store.question import calls_within
from taximeter_collector.store.scope import HOUR, Period, Scope

CALLS_A_STEP: Final = 20_000
NO_MONEY: Final = Decimal(0)
NOTHING: Final = (0, 0, NO_MONEY, NO_MONEY, 0, 0)

Line = tuple[Any, ...]
"""The values of a `RepricedModel`."""


@dataclass(frozen=True, slots=True)
class RepricedModel:
    """A day's calls of one model before and after, in US dollars of the priced ones."""

    day: date
    model: str
    calls: int
    changed: int
    before: Decimal
    after: Decimal
    unpriced_before: int
    unpriced_after: int


@dataclass(frozen=True, slots=True)
class Span:
    """Whole hours, or the part of one hour between two call ids."""

    first: datetime
    end: datetime
    after: str = ""
    upto: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    span: Span
    lines: tuple[RepricedModel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repricing:
    """A job that prices the calls of a period anew."""

    id: str
    asked_by: str
    started_at: datetime
    finished_at: datetime | None = None
    book_version: str
    period: Period
    scope: Scope

    def is_like(self, other: Repricing) -> bool:
        """Tell whether to go on with one is to do the other."""
        mine, its = ((one.period, one.book_version, one.scope) for one in (self, other))
        return mine == its


class Repricings(Connected):
    def repricing_spans(self, period: Period, scope: Scope) -> list[Span]:
        """Cut the hours that have calls into spans of a bounded number of them, in order."""
        condition, bound = calls_within(period, scope)
        rows = self._connection.read(
            f"""
            select toStartOfHour(ts) as at, count()
            from taximeter.calls
            where {condition}
            group by at
            order by at
            """,  # noqa: S608 the columns are names of ours, values are bound
            bound,
        ).result_rows
        found: list[Span] = []
        calls_so_far = 0
        for first, calls in rows:
            calls_so_far += calls
            if found and calls_so_far <= CALLS_A_STEP:
                found[-1] = replace(found[-1], end=first + HOUR)
            else:
                found.append(Span(first, first + HOUR))
                calls_so_far = calls
        return found

    def keep_repricing(self, one: Repricing) -> None:
        self._connection.insert(
            "repricings",
            {
                "id": [one.id],
                "asked_by": [one.asked_by],
                "started_at": [one.started_at],
                "finished_at": [one.finished_at],
                "book_version": [one.book_version],
                "start": [one.period.start],
                "end": [one.period.end],
                "scope": [{str(name): list(values) for name, values in one.scope.values.items()}],
            },
        )

    def keep_step(self, id_: str, step: Step) -> None:
        self._connection.insert(
            "repricing_steps",
            {
                "id": [id_],
                "first_hour": [step.span.first],
                "end_hour": [step.span.end],
                "after": [step.span.after],
                "upto": [step.span.upto],
                "lines": [[astuple(line) for line in step.lines]],
            },
        )

    def repricings(self) -> list[Repricing]:
        """Return the jobs of the past, the newest first."""
        rows = self._connection.rows(
            """
            select
                id, asked_by, started_at, max(one.finished_at) as finished_at, book_version,
                start, end, scope
            from taximeter.repricings as one
            group by id, asked_by, started_at, book_version, start, end, scope
            order by started_at desc
            limit 100
            """
        )
        return [
            Repricing(
                period=Period(row.pop("start"), row.pop("end")),
                scope=Scope.of(row.pop("scope")),
                **row,
            )
            for row in rows
        ]

    def repricing_steps(self, id_: str) -> list[Step]:
        """Return what was noted of a job, in order."""
        rows = self._connection.read(
            """
            select first_hour, end_hour, after, upto, lines
            from taximeter.repricing_steps final
            where id = {id:String}
            order by first_hour, after
            """,
            {"id": id_},
        ).result_rows
        return [
            Step(Span(*span), tuple(RepricedModel(**line) for line in lines))
            for *span, lines in rows
        ]


def rows_of(
    connection: Connection, span: Span, period: Period, scope: Scope
) -> tuple[list[Row], Span, int]:
    """Return calls as they are stored, the span that they fill, and their newest revision."""
    condition, bound = calls_within(period, scope)
    is_one_hour = span.end - span.first == HOUR
    rows = connection.read(
        f"""
        select revision, {", ".join(READ_COLUMNS)}
        from taximeter.calls final
        where {condition}
            and toStartOfHour(ts) >= {{first:DateTime('UTC')}}
            and toStartOfHour(ts) < {{end:DateTime('UTC')}}
            and call_id > {{after:String}}
            and ({{upto:String}} = '' or call_id <= {{upto:String}})
        {"order by call_id limit {most:UInt32}" if is_one_hour else ""}
        """,  # noqa: S608 as above
        {
            **bound,
            "first": span.first,
            "end": span.end,
            "after": span.after,
            "upto": span.upto,
            "most": CALLS_A_STEP,
        },
    ).result_rows
    found = [call_and_price(row[1:]) for row in rows]
    newest = max((row[0] for row in rows), default=0)
    if is_one_hour and len(found) == CALLS_A_STEP and not span.upto:
        span = replace(span, upto=found[-1][0].call_id)
    return found, span, newest


def repriced(
    rows: Iterable[Row], price: Callable[[Call], Priced]
) -> tuple[list[Row], tuple[RepricedModel, ...]]:
    """Return the calls whose price is another now, and the sums of all before and after."""
    changed: list[Row] = []
    counted: list[Line] = []
    for call, before in rows:
        later = as_stored(price(call))
        if later != before:
            changed.append((call, later))
        counts = (
            1,
            later != before,
            before.usd or NO_MONEY,
            later.usd or NO_MONEY,
            before.usd is None,
            later.usd is None,
        )
        counted.append((call.ts.date(), call.model, *counts))
    return changed, _added(counted)


def summed(lines: Iterable[RepricedModel]) -> tuple[RepricedModel, ...]:
    """Add lines of the same day and model, and sort them."""
    return _added(map(astuple, lines))


def _added(lines: Iterable[Line]) -> tuple[RepricedModel, ...]:
    sums: dict[Line, Line] = {}
    for day, model, *counts in lines:
        key = day, model
        sums[key] = tuple(map(add, sums.get(key, NOTHING), counts))
    return tuple(RepricedModel(*key, *sums[key]) for key in sorted(sums))
