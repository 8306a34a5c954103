from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from time import monotonic, sleep
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import postgres
from builders import NOON, alert, at_once, outgoing
from taximeter_alerts.alert import Alert, AlertKey, Kind, Outgoing
from taximeter_alerts.channels import (
    Channel,
    ChannelGone,
    Channels,
    DeliveryError,
    QuietHours,
    SlackWebhook,
)
from taximeter_alerts.channels.slack import plain, slack_message
from taximeter_alerts.message import message_of
from taximeter_alerts.outbox import Outbox
from taximeter_alerts.state import DeliveryState, Silence, State, StateUnavailable
from taximeter_alerts.state.deliveries import LEASE
from taximeter_alerts.voice import SLACK
from taximeter_api.demo.fake_openai import serving

MINUTE = timedelta(minutes=1)


@dataclass
class FakeSlack:
    """Answers as told, in order, then with 200; keeps what it accepted."""

    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    url: str = ""

    async def webhook(self, request: Request) -> PlainTextResponse:
        body: dict[str, Any] = await request.json()
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        if status == 200:
            self.texts.append(body["text"])
            self.bodies.append(str(body))
        return PlainTextResponse("ok" if status == 200 else "no", status, dict(headers))


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    fake = FakeSlack()
    app = Starlette(routes=[Route("/services/T/B/secret", fake.webhook, methods=["POST"])])
    with serving(app) as url:
        fake.url = f"{url}/services/T/B/secret"
        yield fake


def channels(slack: FakeSlack) -> dict[str, Channel]:
    return webhook(slack.url)


def webhook(url: str, **use: Any) -> dict[str, Channel]:
    return {"slack": Channel(sender=SlackWebhook(url=url), **use)}


def deliver(state: State, channels: Channels, clock: Callable[[], datetime]) -> None:
    Outbox(state, channels, clock, page_url="http://127.0.0.1:8787", run=at_once).tick()


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def states(state: State) -> list[DeliveryState]:
    return [delivery.state for delivery in state.deliveries.all()]


def test_an_alert_is_sent_once(state: State, slack: FakeSlack) -> None:
    state.add(alert())

    for _ in range(3):
        deliver(state, channels(slack), at(NOON))

    assert slack.texts == ["50% of budget “search / November 2026” used: $6.00 of $10.00."]
    assert states(state) == [DeliveryState.SENT]


def test_an_alert_is_added_once_whoever_adds_it(state: State) -> None:
    assert state.add(alert())
    assert not state.add(alert())
    assert len(state.deliveries.all()) == 1


def test_the_thresholds_that_an_alert_speaks_for_are_raised_with_it(state: State) -> None:
    state.add(alert(90, also_passed=(50, 75)))

    raised = state.raised([alert().period.start])

    assert {key.percent for key in raised} == {50, 75, 90}
    assert [one.key.percent for one in state.alerts_of("search", alert().period)] == [90]


@pytest.mark.parametrize("status", [429, 500, 503, 302])
def test_a_refused_alert_is_sent_later(state: State, slack: FakeSlack, status: int) -> None:
    slack.answers = [(status, {})]
    state.add(alert())

    deliver(state, channels(slack), at(NOON))
    assert slack.texts == []
    assert states(state) == [DeliveryState.PENDING]

    deliver(state, channels(slack), at(NOON + MINUTE))
    assert len(slack.texts) == 1


def test_retry_after_is_honoured(state: State, slack: FakeSlack) -> None:
    slack.answers = [(429, {"Retry-After": "30"})]
    state.add(alert())

    deliver(state, channels(slack), at(NOON))
    deliver(state, channels(slack), at(NOON + timedelta(seconds=29)))
    assert slack.texts == []

    deliver(state, channels(slack), at(NOON + timedelta(seconds=30)))
    assert len(slack.texts) == 1


@pytest.mark.parametrize(
    "value",
    ["Fri, 31 Dec 2027 23:59:59 GMT", "nonsense", "", "31536000", "9" * 20, "9" * 400],
)
def test_no_retry_after_puts_an_alert_off_for_more_than_an_hour(
    state: State, slack: FakeSlack, value: str
) -> None:
    slack.answers = [(429, {"Retry-After": value})]
    state.add(alert())

    deliver(state, channels(slack), at(NOON))
    assert states(state) == [DeliveryState.PENDING]

    deliver(state, channels(slack), at(NOON + timedelta(hours=1)))
    assert len(slack.texts) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_webhook_that_is_gone_is_not_tried_again(
    state: State, slack: FakeSlack, status: int
) -> None:
    slack.answers = [(status, {})]
    state.add(alert())

    deliver(state, channels(slack), at(NOON))
    deliver(state, channels(slack), at(NOON + timedelta(days=1)))

    assert slack.texts == []
    assert states(state) == [DeliveryState.DEAD]


def test_slack_out_of_reach_loses_no_alert(state: State, slack: FakeSlack) -> None:
    state.add(alert())
    deliver(state, webhook("http://127.0.0.1:9/x"), at(NOON))
    deliver(state, channels(slack), at(NOON + MINUTE))

    assert len(slack.texts) == 1


def test_a_channel_that_is_not_set_up_keeps_its_alerts_until_it_is(
    state: State, slack: FakeSlack
) -> None:
    state.add(alert())

    deliver(state, {}, at(NOON))
    deliver(state, channels(slack), at(NOON + 20 * MINUTE))

    assert len(slack.texts) == 1


def test_a_claim_of_a_dead_process_expires_and_is_taken_again(
    state: State, slack: FakeSlack
) -> None:
    state.add(alert())
    assert state.deliveries.claim([1], NOON, "m")

    deliver(state, channels(slack), at(NOON + LEASE - timedelta(seconds=1)))
    assert slack.texts == []

    deliver(state, channels(slack), at(NOON + LEASE))
    assert len(slack.texts) == 1


def test_many_claim_at_once_and_one_gets_it(state_url: str) -> None:
    replicas = [State(state_url) for _ in range(4)]
    for percent in (50, 75, 90):
        replicas[0].add(alert(percent))
    claimed: list[int] = []

    def claim_all(replica: State) -> None:
        for number in (1, 2, 3):
            claimed.extend(one.id for one in replica.deliveries.claim([number], NOON, "m"))

    threads = [threading.Thread(target=claim_all, args=(one,)) for one in replicas]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        replica.close()

    assert sorted(claimed) == [1, 2, 3]


class Broken:
    knows_repeats = follows_up = False

    def send(self, outgoing: Outgoing) -> None:
        raise ZeroDivisionError(outgoing.id)


def test_a_delivery_that_fails_unexpectedly_holds_up_no_other(
    state: State, slack: FakeSlack
) -> None:
    state.add(alert(50, channels=("broken", "slack")))

    deliver(state, {"broken": Channel(sender=Broken()), **channels(slack)}, at(NOON))

    assert len(slack.texts) == 1
    assert states(state) == [DeliveryState.PENDING, DeliveryState.SENT]


def test_a_webhook_that_takes_and_never_answers_gets_three_posts_and_no_storm(
    state: State,
) -> None:
    posts: list[bytes] = []
    with silent_server(posts) as url:
        state.add(alert())
        for minutes in range(0, 600, 15):
            deliver(state, webhook(url), at(NOON + timedelta(minutes=minutes)))

    assert len(posts) == 3
    assert states(state) == [DeliveryState.AMBIGUOUS]


def test_deaths_of_the_process_are_no_reason_to_give_up(state: State, slack: FakeSlack) -> None:
    state.add(alert())
    for lease in range(4):
        assert state.deliveries.claim([1], NOON + lease * LEASE, "m")
    cut = Cut(knows_repeats=False)

    deliver(state, {"slack": Channel(sender=cut)}, at(NOON + 4 * LEASE))
    assert states(state) == [DeliveryState.PENDING]
    deliver(state, channels(slack), at(NOON + 6 * LEASE))

    assert len(slack.texts) == 1


def test_what_gets_no_answer_at_all_is_told_to_another_channel(
    state: State, slack: FakeSlack
) -> None:
    state.add(alert(channels=("mute",)))
    both = {"mute": Channel(sender=Cut(knows_repeats=False)), **channels(slack)}

    for minutes in range(0, 60, 15):
        deliver(state, both, at(NOON + timedelta(minutes=minutes)))

    assert sorted(text[:10] for text in slack.texts) == ["50% of bud", "The channe"]


@contextmanager
def silent_server(posts: list[bytes]) -> Iterator[str]:
    """Read a request, then close the connection without an answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                posts.append(connection.recv(65536))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_only_the_holder_of_a_claim_completes_its_note(state: State) -> None:
    state.add(alert())
    (slow,) = state.deliveries.claim([1], NOON, "m")
    (other,) = state.deliveries.claim([1], NOON + LEASE, "m")
    assert (slow.maybe_sent, other.maybe_sent) == (0, 1)

    state.deliveries.finish([other], DeliveryState.SENT, due_at=NOON)
    state.deliveries.finish([slow], DeliveryState.PENDING, due_at=NOON)

    assert states(state) == [DeliveryState.SENT]


def test_a_dead_delivery_gets_another_try_when_the_service_starts_anew(
    state: State, slack: FakeSlack
) -> None:
    slack.answers = [(404, {})]
    state.add(alert())
    deliver(state, channels(slack), at(NOON))

    state.channels.forget_gone()
    state.deliveries.revive(NOON)
    deliver(state, channels(slack), at(NOON))

    assert len(slack.texts) == 1
    assert states(state) == [DeliveryState.SENT]


def test_a_clock_that_was_ahead_for_a_while_postpones_nothing_for_years(
    state: State, slack: FakeSlack
) -> None:
    slack.answers = [(500, {})]
    state.add(alert())
    deliver(state, channels(slack), at(NOON.replace(year=2036)))

    deliver(state, channels(slack), at(NOON))

    assert len(slack.texts) == 1


def test_the_webhooks_address_is_in_no_log_and_no_note(
    state: State, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.answers = [(404, {})]
    state.add(alert())
    state.add(alert(75))
    deliver(state, channels(slack), at(NOON))
    state.add(alert(90))
    deliver(state, webhook("http://127.0.0.1:9/secret"), at(NOON))

    notes = [delivery.error for delivery in state.deliveries.all()]
    fields = [str(vars(record)) for record in caplog.records]
    assert "secret" not in "".join(notes + fields)


def test_a_state_database_that_can_not_be_opened_is_named() -> None:
    with pytest.raises(StateUnavailable, match=r"/nowhere/state\.db"):
        State("sqlite:////nowhere/state.db")


def test_a_database_that_went_away_is_named_without_its_password() -> None:
    with postgres.running() as url:
        state = State(url.replace("test@", "test:secret@"))
    with pytest.raises(StateUnavailable, match=r"postgresql://test:\*\*\*@127") as away:
        state.deliveries.all()

    assert "secret" not in str(away.value)
    state.close()


def test_the_first_versions_database_is_taken_over(state_url: str) -> None:
    with closing(State(state_url)) as first:
        first.add(alert())
        with first._database.writing() as connection:
            connection.execute(sa.text("drop table migrations"))

    with closing(State(state_url)) as later:
        assert [delivery.alert for delivery in later.deliveries.all()] == [alert()]


def test_a_database_of_a_newer_program_is_refused(state_url: str) -> None:
    with closing(State(state_url)) as first, first._database.writing() as connection:
        connection.execute(sa.text("insert into migrations (number) values (999)"))

    with pytest.raises(StateUnavailable, match=r"schema 999.*upgrade Taximeter"):
        State(state_url)


def test_replicas_that_start_together_migrate_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(8) as starting:
        replicas = list(starting.map(lambda _: State(postgres_url), range(8)))

    assert [one.add(alert()) for one in replicas] == [True] + [False] * 7
    for one in replicas:
        one.close()


def many(number: int) -> list[Alert]:
    return [
        alert(
            key=replace(alert().key, budget=f"<b{one:02}>"), spent=Decimal(one), limit=Decimal(40)
        )
        for one in range(1, number + 1)
    ]


def test_many_alerts_at_once_are_one_message_with_the_dearest_first(
    state: State, slack: FakeSlack
) -> None:
    for one in many(30):
        state.add(one)

    deliver(state, channels(slack), at(NOON))

    (text,) = slack.texts
    assert text == "30 budget alerts at once: &lt;b30&gt;, &lt;b29&gt;, &lt;b28&gt;, ..."
    message = slack_message(message_of(outgoing(*many(30)), SLACK))
    said = "\n".join(plain(message))
    assert said.index("b30") < said.index("b11")
    assert "b10" not in said
    assert "and 10 more" in said
    longest = max(len(block["text"]["text"]) for block in message["blocks"] if "text" in block)
    assert longest < 3_000
    assert states(state) == [DeliveryState.SENT] * 30


def test_a_digest_that_is_refused_is_tried_again_as_one(state: State, slack: FakeSlack) -> None:
    slack.answers = [(429, {"Retry-After": "60"})]
    for one in many(6):
        state.add(one)

    deliver(state, channels(slack), at(NOON))
    assert states(state) == [DeliveryState.PENDING] * 6
    deliver(state, channels(slack), at(NOON + MINUTE - timedelta(seconds=1)))
    assert slack.texts == []
    deliver(state, channels(slack), at(NOON + MINUTE))

    assert len(slack.texts) == 1
    assert states(state) == [DeliveryState.SENT] * 6


def test_the_end_of_a_budget_is_one_message_for_all_its_values_that_asks_nothing(
    state: State, slack: FakeSlack
) -> None:
    key = AlertKey("each", NOON, Kind.ENDED, 100, Decimal(10))
    for number in range(30):
        state.add(alert(key=replace(key, value=f"u{number}")))
    state.add(alert(key=replace(key, budget="all")))
    state.add(alert(75))

    deliver(state, channels(slack), at(NOON))

    each, of_all, other = slack.texts
    assert each == (
        "Budget “each / November 2026” is not watched any more: it was deleted or paused."
    )
    assert "30 alerts of it no longer hold." in slack.bodies[0]
    assert of_all.startswith("Budget “all / November 2026” is not")
    assert other.startswith("75%")
    assert ["/a/" in body for body in slack.bodies] == [False, False, True]


def test_many_budgets_that_end_at_once_are_one_message(state: State, slack: FakeSlack) -> None:
    for one in many(30):
        state.add(replace(one, key=replace(one.key, kind=Kind.ENDED)))

    deliver(state, channels(slack), at(NOON))

    (text,) = slack.texts
    assert text.startswith("30 budget alerts at once")


def test_five_at_once_are_still_told_singly(state: State, slack: FakeSlack) -> None:
    for one in many(5):
        state.add(one)

    deliver(state, channels(slack), at(NOON))

    assert len(slack.texts) == 5


def test_a_retry_after_holds_the_whole_channel_and_no_other(state: State, slack: FakeSlack) -> None:
    slack.answers = [(429, {"Retry-After": "60"})]
    state.add(alert(50, channels=("slack", "other")))
    both = {**channels(slack), "other": webhook(slack.url)["slack"]}

    deliver(state, both, at(NOON))
    assert len(slack.texts) == 1
    state.add(alert(75))
    deliver(state, both, at(NOON + timedelta(seconds=59)))
    assert len(slack.texts) == 1
    deliver(state, both, at(NOON + MINUTE))

    assert len(slack.texts) == 3


def test_a_hold_noted_by_a_clock_that_was_ahead_holds_nothing(
    state: State, slack: FakeSlack
) -> None:
    state.channels.hold("slack", NOON + timedelta(days=365))
    state.add(alert())

    deliver(state, channels(slack), at(NOON))

    assert len(slack.texts) == 1


def test_what_a_dead_channel_did_not_take_goes_to_its_fallback_which_is_told_why(
    state: State, slack: FakeSlack
) -> None:
    slack.answers = [(404, {})]
    both = {**webhook(slack.url, fallback="mail"), "mail": webhook(slack.url)["slack"]}
    state.add(alert(50))

    deliver(state, both, at(NOON))
    assert slack.texts == []
    assert state.channels.gone() == {"slack": "Slack refuses this address: 404"}
    state.add(alert(75))
    for seconds in (1, 2):
        deliver(state, both, at(NOON + timedelta(seconds=seconds)))

    assert sorted(text[:11] for text in slack.texts) == [
        "50% of budg",
        "75% of budg",
        "The channel",
    ]
    assert states(state).count(DeliveryState.DEAD) == 2


def test_only_a_fallback_that_works_is_told(state: State, slack: FakeSlack) -> None:
    slack.answers = [(404, {}), (404, {})]
    both = {**webhook(slack.url, fallback="mail"), "mail": webhook(slack.url)["slack"]}
    state.add(alert(50))

    for seconds in range(5):
        deliver(state, both, at(NOON + timedelta(seconds=seconds)))

    assert slack.texts == []
    assert set(state.channels.gone()) == {"slack", "mail"}
    assert set(states(state)) == {DeliveryState.DEAD}


def silence(**fields: Any) -> Silence:
    defaults = {"budget": "search", "until": NOON + 90 * MINUTE, "made_by": "ada", "made_at": NOON}
    return Silence(**{**defaults, **fields})


def test_what_is_silenced_is_told_when_the_silence_ends(state: State, slack: FakeSlack) -> None:
    state.silences.add(silence())
    state.silences.add(silence(budget="other"))
    state.add(alert())

    for minutes in (0, 30, 60, 89):
        deliver(state, channels(slack), at(NOON + minutes * MINUTE))
    assert slack.texts == []
    assert state.deliveries.all()[0].error == "silenced by ada until 16 Nov 13:30 UTC"
    deliver(state, channels(slack), at(NOON + 90 * MINUTE))

    assert len(slack.texts) == 1


def test_a_silence_that_is_ended_silences_no_more(state: State, slack: FakeSlack) -> None:
    state.silences.add(silence(budget=""))
    (one,) = state.silences.at(NOON)
    state.silences.end(one.id, NOON)
    state.add(alert())

    deliver(state, channels(slack), at(NOON))

    assert len(slack.texts) == 1


def test_what_is_silenced_until_its_period_is_over_is_never_told(
    state: State, slack: FakeSlack
) -> None:
    state.silences.add(silence(until=alert().period.end))
    state.add(alert())

    deliver(state, channels(slack), at(NOON))

    assert states(state) == [DeliveryState.SILENCED]
    deliver(state, channels(slack), at(alert().period.end + MINUTE))
    assert slack.texts == []


@pytest.mark.parametrize("until", [NOON + timedelta(days=1), alert().period.end])
def test_what_a_lifted_silence_held_is_told_at_once(
    state: State, slack: FakeSlack, until: datetime
) -> None:
    state.silences.add(silence(until=until))
    state.add(alert())
    deliver(state, channels(slack), at(NOON))

    state.end_silence(state.silences.at(NOON)[0].id, NOON + MINUTE)
    deliver(state, channels(slack), at(NOON + MINUTE))

    assert len(slack.texts) == 1


def test_what_names_an_unknown_channel_is_told_to_another_with_the_reason(
    state: State, slack: FakeSlack
) -> None:
    state.add(alert(channels=("nosuch",)))

    for seconds in range(3):
        deliver(state, channels(slack), at(NOON + timedelta(seconds=seconds)))

    assert sorted(text[:10] for text in slack.texts) == ["50% of bud", "The channe"]
    assert "it is not set up" in max(slack.texts)


def test_in_quiet_hours_only_what_is_at_its_limit_is_told(state: State, slack: FakeSlack) -> None:
    quiet = QuietHours(begin="11:00", end="13:00")
    state.add(alert(90))
    state.add(alert(100))

    deliver(state, webhook(slack.url, quiet=quiet), at(NOON))
    assert [text[:4] for text in slack.texts] == ["100%"]
    deliver(state, webhook(slack.url, quiet=quiet), at(NOON + 60 * MINUTE))

    assert [text[:4] for text in slack.texts] == ["100%", "90% "]


@pytest.mark.parametrize(
    ("per_minute", "by_then"), [(1, [1, 1, 1, 2, 2, 2]), (3, [3, 3, 3, 5, 5, 5])]
)
def test_a_channel_gets_no_more_than_its_share_in_any_minute(
    state: State,
    slack: FakeSlack,
    monkeypatch: pytest.MonkeyPatch,
    per_minute: int,
    by_then: list[int],
) -> None:
    few = webhook(slack.url, per_minute=per_minute)
    outbox = Outbox(state, few, at(NOON), page_url="http://x", run=at_once)
    for percent in range(1, 6):
        state.add(alert(percent))

    sent = []
    for seconds in (0, 1, 59.9, 60, 61, 119.9):
        monkeypatch.setattr("taximeter_alerts.outbox.monotonic", lambda now=seconds: now)
        outbox.tick()
        sent.append(len(slack.texts))

    assert sent == by_then
    assert states(state).count(DeliveryState.PENDING) == 5 - by_then[-1]


class Cut:
    """Takes messages and never answers."""

    def __init__(self, *, knows_repeats: bool) -> None:
        self.knows_repeats = knows_repeats
        self.follows_up = False
        self.got: list[Outgoing] = []

    def send(self, outgoing: Outgoing) -> None:
        self.got.append(outgoing)
        raise DeliveryError("no answer", maybe_sent=True)


@pytest.mark.parametrize("died", [True, False])
def test_a_digest_that_may_have_arrived_is_sent_again_as_it_was(
    state: State, *, died: bool
) -> None:
    for one in many(6):
        state.add(one)
    cut = Cut(knows_repeats=True)
    both = {"slack": Channel(sender=cut)}
    if died:
        state.deliveries.claim(range(1, 7), NOON, "a digest")
    else:
        deliver(state, both, at(NOON))
    for one in many(12)[6:]:
        state.add(one)
    deliver(state, both, at(NOON + LEASE))

    *_, again, new = cut.got
    assert (len(again.told), again.may_be_repeat) == (6, True)
    assert (len(new.told), new.may_be_repeat) == (6, False)
    assert len({one.id for one in cut.got}) == 2


def test_a_channel_that_knows_repeats_is_tried_until_it_answers(state: State) -> None:
    state.add(alert())
    cut = Cut(knows_repeats=True)

    for hour in range(20):
        deliver(state, {"slack": Channel(sender=cut)}, at(NOON + timedelta(hours=hour)))

    assert len(cut.got) == 20
    assert len({one.id for one in cut.got}) == 1
    assert [one.may_be_repeat for one in cut.got] == [False] + [True] * 19


def test_a_single_alert_can_be_answered_and_a_digest_can_not(state: State) -> None:
    cut = Cut(knows_repeats=True)
    state.add(alert())
    deliver(state, {"slack": Channel(sender=cut)}, at(NOON))
    for one in many(6):
        state.add(one)
    deliver(state, {"slack": Channel(sender=cut)}, at(NOON))

    assert cut.got[0].answer_url.startswith("http://127.0.0.1:8787/a/")
    assert cut.got[-1].answer_url == ""


def test_a_channel_whose_sending_broke_down_is_used_again(
    state: State, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.add(alert())
    with ThreadPoolExecutor(1) as threads:
        outbox = Outbox(state, channels(slack), at(NOON), page_url="http://x", run=threads.submit)
        with monkeypatch.context() as broken:
            broken.setattr(outbox, "_attempt", lambda *_: 1 / 0)
            outbox.tick()
            threads.submit(int).result()
        outbox.tick()

    assert len(slack.texts) == 1


@pytest.mark.parametrize("kind", [ChannelGone("gone"), DeliveryError("mute", maybe_sent=True)])
def test_another_channel_is_told_before_a_delivery_is_given_up(
    state: State, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, kind: Exception
) -> None:
    class Refusing(Cut):
        def send(self, outgoing: Outgoing) -> None:
            self.got.append(outgoing)
            raise kind

    both = {"mute": Channel(sender=Refusing(knows_repeats=False)), **channels(slack)}
    state.add(alert(channels=("mute",)))
    for tick in range(2):
        deliver(state, {"mute": both["mute"]}, at(NOON + tick * 20 * MINUTE))
    assert slack.texts == []
    finish = state.deliveries.finish

    def dies(claimed: Any, became: DeliveryState, **more: Any) -> None:
        if became in (DeliveryState.DEAD, DeliveryState.AMBIGUOUS):
            raise KeyboardInterrupt
        finish(claimed, became, **more)

    state.channels.forget_gone()
    state.deliveries.revive(NOON)
    with monkeypatch.context() as killed:
        killed.setattr(state.deliveries, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            deliver(state, both, at(NOON + 60 * MINUTE))

    assert {one.channel for one in state.deliveries.all()} == {"mute", "slack"}


def test_a_slow_channel_holds_up_no_other_and_is_sent_to_once(
    state: State, slack: FakeSlack
) -> None:
    released = threading.Event()

    class Slow(Cut):
        def send(self, outgoing: Outgoing) -> None:
            self.got.append(outgoing)
            released.wait(60)

    slow = Slow(knows_repeats=True)
    both = {"slow": Channel(sender=slow), **channels(slack)}
    state.add(alert(channels=("slow", "slack")))
    with ThreadPoolExecutor(2) as threads:
        outbox = Outbox(state, both, at(NOON), page_url="http://x", run=threads.submit)
        for _ in range(3):
            outbox.tick()
        deadline = monotonic() + 60
        while not slack.texts and monotonic() < deadline:
            sleep(0.01)
        told = list(slack.texts)
        released.set()

    assert len(told) == len(slow.got) == 1
    assert states(state) == [DeliveryState.SENT, DeliveryState.SENT]
