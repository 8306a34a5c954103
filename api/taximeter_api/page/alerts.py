"""The pages of alerts, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from taximeter_alerts.alert import Kind, Notice, Told
from taximeter_alerts.message import mark_of, subject
from taximeter_alerts.state import Delivery, DeliveryState, Silence
from taximeter_alerts.story_words import usd
from taximeter_api.checks.finding import Finding
from taximeter_api.page.environment import template
from taximeter_api.page.format import at_least

STATES = {
    DeliveryState.PENDING: "waits",
    DeliveryState.SENDING: "is being sent",
    DeliveryState.SENT: "sent",
    DeliveryState.AMBIGUOUS: "perhaps sent",
    DeliveryState.DEAD: "not sent",
    DeliveryState.INHIBITED: "covered by another budget's",
    DeliveryState.SILENCED: "silenced",
}
UNANSWERED = (Kind.ACKNOWLEDGED, Kind.TEST)
"""Kinds of what nobody needs to take care of."""
COLUMNS = ("alert", "at", "budget", "channel", "state", "error", "attempts", "taken_by")


def cells_of(one: Delivery) -> tuple[object, ...]:
    """Return what a file says of a delivery, but for who has taken the alert."""
    told = one.alert
    about = (in_words(told), told.at.isoformat(), told.key.budget)
    return (*about, one.channel, one.state, one.error, one.attempts)


def render_alerts(
    deliveries: Sequence[Delivery],
    *,
    taken: Mapping[int, str],
    silences: Sequence[Silence],
    channels: Mapping[str, Finding],
    trouble: Sequence[Finding],
    tested: tuple[str, str] | None,
    limit: int,
    now: datetime,
) -> str:
    """Return the HTML of the log, of at most `limit` deliveries."""
    return template("alerts.html").render(
        deliveries=deliveries,
        taken=taken,
        silences=silences,
        channels=channels,
        trouble=trouble,
        tested=tested,
        limit=limit,
        now=now,
        words=in_words,
        path="/alerts",
        states=STATES,
        unanswered=UNANSWERED,
    )


def render_answer(
    told: Told, *, taken: str = "", snoozes: Mapping[str, str] | None = None, done: str = ""
) -> str:
    """Return the HTML of what a link in a message opens: a question, or what was `done`."""
    return template("answer.html").render(
        words=in_words(told), taken=taken, snoozes=snoozes or {}, done=done, at=told.at, path=""
    )


def in_words(told: Told) -> str:
    if isinstance(told, Notice):
        return told.title
    spent = at_least(told.spent, told.unpriced_calls, usd)
    mark = f"{mark_of(told)} of" if told.key.kind == Kind.THRESHOLD else f"{mark_of(told)}:"
    return f"{mark} {subject(told)}: {spent} of {usd(told.limit)}"
