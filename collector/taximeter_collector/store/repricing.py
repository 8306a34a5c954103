"""Stored calls priced anew: which ones, what changes, and what was noted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import add
from typing import Any, Final

from taximeter_collector.calls import Call, Priced
from taximeter_collector.store.columns import READ_COLUMNS, as_stored, call_and_price
from taximeter_collector.store.connection import Connection
from taximeter_collector.store.scope import HOUR, Period, Scope
from taximeter_collector.store.spend import scope_condition

CALLS_A_STEP: Final = 20_000
NO_MONEY: Final = Decimal(0)
NOTHING: Final = (0, 0, NO_MONEY, NO_MONEY, 0, 0)

Row = tuple[Call, Priced]


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

    def __add__(self, other: RepricedModel) -> RepricedModel:
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)[2:]
        }
        return replace(self, **sums)


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


def spans(connection: Connection, period: Period, scope: Scope) -> list[Span]:
    """Cut the hours that have calls into spans of a bounded number of them."""
    condition, bound = _condition(period, scope)
    rows = connection.read(
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
    for hour, calls in rows:
        first = hour.replace(tzinfo=UTC)
        calls_so_far += calls
        if found and calls_so_far <= CALLS_A_STEP:
            found[-1] = replace(found[-1], end=first + HOUR)
        else:
            found.append(Span(first, first + HOUR))
            calls_so_far = calls
    return found


def rows_of(
    connection: Connection, span: Span, period: Period, scope: Scope
) -> tuple[list[Row], Span, int]:
    """Return calls as they are stored, the span that they fill, and their newest revision."""
    condition, bound = _condition(period, scope)
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
    sums: dict[tuple[date, str], tuple[Any, ...]] = {}
    for call, before in rows:
        later = as_stored(price(call))
        if later != before:
            changed.append((call, later))
        one = (
            1,
            later != before,
            before.usd or NO_MONEY,
            later.usd or NO_MONEY,
            before.usd is None,
            later.usd is None,
        )
        key = call.ts.date(), call.model
        sums[key] = tuple(map(add, sums.get(key, NOTHING), one))
    return changed, tuple(RepricedModel(*key, *sums[key]) for key in sorted(sums))


def summed(lines: Iterable[RepricedModel]) -> tuple[RepricedModel, ...]:
    """Add lines of the same day and model, and sort them."""
    sums: dict[tuple[date, str], RepricedModel] = {}
    for line in lines:
        key = line.day, line.model
        sums[key] = sums[key] + line if key in sums else line
    return tuple(sums[key] for key in sorted(sums))


def keep_repricing(connection: Connection, one: Repricing) -> None:
    connection.insert(
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


def keep_step(connection: Connection, id_: str, step: Step) -> None:
    lines = [
        tuple(getattr(line, field.name) for field in fields(RepricedModel)) for line in step.lines
    ]
    connection.insert(
        "repricing_steps",
        {
            "id": [id_],
            "first_hour": [step.span.first],
            "end_hour": [step.span.end],
            "after": [step.span.after],
            "upto": [step.span.upto],
            "lines": [lines],
        },
    )


def repricings(connection: Connection) -> list[Repricing]:
    """Return the jobs of the past, the newest first."""
    rows = connection.read(
        """
        select id, asked_by, started_at, max(finished_at) as ended, book_version, start, end, scope
        from taximeter.repricings
        group by id, asked_by, started_at, book_version, start, end, scope
        order by started_at desc
        limit 100
        """
    ).result_rows
    return [_repricing(*row) for row in rows]


def steps(connection: Connection, id_: str) -> Iterator[Step]:
    """Yield what was noted of a job, in order."""
    rows = connection.read(
        """
        select first_hour, end_hour, after, upto, lines
        from taximeter.repricing_steps final
        where id = {id:String}
        order by first_hour, after
        """,
        {"id": id_},
    ).result_rows
    for first, end, after, upto, lines in rows:
        span = Span(first.replace(tzinfo=UTC), end.replace(tzinfo=UTC), after, upto)
        yield Step(span, tuple(RepricedModel(**line) for line in lines))


def _repricing(
    id_: str,
    asked_by: str,
    started_at: datetime,
    finished_at: datetime | None,
    book_version: str,
    start: datetime,
    end: datetime,
    scope: dict[str, Sequence[str]],
) -> Repricing:
    return Repricing(
        id=id_,
        asked_by=asked_by,
        started_at=started_at.replace(tzinfo=UTC),
        finished_at=finished_at and finished_at.replace(tzinfo=UTC),
        book_version=book_version,
        period=Period(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)),
        scope=Scope.of(scope),
    )


def _condition(period: Period, scope: Scope) -> tuple[str, dict[str, Any]]:
    condition, bound = scope_condition(scope)
    return (
        f"{condition} and ts >= {{start:DateTime64(3, 'UTC')}}"
        " and ts < {period_end:DateTime64(3, 'UTC')}"
        " and toStartOfHour(ts) >= toStartOfHour({start:DateTime64(3, 'UTC')})",
        {**bound, "start": period.start, "period_end": period.end},
    )
