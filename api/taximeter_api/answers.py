"""Pages of alerts: the log of what was told, and those on which one is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from taximeter_alerts.alert import UNANSWERED, Alert, Kind, Notice, Told
from taximeter_alerts.answering import Signer, acknowledged
from taximeter_alerts.channels import Channels
from taximeter_alerts.message import mark_of, subject
from taximeter_alerts.state import Delivery, DeliveryState, Silence, State
from taximeter_alerts.story_words import usd
from taximeter_alerts.voice import straight
from taximeter_api.alerting import LOGGED, test_channel
from taximeter_api.checks import Finding
from taximeter_api.checks.channels import of_channels
from taximeter_api.csv_file import csv_file
from taximeter_api.live import answered
from taximeter_api.page import PAGE_HEADERS
from taximeter_api.page.environment import template
from taximeter_api.page.format import at_least
from taximeter_api.questions import Refused, is_csv
from taximeter_api.security import who

ACKNOWLEDGE: Final = "acknowledge"
LONGEST_FORM: Final = 10_000
LONGEST_NAME: Final = 80
MOST_DIGITS: Final = 18
HOUR: Final = timedelta(hours=1)
STATES: Final = {
    DeliveryState.PENDING: "waits",
    DeliveryState.SENDING: "is being sent",
    DeliveryState.SENT: "sent",
    DeliveryState.AMBIGUOUS: "perhaps sent",
    DeliveryState.DEAD: "not sent",
    DeliveryState.INHIBITED: "covered by another budget's",
    DeliveryState.SILENCED: "silenced",
}
COLUMNS: Final = ("alert", "at", "budget", "channel", "state", "error", "attempts", "taken_by")


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    if len(body) > LONGEST_FORM:
        raise HTTPException(413, "a form of this page is shorter")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


FormData = Annotated[dict[str, str], Depends(_form)]


def alerts_page(
    state: State, channels: Channels, page_url: str, wrong: Callable[[], Sequence[Finding]]
) -> APIRouter:
    """Return the page of the log; `wrong` says what keeps alerts from being told."""
    router = APIRouter(include_in_schema=False)

    @router.get("/alerts")
    def log_of_deliveries(
        request: Request,
        tested: str = "",
        format: str = "",  # noqa: A002 the address's word
    ) -> Response:
        if is_csv(format):
            taken = state.acknowledgements.all()
            newest = state.deliveries.newest(LOGGED)
            cells = ([*_cells(one), taken.get(one.number, "")] for one in newest)
            return csv_file("alerts", COLUMNS, cells)
        return answered(request, drawn((tested, "") if tested in channels else None))

    def drawn(tested: tuple[str, str] | None) -> str:
        return template("alerts.html").render(
            deliveries=state.deliveries.newest(LOGGED),
            taken=state.acknowledgements.all(),
            silences=state.silences.at(datetime.now(UTC)),
            channels=of_channels(state, channels),
            trouble=wrong(),
            tested=tested,
            limit=LOGGED,
            words=in_words,
            states=STATES,
            unanswered=UNANSWERED,
            path="/alerts",
        )

    @router.post("/alerts/test")
    def send_test(form: FormData) -> Response:
        name = form.get("channel", "")
        if problem := test_channel(state, channels, name, page_url):
            return HTMLResponse(drawn((name, problem)), 502, PAGE_HEADERS)
        return RedirectResponse(f"/alerts?{urlencode({'tested': name})}", 303)

    @router.post("/alerts/acknowledge")
    def acknowledge(request: Request, form: FormData) -> RedirectResponse:
        number = _number(form, "alert")
        told = _known(state, number)
        _acknowledge(state, channels, number, told, who(request.headers), datetime.now(UTC))
        return RedirectResponse("/alerts", 303)

    @router.post("/alerts/silences/end")
    def end(form: FormData) -> RedirectResponse:
        state.end_silence(_number(form, "id"), datetime.now(UTC))
        return RedirectResponse("/alerts", 303)

    return router


def answers_page(state: State, channels: Channels) -> APIRouter:
    """Return the pages on which one alert is answered, also by a link in a message.

    Nothing is done until a person presses a button.
    """
    router = APIRouter(include_in_schema=False)
    signer = Signer(state.secret("answers"))

    def number_of(token: str) -> int:
        number = signer.alert(token)
        if number is None or state.alert(number) is None:
            raise HTTPException(404, "this link is not of this service, or older than 45 days")
        return number

    @router.get("/a/{token}")
    def ask_by_link(token: str) -> HTMLResponse:
        return _asked(state, number_of(token))

    @router.post("/a/{token}")
    def answer_by_link(request: Request, token: str, form: FormData) -> HTMLResponse:
        return _done(state, channels, number_of(token), request, form)

    @router.get("/alerts/{number:int}")
    def ask(number: int) -> HTMLResponse:
        return _asked(state, number)

    @router.post("/alerts/{number:int}")
    def answer(request: Request, number: int, form: FormData) -> HTMLResponse:
        return _done(state, channels, number, request, form)

    return router


def _asked(state: State, number: int) -> HTMLResponse:
    """Draw the question what to do about an alert."""
    told = _known(state, number)
    taken = state.acknowledgements.all().get(number, "")
    return _drawn(told, taken=taken, snoozes=_snoozes(told, datetime.now(UTC)))


def _done(
    state: State, channels: Channels, number: int, request: Request, form: Mapping[str, str]
) -> HTMLResponse:
    """Do what a button says, and draw what was done."""
    told, now, what = _known(state, number), datetime.now(UTC), form.get("do", "")
    name = form.get("by", "").strip()[:LONGEST_NAME] or who(request.headers)
    if what == ACKNOWLEDGE:
        _acknowledge(state, channels, number, told, name, now)
        return _drawn(told, done=f"{name} takes care of it.")
    snoozes = _snoozes(told, now)
    if what not in snoozes:
        raise Refused(f"do={what!r}: give one of {ACKNOWLEDGE}, {', '.join(snoozes)}")
    words, until = snoozes[what]
    key = told.key
    state.silences.add(
        Silence(budget=key.budget, value=key.value, until=until, made_by=name, made_at=now)
    )
    return _drawn(told, done=f"No more messages about this budget {words}.")


def _drawn(told: Told, *, done: str = "", **values: Any) -> HTMLResponse:
    html = template("answer.html").render(
        told=told, words=in_words(told), done=done, path="", **values
    )
    return HTMLResponse(html, headers=PAGE_HEADERS)


def _known(state: State, number: int) -> Told:
    told = state.alert(number) if number < 10**MOST_DIGITS else None
    if told is None:
        raise HTTPException(404, f"there is no alert {number}")
    return told


def _acknowledge(
    state: State, channels: Channels, number: int, told: Told, by: str, now: datetime
) -> None:
    """Note who takes care of an alert, and tell the channels that follow it up."""
    state.acknowledgements.add(number, by, now)
    if isinstance(told, Alert):
        follow = [name for name, channel in channels.items() if channel.sender.follows_up]
        state.add(acknowledged(told, by, now, follow))


def _number(form: Mapping[str, str], field: str) -> int:
    text = form.get(field, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise Refused(f"{field}={text!r}: give its number")
    return int(text)


def _snoozes(told: Told, now: datetime) -> dict[str, tuple[str, datetime]]:
    """Return for how long messages may be put off: the words and the moment, by a short name."""
    snoozes = {"1h": ("for an hour", now + HOUR), "1d": ("for a day", now + 24 * HOUR)}
    if isinstance(told, Alert) and told.period.end > now:
        snoozes["end"] = ("until its period ends", told.period.end)
    return snoozes


def _cells(one: Delivery) -> tuple[object, ...]:
    """Return what a file says of a delivery, but for who has taken the alert."""
    told = one.alert
    about = (in_words(told), told.at.isoformat(), told.key.budget)
    return (*about, one.channel, one.state, one.error, one.attempts)


def in_words(told: Told) -> str:
    if isinstance(told, Notice):
        return straight(told.title)
    name = straight(subject(told))
    if told.key.kind == Kind.ENDED:
        return f"{mark_of(told)}: {name}"
    spent = at_least(told.spent, told.unpriced_calls, usd)
    mark = f"{mark_of(told)} of" if told.key.kind == Kind.THRESHOLD else f"{mark_of(told)}:"
    return f"{mark} {name}: {spent} of {usd(told.limit)}"
