"""Pages of calls: the newest of a scope, the dearest, those with an id, and a call's story."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import QueryParams

from taximeter_api.asked import DEAREST, SPAN_NAMES, Asked, asked
from taximeter_api.csv_file import csv_file
from taximeter_api.environments import environments
from taximeter_api.kept import Kept
from taximeter_api.live import answered
from taximeter_api.page import format as fmt
from taximeter_api.page.environment import template
from taximeter_api.questions import Refused, is_csv, moment_of
from taximeter_api.together import together
from taximeter_collector.store import Store
from taximeter_collector.store.calls import Only
from taximeter_collector.store.lookup import Clue, Found, FoundCall, ListedCall, Place

ROWS: Final = 50
ROWS_OF_A_FILE: Final = {"": 10_000, DEAREST: 500}
"""By order: the dearest calls lie apart, and each is read by itself."""
LONGEST_SEARCH: Final = 500
COLUMNS: Final = [field.name for field in fields(FoundCall)]
OWN: Final = {"q", "older"}
"""Words of the list's address beside its period and filters."""
COUNTS: Final = {
    None: "calls",
    Only.ERRORS: "errors",
    Only.UNPRICED: "unpriced_calls",
    Only.ESTIMATED: "estimated_calls",
}
"""Where sums have the number of such calls; of those that are not here they have none."""
CLUES: Final = (Clue.USER, Clue.RESPONSE_ID, Clue.REQUEST_ID, Clue.TRACE_ID)


def call_pages(store: Store, kept: Kept) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def summed(words: QueryParams, now: datetime) -> tuple[str, datetime]:
        wanted = asked(words, now, OWN)
        # Without where the list goes on: older calls have the same sum.
        question = ("sums of calls", wanted.query({"order": None}), now.date())
        return kept.get(question, now, lambda now: sums_of(store, asked(words, now, OWN)))

    def dearest(words: QueryParams, now: datetime) -> tuple[list[ListedCall], datetime]:
        question = ("dearest calls", asked(words, now, OWN).query(), now.date())
        return kept.get(
            question,
            now,
            lambda now: calls_of(store, ListedCall, asked(words, now, OWN), ROWS + 1),
        )

    @router.get("/calls")
    def calls(
        request: Request,
        q: str = "",
        older: str = "",
        format: str = "",  # noqa: A002 the address's word
    ) -> Response:
        now = datetime.now(UTC)
        wanted = asked(request.query_params, now, OWN)
        searched = q.strip()
        _refuse_at_odds(request.query_params)
        after = _place(older) if older else None

        def listed(kind: type[Found], limit: int) -> list[Found]:
            if searched:
                return with_clue(store, kind, searched, limit, after)
            return calls_of(store, kind, wanted, limit, after)

        if is_csv(format):
            rows = (
                [getattr(call, column) for column in COLUMNS]
                for call in listed(FoundCall, ROWS_OF_A_FILE[wanted.order])
            )
            return csv_file("calls", COLUMNS, rows)
        # One more than is shown says that there are more.
        (found, listed_at), (sums, summed_at) = together(
            lambda: (
                dearest(request.query_params, now)
                if wanted.order
                else (listed(ListedCall, ROWS + 1), now)
            ),
            lambda: ("", now) if searched else summed(request.query_params, now),
        )
        html = template("calls.html").render(
            asked=wanted,
            sums=sums,
            listed_at=listed_at,
            summed_at=summed_at,
            now=now,
            calls=found[:ROWS],
            has_more=len(found) > ROWS,
            searched=searched,
            limit_of_a_file=ROWS_OF_A_FILE[wanted.order],
            spans=SPAN_NAMES,
            environments=environments(store, kept, now),
            path="/calls",
        )
        return answered(request, html)

    @router.get("/calls/{call_id:path}")
    def one(request: Request, call_id: str) -> Response:
        detail = store.call(call_id)
        if detail is None:
            raise HTTPException(404, f"no call has the id {call_id!r}")
        html = template("call.html").render(
            call=detail.call, more=detail.more, other_cost=detail.other_cost, path="/calls"
        )
        return answered(request, html)

    return router


def calls_of(
    store: Store, kind: type[Found], wanted: Asked, limit: int, after: Place | None = None
) -> list[Found]:
    """Ask for calls in the order that is wanted."""
    if wanted.order:
        return store.dearest_calls(kind, wanted.period, wanted.scope, limit, wanted.only)
    return store.calls(kind, wanted.period, wanted.scope, limit, wanted.only, after)


def sums_of(store: Store, wanted: Asked) -> str:
    """Say what the calls of a period and scope cost, where that is known of them, and how many."""
    if wanted.only not in COUNTS:
        return ""
    sums = store.spend(wanted.period, (), wanted.scope)[0]
    number = fmt.counted(getattr(sums, COUNTS[wanted.only]), "call")
    if wanted.only is None:
        return f"{fmt.at_least(sums.cost, sums.unpriced_calls, fmt.ledger)} · {number}"
    if wanted.only is Only.ESTIMATED:
        return f"{fmt.ledger(sums.estimated_cost)} · {number}"
    return number


def _refuse_at_odds(words: QueryParams) -> None:
    searched = words.get("q", "").strip()
    if len(searched) > LONGEST_SEARCH:
        raise Refused(f"q: give at most {LONGEST_SEARCH} characters")
    if searched and (narrowed := words.keys() - OWN - {"format"}):
        others = ", ".join(sorted(narrowed))
        raise Refused(f"q={searched!r}: looks through all calls; leave out {others}")
    if words.get("order") and words.get("older"):
        raise Refused(f"older={words['older']!r}: goes on with the newest calls; leave out order")


def _place(text: str) -> Place:
    """Read where a list ended, as the link to older calls says it."""
    ts, _, call_id = text.partition(",")
    return moment_of("older", ts), call_id


def with_clue(
    store: Store, kind: type[Found], text: str, limit: int, after: Place | None
) -> list[Found]:
    """Return the calls that have this id of any kind, or are of this user."""
    for clue in CLUES:
        if found := store.find(kind, clue, text, limit, after):
            return found
    return []
