"""The log of alerts, silences, and the pages that links in messages open."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from builders import alert, at_once, budget
from receivers import Answer, Receiver, listening
from taximeter_alerts.alert import Alert, Kind
from taximeter_alerts.channels import Channel, Channels, SlackWebhook
from taximeter_alerts.channels.pagerduty import PagerDuty
from taximeter_alerts.outbox import Outbox
from taximeter_alerts.periods import month_at
from taximeter_alerts.state import Origin, Silence, State
from taximeter_api.alerting import alerts_api
from taximeter_api.answers import alerts_page, answers_page
from taximeter_api.checks.channels import of_channels
from taximeter_api.refusals import refusals
from taximeter_api.security import Guard, token_check

PAGE = "http://meter.test"
TOKEN = "a token that is long enough"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as listens:
        yield listens


@pytest.fixture
def channels(receiver: Receiver) -> Channels:
    return {
        "slack": Channel(sender=SlackWebhook(url=receiver.url)),
        "pager": Channel(sender=PagerDuty(routing_key="R", url=receiver.url)),
    }


@pytest.fixture
def app(state: State, channels: Channels) -> FastAPI:
    app = FastAPI()
    refusals(app)
    app.include_router(alerts_api(state, channels, PAGE))
    app.include_router(
        alerts_page(state, channels, PAGE, lambda: list(of_channels(state, channels).values()))
    )
    app.include_router(answers_page(state, channels))
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=PAGE)


def of_now(percent: int = 50) -> Alert:
    now = datetime.now(UTC)
    period = month_at(now, ZoneInfo("UTC"))
    return alert(percent, period=period, at=now, channels=("slack", "pager"))


def tell(state: State, channels: Channels, at: datetime | None = None) -> None:
    Outbox(state, channels, lambda: at or datetime.now(UTC), page_url=PAGE, run=at_once).tick()


def link(receiver: Receiver) -> str:
    (found,) = set(re.findall(rf"{PAGE}(/a/[^\"]+)", receiver.arrived[0].body.decode()))
    return str(found)


def test_the_log_says_what_became_of_each_delivery(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    receiver.answers = [Answer(status=500)]
    state.add(of_now())
    tell(state, channels)

    slack, pager = client.get("/api/alerts").json()["deliveries"][::-1]
    page = client.get("/alerts")

    assert (slack["state"], slack["error"], slack["spent"]) == (
        "pending",
        "Slack answered 500",
        "6.00",
    )
    assert (pager["state"], pager["attempts"]) == ("sent", 1)
    assert "50% of search: $6.00 of $10.00" in page.text
    assert "waits" in page.text
    assert "Slack answered 500" in page.text
    rows = list(csv.DictReader(client.get("/alerts?format=csv").text.splitlines()))
    assert [(row["channel"], row["state"]) for row in rows] == [
        ("pager", "sent"),
        ("slack", "pending"),
    ]


def test_looking_at_a_link_does_nothing(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)

    for _ in range(3):
        asked = client.get(link(receiver))
        client.head(link(receiver))

    assert asked.status_code == 200
    assert "Acknowledge" in asked.text
    assert state.acknowledgements.all() == {}
    assert state.silences.at(datetime.now(UTC)) == []


def test_an_alert_is_acknowledged_once_and_pagerduty_is_told(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)

    done = client.post(link(receiver), data={"do": "acknowledge", "by": "Ada"})
    client.post(link(receiver), data={"do": "acknowledge", "by": "Bob"})
    tell(state, channels)

    assert "Ada takes care of it." in done.text
    assert set(state.acknowledgements.all().values()) == {"Ada"}
    assert "Ada" in client.get("/alerts").text
    actions = [
        one.content["event_action"] for one in receiver.arrived if "event_action" in one.content
    ]
    assert actions == ["trigger", "acknowledge"]
    assert [one.alert.key.kind for one in state.deliveries.all()].count(Kind.ACKNOWLEDGED) == 1


def test_an_alert_is_acknowledged_on_the_page_as_by_its_link(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)
    before = client.get("/alerts").text
    (number,) = set(re.findall(r'name="alert" value="(\d+)"', before))

    page = client.post("/alerts/acknowledge", data={"alert": number}, auth=("Ada", "x"))
    tell(state, channels)

    assert state.acknowledgements.all() == {int(number): "Ada"}
    assert "/alerts/acknowledge" in before
    assert "/alerts/acknowledge" not in page.text
    actions = [
        one.content["event_action"] for one in receiver.arrived if "event_action" in one.content
    ]
    assert actions == ["trigger", "acknowledge"]
    assert "/alerts/acknowledge" not in client.get("/alerts").text
    for unknown, status in (("99", 404), ("x", 422), ("9" * 30, 422)):
        answer = client.post("/alerts/acknowledge", data={"alert": unknown})
        assert answer.status_code == status


def test_the_end_of_a_budget_is_told_as_that_and_asks_for_nobody(
    client: TestClient, state: State
) -> None:
    told = of_now(100)
    state.add(replace(told, key=replace(told.key, kind=Kind.ENDED)))

    page = client.get("/alerts").text
    (row, _) = csv.DictReader(client.get("/alerts?format=csv").text.splitlines())
    (one, _) = client.get("/api/alerts").json()["deliveries"]

    assert (row["alert"], one["kind"]) == ("ended: search", "ended")
    assert "ended: search" in page
    assert "Acknowledge" not in page


def test_a_name_turns_no_amount_around(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    key = replace(of_now().key, budget="日本\u202e x", value="שלמה")
    state.add(replace(of_now(), key=key))
    tell(state, channels)
    now = datetime.now(UTC)
    until = now + timedelta(hours=1)
    state.silences.add(
        Silence(budget=key.budget, value=key.value, until=until, made_by="\u202e", made_at=now)
    )

    page, file, answer = (
        client.get(path).text for path in ("/alerts", "/alerts?format=csv", link(receiver))
    )

    for text in (page, file, answer):
        assert "50% of \u2068日本 x: שלמה\u2069: $6.00 of $10.00" in text
    assert '<bdi class="name">日本\u202e x</bdi>: <bdi class="name">שלמה</bdi>' in page
    assert "by \u2068\u202e\u2069" in page


def test_a_test_is_told_in_no_words_of_the_address(client: TestClient) -> None:
    page = client.get("/alerts?tested=slack&problem=hacked").text

    assert "hacked" not in page
    assert "slack took the test." in page


def test_messages_are_put_off_from_the_page_as_by_a_link(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)
    (path,) = set(re.findall(r'href="(/alerts/\d+)">Silence…', client.get("/alerts").text))

    by_link, asked = client.get(link(receiver)).text, client.get(path).text
    before = state.silences.at(datetime.now(UTC))
    done = client.post(path, data={"do": "1d"}, auth=("Ada", "x"))

    assert (asked, before) == (by_link, [])
    assert "No more messages about this budget for a day." in done.text
    (silence,) = state.silences.at(datetime.now(UTC))
    assert (silence.budget, silence.made_by) == ("search", "Ada")
    for unknown in ("/alerts/99", f"/alerts/{10**30}"):
        assert client.get(unknown).status_code == 404
        assert client.post(unknown, data={"do": "1h"}).status_code == 404


@pytest.mark.parametrize(("do", "hours"), [("1h", 1), ("1d", 24)])
def test_messages_of_a_budget_are_put_off(
    client: TestClient, state: State, channels: Channels, receiver: Receiver, do: str, hours: int
) -> None:
    state.add(of_now())
    tell(state, channels)
    client.post(link(receiver), data={"do": do, "by": "Ada"})
    (silence,) = state.silences.at(datetime.now(UTC))
    sent = len(receiver.arrived)
    state.add(of_now(75))
    tell(state, channels)

    assert timedelta(hours=hours) - (silence.until - silence.made_at) < timedelta(seconds=1)
    assert (silence.budget, silence.made_by) == ("search", "Ada")
    assert len(receiver.arrived) == sent
    page = client.get("/alerts")
    assert "by Ada" in page.text
    assert "the newest 200 at most" in page.text
    client.post("/alerts/silences/end", data={"id": str(silence.id)})
    assert state.silences.at(datetime.now(UTC)) == []
    assert client.post("/alerts/silences/end", data={"id": "x"}).status_code == 422


def test_messages_are_put_off_until_the_period_ends(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)

    client.post(link(receiver), data={"do": "end"})

    (silence,) = state.silences.at(datetime.now(UTC))
    assert silence.until == of_now().period.end


@pytest.mark.parametrize("token", ["x", "MQ.aaaa.bbbbbbbbbbbb", ""])
def test_a_link_that_is_not_ours_is_not_found(client: TestClient, token: str) -> None:
    assert client.get(f"/a/{token}").status_code == 404
    assert client.post(f"/a/{token}", data={"do": "acknowledge"}).status_code == 404


def test_an_unknown_answer_is_refused(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)

    answer = client.post(link(receiver), data={"do": "delete"})

    assert answer.status_code == 422
    assert "do='delete': give one of acknowledge, 1h" in answer.json()["detail"]


def test_a_link_needs_no_sign_in_and_everything_else_does(
    app: FastAPI, state: State, channels: Channels, receiver: Receiver
) -> None:
    state.add(of_now())
    tell(state, channels)
    guarded = TestClient(
        Guard(
            app,
            names={"meter.test"},
            only_these=True,
            may_read=token_check(SecretStr(TOKEN)),
            otlp_port=4318,
        ),
        base_url=PAGE,
    )

    assert guarded.get(link(receiver)).status_code == 200
    assert guarded.get("/alerts").status_code == 401
    foreign = guarded.post(
        link(receiver), data={"do": "acknowledge"}, headers={"origin": "http://evil.test"}
    )
    assert foreign.status_code == 403


def test_a_test_brings_a_mended_channel_back(
    client: TestClient, state: State, receiver: Receiver
) -> None:
    state.channels.is_gone("slack", "Slack refuses this address: 404", datetime.now(UTC))
    assert "Channel slack:</strong> Slack refuses this address: 404." in client.get("/alerts").text
    receiver.answers = [Answer(status=404)]

    failed = client.post("/alerts/test", data={"channel": "slack"})
    assert "slack did not take the test:" in failed.text
    worked = client.post("/alerts/test", data={"channel": "slack"})

    assert "slack took the test." in worked.text
    assert state.channels.gone() == {}
    assert client.post("/api/channels/nothing/test").status_code == 404


def test_a_test_leaves_no_incident_open(client: TestClient, receiver: Receiver) -> None:
    client.post("/api/channels/pager/test")

    opened, closed = (one.content for one in receiver.arrived)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]


def test_a_channel_whose_last_attempts_failed_is_not_in_use(
    client: TestClient, state: State, channels: Channels, receiver: Receiver
) -> None:
    receiver.answers = [Answer(status=500), Answer(status=202), Answer(status=500)]
    state.add(of_now())
    now = datetime.now(UTC)

    tell(state, channels, now)
    once = client.get("/api/channels").json()["channels"]
    tell(state, channels, now + timedelta(minutes=1))

    slack, pager = client.get("/api/channels").json()["channels"]
    failing = "its last attempts failed (Slack answered 500); 1 alert waits"
    assert [one["problem"] for one in once] == [None, None]
    assert (slack["problem"], pager["problem"]) == (failing, None)
    assert f"Channel slack:</strong> {failing}." in client.get("/alerts").text

    tell(state, channels, now + timedelta(minutes=2))
    assert [one["problem"] for one in client.get("/api/channels").json()["channels"]] == [None] * 2


def test_silences_are_made_listed_and_ended(client: TestClient, state: State) -> None:
    until = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    state.budgets.put(budget(), Origin.API, "ada", datetime.now(UTC))
    wanted = {"budget": "search", "until": until, "reason": "load test"}

    (made,) = client.post("/api/silences", json=wanted, auth=("ada", "x")).json()["silences"]

    assert (made["budget"], made["made_by"], made["reason"]) == ("search", "ada", "load test")
    assert client.delete(f"/api/silences/{made['id']}").json() == {"silences": []}
    for refused, says in (
        ({"budget": "", "until": "2020-01-01"}, "give a moment to come"),
        ({"budget": "nosuch", "until": until}, "there is none"),
        ({"budgt": "search", "until": until}, "budget"),
        ({"budget": "", "until": until, "vlaue": "x"}, "vlaue"),
    ):
        answer = client.post("/api/silences", json=refused)
        assert (answer.status_code, says in answer.text) == (422, True)
