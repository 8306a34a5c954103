"""Pages of calls: the newest of a scope, those with an id, and one with its whole story."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import QueryParams

from taximeter_api.asked import SPAN_NAMES, Asked, asked
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
ROWS_OF_A_FILE: Final = 10_000
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
        question = ("sums of calls", wanted.query(), now.date())
        return kept.get(question, now, lambda now: sums_of(store, asked(words, now, OWN)))

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
        if len(searched) > LONGEST_SEARCH:
            raise Refused(f"q: give at most {LONGEST_SEARCH} characters")
        if searched and (narrowed := request.query_params.keys() - OWN - {"format"}):
            words = ", ".join(sorted(narrowed))
            raise Refused(f"q={searched!r}: looks through all calls; leave out {words}")
        after = _place(older) if older else None

        def newest(kind: type[Found], limit: int) -> list[Found]:
            if searched:
                return with_clue(store, kind, searched, limit, after)
            return store.calls(kind, wanted.period, wanted.scope, limit, wanted.only, after)

        if is_csv(format):
            rows = (
                [getattr(call, column) for column in COLUMNS]
                for call in newest(FoundCall, ROWS_OF_A_FILE)
            )
            return csv_file("calls", COLUMNS, rows)
        # One more than is shown says that there are more.
        found, (sums, taken_at) = together(
            lambda: newest(ListedCall, ROWS + 1),
            lambda: ("", now) if searched else summed(request.query_params, now),
        )
        html = template("calls.html").render(
            asked=wanted,
            sums=sums,
            taken_at=taken_at,
            now=now,
            calls=found[:ROWS],
            has_more=len(found) > ROWS,
            searched=searched,
            limit_of_a_file=ROWS_OF_A_FILE,
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
