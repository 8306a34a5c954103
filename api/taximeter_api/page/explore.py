"""The pages of spend by a dimension and of calls, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from taximeter_api.asked import SPAN_NAMES, Asked
from taximeter_api.page.environment import template
from taximeter_collector.store import CallDetail, FoundCall, SpendRow

if TYPE_CHECKING:
    from taximeter_api.explore import Line, View


def render_spend(
    view: View,
    views: Sequence[View],
    wanted: Asked,
    lines: Sequence[Line],
    total: SpendRow,
    *,
    limit: int,
    now: datetime,
) -> str:
    return template("explore.html").render(
        view=view,
        views=views,
        asked=wanted,
        lines=lines,
        total=total,
        limit=limit,
        spans=SPAN_NAMES,
        now=now,
        path=view.path,
    )


def render_calls(
    wanted: Asked,
    calls: Sequence[FoundCall],
    searched: str,
    *,
    limit: int,
    limit_of_a_file: int,
    now: datetime,
) -> str:
    """Return the HTML of the first calls; what is beyond `limit` only says that there are more."""
    return template("calls.html").render(
        asked=wanted,
        calls=calls[:limit],
        has_more=len(calls) > limit,
        searched=searched,
        limit=limit,
        limit_of_a_file=limit_of_a_file,
        spans=SPAN_NAMES,
        now=now,
        path="/calls",
    )


def render_call(detail: CallDetail, *, now: datetime) -> str:
    return template("call.html").render(
        call=detail.call,
        more=detail.more,
        other_cost=detail.other_cost,
        one_day=timedelta(days=1),
        now=now,
        path="/calls",
    )
