"""Pages of spend by one dimension: features, models, users, prompts and the like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from functools import partial
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from taximeter_api.asked import SPAN_NAMES, Asked, asked
from taximeter_api.by_feature import change_of
from taximeter_api.csv_file import csv_file
from taximeter_api.environments import environments
from taximeter_api.kept import Kept
from taximeter_api.live import answered
from taximeter_api.page.environment import template
from taximeter_api.questions import Refused, is_csv
from taximeter_api.rise import COMPARED, Change, change_against
from taximeter_api.spend_rows import spend_table, told
from taximeter_api.together import together
from taximeter_collector.store import (
    Dimension,
    Scope,
    SpendRow,
    Store,
    summed_by,
    total_of,
)

ROWS: Final = 50
DAY: Final = timedelta(days=1)
PLAIN: Final = QueryParams()
"""The words of a page that nobody has narrowed."""


@dataclass(frozen=True, slots=True)
class View:
    """A page of spend by a dimension."""

    path: str
    title: str
    one: str
    """What a row is."""
    inside: str
    """The path of the page that a row's name leads to."""
    by: tuple[Dimension, ...]

    @property
    def names(self) -> list[str]:
        return [dimension.outside_name for dimension in self.by]


VIEWS: Final = (
    View("/features", "Features", "Feature", "/models", (Dimension.FEATURE,)),
    View("/models", "Models", "Model", "/features", (Dimension.MODEL,)),
    View("/users", "Users", "User", "/features", (Dimension.USER,)),
    View("/prompts", "Prompts", "Prompt", "/prompt-versions", (Dimension.PROMPT_NAME,)),
    View(
        "/prompt-versions",
        "Prompt versions",
        "Prompt and version",
        "/models",
        (Dimension.PROMPT_NAME, Dimension.PROMPT_VERSION),
    ),
    View("/teams", "Teams", "Team", "/features", (Dimension.TEAM,)),
    View("/environments", "Environments", "Environment", "/features", (Dimension.ENVIRONMENT,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the page; money in US dollars."""

    values: Mapping[str, str]
    """By what people call their dimensions."""
    now: SpendRow
    before: SpendRow | None
    """None where not all of that time was metered."""
    days: tuple[Decimal, ...]

    @property
    def name(self) -> str:
        return " ".join(filter(None, self.values.values())) or "(none)"

    def share(self, total: SpendRow) -> float:
        return float(self.now.cost / total.cost) if total.cost else 0.0

    @property
    def change(self) -> float | None:
        """Against as long a time before, 0.14 for +14 %; None when that can't be told."""
        return None if self.before is None else change_of(self.now, self.before)

    @property
    def why_no_change(self) -> str:
        if self.before is None:
            return "not all of the time before was metered"
        if self.now.unpriced_calls or self.before.unpriced_calls:
            return "calls of unknown cost, now or before"
        return "new: it cost nothing before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a page tells."""

    lines: list[Line]
    total: SpendRow
    change: Change | None
    """None where there is nothing to compare with."""


def explore_pages(store: Store, kept: Kept) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def page_of(view: View) -> None:
        def of(words: QueryParams, now: datetime) -> tuple[View, str, date]:
            return view, str(words), now.date()

        def take(words: QueryParams, now: datetime) -> Told:
            return told_of(store, view, asked(words, now))

        kept.take_ahead(partial(of, PLAIN), partial(take, PLAIN))

        @router.get(view.path)
        def page(request: Request, format: str = "") -> Response:  # noqa: A002 the address's word
            words, now = request.query_params, datetime.now(UTC)
            for word in ("only", "order"):
                if value := words.get(word):
                    raise Refused(
                        f"{word}={value!r}: it is for single calls, as /calls?only=errors"
                    )
            wanted = asked(words, now)
            if is_csv(format):
                rows = store.spend(wanted.period, view.by, wanted.scope)
                table = spend_table(view.names, (told(row, view.by) for row in rows))
                return csv_file(view.path.strip("/"), *table)
            told_now, taken_at = kept.get(of(words, now), now, partial(take, words))
            html = template("explore.html").render(
                view=view,
                views=VIEWS,
                asked=wanted,
                lines=told_now.lines,
                total=told_now.total,
                change=told_now.change,
                taken_at=taken_at,
                now=now,
                limit=ROWS,
                spans=SPAN_NAMES,
                environments=environments(store, kept, now),
                path=view.path,
            )
            answer = answered(request, html)
            answer.headers["Last-Modified"] = format_datetime(taken_at, usegmt=True)
            return answer

    for view in VIEWS:
        page_of(view)
    return router


def told_of(store: Store, view: View, wanted: Asked) -> Told:
    """Ask the store for the dearest rows of a page, what all of them sum to, and why."""
    scope = wanted.scope
    detailed: list[SpendRow] = []
    if view.by == (Dimension.USER,):
        names, detailed = together(
            lambda: store.dearest_users(wanted.period, wanted.scope, limit=ROWS),
            lambda: store.spend(wanted.period, COMPARED, wanted.scope),
        )
        scope = scope.narrowed(Dimension.USER, *names)
    daily, before = together(
        lambda: store.spend(wanted.period, [Dimension.DAY, *view.by], scope),
        lambda: _before(store, view, wanted, scope),
    )
    change = None
    if before and before.detailed:
        detailed = detailed or store.spend(wanted.period, COMPARED, scope)
        change = change_against(wanted.before, detailed, before.detailed, view.by[0])
    lines = _lines(view, wanted, daily, before.rows if before else None)
    return Told(lines=lines, total=total_of(detailed or daily), change=change)


def _lines(
    view: View, wanted: Asked, daily: Sequence[SpendRow], before: Sequence[SpendRow] | None
) -> list[Line]:
    """Return the rows of a page, the dearest first; what has ended is last."""
    rows = {row.key: row for row in summed_by(daily, range(len(view.by)))}
    rows_before = {row.key: row for row in before or ()}
    by_day: dict[tuple[str, ...], dict[date, Decimal]] = defaultdict(dict)
    for row in daily:
        if row.at is not None:
            by_day[row.key][row.at.date()] = row.cost
    day_one = wanted.period.start.date()
    last = (wanted.period.end - timedelta(microseconds=1)).date()
    days = [day_one + number * DAY for number in range((last - day_one).days + 1)]
    return [
        Line(
            values=dict(zip(view.names, key, strict=True)),
            now=rows.get(key, SpendRow.nothing()),
            before=None if before is None else rows_before.get(key, SpendRow.nothing()),
            days=tuple(by_day[key].get(day, Decimal(0)) for day in days),
        )
        for key in [*dict.fromkeys((*rows, *rows_before))][:ROWS]
    ]


class _Before(NamedTuple):
    rows: list[SpendRow]
    """As those of the page."""
    detailed: list[SpendRow]


def _before(store: Store, view: View, wanted: Asked, scope: Scope) -> _Before | None:
    """Ask for the time before; None for one that was not metered all the time.

    That would make a change of what was none.
    """
    first = store.first_hour()
    if first is None or first > wanted.before.start:
        return None
    if view.by == (Dimension.USER,):
        return _Before(
            store.spend(wanted.before, view.by, scope),
            store.spend(wanted.before, COMPARED, wanted.scope),
        )
    by = list(dict.fromkeys((*view.by, *COMPARED)))
    rows = store.spend(wanted.before, by, scope)
    of_page, of_detail = ([by.index(one) for one in some] for some in (view.by, COMPARED))
    return _Before(summed_by(rows, of_page), summed_by(rows, of_detail))
