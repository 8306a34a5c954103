"""Each kind of channel against a stand-in for its receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from xml.etree import ElementTree

import pytest
from slack_sdk.models.blocks import Block

from builders import NOON, alert, outgoing
from receivers import Answer, Mailbox, Receiver, SlackApi, listening, mail_server
from taximeter_alerts.alert import Alert, AlertKey, Kind, Notice, Story
from taximeter_alerts.answering import acknowledged
from taximeter_alerts.channels import ChannelGone, Channels, DeliveryError, Sender, read_channels
from taximeter_alerts.channels.apprise import AppriseChannel
from taximeter_alerts.channels.email import Email
from taximeter_alerts.channels.pagerduty import PagerDuty
from taximeter_alerts.channels.slack import SlackWebhook, slack_message
from taximeter_alerts.channels.slack_bot import SlackBot
from taximeter_alerts.channels.teams import Teams
from taximeter_alerts.message import REPEATED, message_of
from taximeter_alerts.state import State
from taximeter_alerts.voice import SLACK
from taximeter_collector.yaml_file import Mistake

HOSTILE = [
    "<!channel>",
    "</td><script>",
    "`*_~[x](http://e.vil)",
    "x" * 3000,
    "🙂" * 200,
    "\u202eabc",
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as listens:
        yield listens


@pytest.fixture
def slack() -> Iterator[SlackApi]:
    api = SlackApi()
    with listening(api):
        yield api


@pytest.fixture
def bot(slack: SlackApi, state: State) -> SlackBot:
    return SlackBot(token="xoxb-1", channel="C1", state=state, api=f"{slack.url}/api/")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as taking:
        yield taking


def email(mailbox: Mailbox) -> Email:
    return Email(
        host="127.0.0.1",
        port=mailbox.port,
        sender="Taximeter <meter@example.com>",
        to=["team@example.com", "cfo@example.com"],
        tls="none",
    )


def named(name: str) -> Alert:
    key = replace(alert().key, budget=name)
    return alert(key=key, owner=name, top_features=((name, Decimal(1)),))


NOTICE = Notice(
    key=AlertKey("the meter", NOON, Kind.NOTICE, 100, Decimal(0)),
    title="No calls for an hour",
    text="The last one came at 11:00.",
    at=NOON,
    channels=("slack",),
)


# Slack's bot


def test_a_bot_keeps_one_message_a_period_up_to_date_and_tells_the_rest_below_it(
    slack: SlackApi, bot: SlackBot
) -> None:
    for percent in (50, 75, 90):
        bot.send(outgoing(alert(percent)))

    parent, *replies = slack.messages
    assert "thread_ts" not in parent
    assert parent["text"].startswith("90% of budget")
    assert [one["text"][:3] for one in replies] == ["50%", "75%", "90%"]
    assert {one["thread_ts"] for one in replies} == {parent["ts"]}
    assert slack.arrived[0].headers["authorization"] == "Bearer xoxb-1"


def test_a_bot_looks_before_it_repeats(slack: SlackApi, bot: SlackBot) -> None:
    first, again = outgoing(alert(50)), outgoing(alert(50), may_be_repeat=True)
    cut = Answer(cut=True, accepts=True)
    # Asked for the parent, then told it: the answer is lost, and so is the note of its number.
    slack.answers = [Answer(), cut]
    with pytest.raises(DeliveryError) as unsure:
        bot.send(first)
    assert unsure.value.maybe_sent
    # Found now; the update passes, and the reply's answer is lost.
    slack.answers = [Answer(), Answer(), Answer(), cut]
    with pytest.raises(DeliveryError):
        bot.send(again)
    bot.send(again)

    assert len(slack.messages) == 2
    assert [one["text"][:3] for one in slack.messages] == ["50%", "50%"]


def test_a_bots_digests_and_notices_are_told_once(slack: SlackApi, bot: SlackBot) -> None:
    for one in (outgoing(alert(50), alert(75)), outgoing(NOTICE)):
        slack.answers = [Answer(cut=True, accepts=True)]
        with pytest.raises(DeliveryError):
            bot.send(one)
        bot.send(replace(one, may_be_repeat=True))

    assert [one["text"][:8] for one in slack.messages] == ["2 budget", "No calls"]


def test_a_bot_finds_its_message_on_a_later_page(slack: SlackApi, bot: SlackBot) -> None:
    bot.send(outgoing(alert(50)))
    slack.messages += [{"ts": f"{1_900_000_000 + one}.0", "text": "talk"} for one in range(450)]
    bot._threads = State("sqlite:///:memory:").threads

    bot.send(outgoing(alert(75)))

    ours = [one for one in slack.messages if one["text"] != "talk"]
    assert len([one for one in ours if "thread_ts" not in one]) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [("invalid_auth", ChannelGone), ("channel_not_found", ChannelGone), ("fatal", DeliveryError)],
)
def test_what_slack_says_no_to_is_told_apart(
    slack: SlackApi, bot: SlackBot, error: str, kind: type[Exception]
) -> None:
    slack.answers = [Answer(body=json.dumps({"ok": False, "error": error}).encode())]

    with pytest.raises(kind, match=error):
        bot.send(outgoing(alert()))


@pytest.mark.parametrize("name", HOSTILE)
def test_any_message_is_within_slacks_own_limits(name: str) -> None:
    several = [replace(named(name), key=replace(named(name).key, percent=one)) for one in range(30)]
    for one in (outgoing(named(name)), outgoing(*several), outgoing(NOTICE)):
        message = slack_message(message_of(one, SLACK))
        assert len(message["blocks"]) <= 50
        for block in Block.parse_all(message["blocks"]):
            block.validate_json()
        assert "<!channel>" not in json.dumps(message["blocks"][1:])


def test_blocks_that_slack_refuses_are_told_in_a_line(receiver: Receiver) -> None:
    webhook = SlackWebhook(url=receiver.url)
    receiver.answers = [Answer(status=400)]

    webhook.send(outgoing(alert()))

    (posted,) = receiver.arrived
    assert posted.content == {
        "text": "50% of budget “search / November 2026” used: $6.00 of $10.00."
    }
    receiver.answers = [Answer(status=400), Answer(status=400)]
    with pytest.raises(ChannelGone, match="does not take this message: 400"):
        webhook.send(outgoing(alert()))


# E-mail


def parts(mailbox: Mailbox) -> tuple[EmailMessage, str, str]:
    mail = message_from_bytes(mailbox.mails[-1], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    plain, html = (mail.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    return mail, plain.get_content(), html.get_content()


def test_a_mail_says_it_in_text_and_in_html(mailbox: Mailbox) -> None:
    email(mailbox).send(outgoing(alert(top_features=(("chat", Decimal(4)),))))

    mail, plain, html = parts(mailbox)
    assert mail["Subject"] == "🟡 50% of budget used: search (November 2026)"
    assert mailbox.recipients == [["team@example.com", "cfo@example.com"]]
    assert "Left: $4.00" in plain
    assert "1. chat · $4.00" in plain
    assert "<strong>$6.00</strong> of <strong>$10.00</strong>" in html
    assert mail["Message-ID"] == f"<{alert().key.digest}@taximeter>"


def test_a_mail_shows_the_course_of_the_spend(mailbox: Mailbox) -> None:
    days = [NOON - timedelta(days=day) for day in (15, 10, 5, 0)]
    course = tuple((day, Decimal(2 * place)) for place, day in enumerate(days))
    email(mailbox).send(outgoing(alert(story=Story(course=course))))

    mail, _, html = parts(mailbox)
    (image,) = [part for part in mail.walk() if part.get_content_type() == "image/svg+xml"]
    drawn = image.get_payload(decode=True)
    assert isinstance(drawn, bytes)
    ElementTree.fromstring(drawn)
    assert image["Content-ID"] == "<course@taximeter>"
    assert 'src="cid:course@taximeter"' in html


def test_a_mail_that_may_be_a_repeat_says_so(mailbox: Mailbox) -> None:
    email(mailbox).send(outgoing(alert(), may_be_repeat=True))

    assert REPEATED in parts(mailbox)[1]


@pytest.mark.parametrize("name", [*HOSTILE, "a\r\nBcc: x@y.z"])
def test_a_hostile_name_breaks_no_mail(mailbox: Mailbox, name: str) -> None:
    email(mailbox).send(outgoing(named(name)))

    mail, _, html = parts(mailbox)
    assert mail["Bcc"] is None
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("answer", "kind", "maybe_sent"),
    [
        ("451 later", DeliveryError, False),
        ("554 never", ChannelGone, None),
        ("cut", DeliveryError, True),
    ],
)
def test_what_a_mail_server_says_no_to_is_told_apart(
    mailbox: Mailbox, answer: str, kind: type[Exception], maybe_sent: bool | None
) -> None:
    mailbox.answers = [answer]

    with pytest.raises(kind) as refused:
        email(mailbox).send(outgoing(alert()))
    assert getattr(refused.value, "maybe_sent", None) is maybe_sent


def test_a_mail_server_out_of_reach_has_sent_nothing() -> None:
    gone = Email(host="127.0.0.1", port=9, sender="a@b.c", to=["d@e.f"], tls="none")

    with pytest.raises(DeliveryError, match="out of reach") as refused:
        gone.send(outgoing(alert()))
    assert not refused.value.maybe_sent


# PagerDuty, Teams, apprise


def test_pagerduty_has_one_incident_a_period_that_is_acknowledged_and_resolved(
    receiver: Receiver,
) -> None:
    pager = PagerDuty(routing_key="R", url=receiver.url)
    taken = acknowledged(alert(90), "Ada", NOON, ["slack"])
    over = alert(100, key=replace(alert(100).key, kind=Kind.CORRECTION))
    for one in (outgoing(alert(90), alert(100)), outgoing(taken), outgoing(over)):
        pager.send(one)

    events = [one.content for one in receiver.arrived]
    assert [one["event_action"] for one in events] == [
        *("trigger", "trigger"),
        *("acknowledge", "resolve"),
    ]
    assert len({one["dedup_key"] for one in events}) == 1
    first = events[0]
    assert receiver.arrived[0].path == "/v2/enqueue"
    assert first["payload"]["severity"] == "warning"
    assert events[1]["payload"]["severity"] == "critical"
    assert first["payload"]["custom_details"]["Left"] == "$4.00"


def test_pagerduty_has_one_incident_for_a_storm(receiver: Receiver) -> None:
    several = [replace(named(f"b{one}"), limit=Decimal(9)) for one in range(30)]
    PagerDuty(routing_key="R", url=receiver.url).send(outgoing(*several))

    (event,) = (one.content for one in receiver.arrived)
    assert (event["event_action"], event["dedup_key"]) == ("trigger", "digest")
    assert event["payload"]["summary"].startswith("30 budget alerts at once")


@pytest.mark.parametrize("kind", [Kind.CORRECTION, Kind.ENDED])
def test_pagerduty_resolves_each_incident_of_a_storm_of_corrections(
    receiver: Receiver, kind: Kind
) -> None:
    key = alert().key
    taken_back = [alert(key=replace(key, budget=f"b{one}", kind=kind)) for one in range(6)]
    PagerDuty(routing_key="R", url=receiver.url).send(outgoing(*taken_back))

    events = [(one.content["event_action"], one.content["dedup_key"]) for one in receiver.arrived]
    assert events == [("resolve", one.subject_digest) for one in taken_back]


def test_teams_gets_a_card(receiver: Receiver) -> None:
    Teams(url=receiver.url).send(outgoing(alert()))

    (posted,) = receiver.arrived
    (attachment,) = posted.content["attachments"]
    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["body"][0]["text"] == "🟡 50% of budget used: search (November 2026)"
    assert {"title": "Left", "value": "$4.00"} in card["body"][2]["facts"]
    assert card["actions"][0]["url"] == "http://127.0.0.1:8787"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_makes_no_link_in_teams_and_stays_small(
    receiver: Receiver, name: str
) -> None:
    Teams(url=receiver.url).send(outgoing(named(name)))

    (attachment,) = receiver.arrived[0].content["attachments"]
    assert "[x](http" not in json.dumps(attachment["content"]["body"])
    assert len(receiver.arrived[0].body) < 28_000


def test_apprise_takes_the_rest(receiver: Receiver) -> None:
    AppriseChannel(url=receiver.url.replace("http", "json", 1)).send(outgoing(alert()))

    assert receiver.arrived[0].content["title"].startswith("🟡 50% of budget used")
    receiver.answers = [Answer(status=500)]
    with pytest.raises(DeliveryError, match="apprise"):
        AppriseChannel(url=receiver.url.replace("http", "json", 1)).send(outgoing(alert()))


@pytest.mark.parametrize(
    ("answer", "kind", "retry_after_s"),
    [
        (Answer(status=429, headers={"Retry-After": "7"}), DeliveryError, 7),
        (Answer(status=500), DeliveryError, None),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), DeliveryError, None),
        (Answer(status=404), ChannelGone, None),
        (Answer(status=400), ChannelGone, None),
    ],
)
@pytest.mark.parametrize("kind_of_channel", ["pagerduty", "teams"])
def test_what_a_receiver_answers_decides_what_is_next(
    receiver: Receiver,
    answer: Answer,
    kind: type[Exception],
    retry_after_s: float | None,
    kind_of_channel: str,
) -> None:
    senders: dict[str, Sender] = {
        "pagerduty": PagerDuty(routing_key="R", url=receiver.url),
        "teams": Teams(url=receiver.url),
    }
    receiver.answers = [answer]

    with pytest.raises(kind) as refused:
        senders[kind_of_channel].send(outgoing(alert()))
    assert getattr(refused.value, "retry_after_s", None) == retry_after_s


# channels.yaml

FILE = """\
channels:
  - {name: web, kind: slack, url: "${SLACK_URL}", fallback: mail, per_minute: 30}
  - {name: bot, kind: slack_bot, token: "${TOKEN}", channel: C0123}
  - {name: mail, kind: email, host: smtp.example.com, sender: a@b.c, to: [d@e.f]}
  - {name: hook, kind: webhook, url: https://h/x, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
  - {name: oncall, kind: pagerduty, routing_key: R}
  - {name: teams, kind: teams, url: https://h/x}
  - name: ntfy
    kind: apprise
    url: ntfy://topic
    quiet: {begin: "22:00", end: "07:00", zone: Europe/Berlin}
"""
ENVIRONMENT = {"SLACK_URL": "https://hooks.slack.com/services/x", "TOKEN": "xoxb"}


def read(text: str, state: State, folder: Path) -> Channels:
    path = folder / "channels.yaml"
    path.write_text(text)
    return read_channels(path, ENVIRONMENT, state, None)


def test_channels_are_read_from_their_file(state: State, tmp_path: Path) -> None:
    channels = read(FILE, state, tmp_path)

    assert list(channels) == ["web", "bot", "mail", "hook", "oncall", "teams", "ntfy"]
    assert (channels["web"].fallback, channels["web"].per_minute) == ("mail", 30)
    quiet = channels["ntfy"].quiet
    assert quiet is not None
    # 22:30 and 06:30 in Berlin, and 12:00.
    night = NOON.replace(hour=21, minute=30)
    moments = (night, night + timedelta(hours=8), NOON)
    assert [quiet.holds(moment) for moment in moments] == [True, True, False]
    assert read_channels(tmp_path / "none.yaml", {}, state, None) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("channel: []\n", "channels.yaml:1: give one list under the name `channels:`"),
        ("channels: x\n", "channels.yaml:1: give a list of channels"),
        ("channels:\n  - x\n", "channels.yaml:2: give a name, a kind"),
        ("channels:\n  - {name: a}\n", ":2: kind: give one of apprise, email, pagerduty"),
        ("channels:\n  - {kind: slack, url: https://x}\n", ":2: name: is missing; give name"),
        (
            "channels:\n  - {name: A b, kind: slack, url: https://x}\n",
            "A b: name: give a ch",
        ),
        ("channels:\n  - {name: a, kind: slack}\n", ":2: a: url: is missing; give url"),
        (
            "channels:\n  - {name: a, kind: webhook, url: 'https://x'}\n",
            ":2: a: secret: is missing; give url and secret",
        ),
        (
            "channels:\n  - {name: a, kind: slack_bot, token: x}\n",
            ":2: a: channel: is missing; give token and channel",
        ),
        (
            "channels:\n  - {name: a, kind: slack, url: x}\n",
            ":2: a: url: give an address",
        ),
        (
            "channels:\n  - name: a\n    kind: email\n    host: h\n    sender: a\n    to: [b@c]\n",
            ":5: a: sender: give an address like ada@example.com",
        ),
        ("channels:\n  - {name: a, kind: [slack]}\n", ":2: kind: give one of apprise"),
        ("channels:\n  - {name: a, kind: slack, uri: x}\n", ":2: uri: not a field of a slack"),
        ("channels:\n  - {name: a, kind: slack, state: x}\n", ":2: state: not a field of a slack"),
        ("channels:\n  - {name: a, kind: slack, url: '${NOPE}'}\n", ":2: ${NOPE}: the environment"),
        ("channels:\n  - {name: a, kind: apprise, url: 'x'}\n", ":2: give an address that apprise"),
        (
            "channels:\n  - {name: a, kind: webhook, url: 'https://x', secret: x}\n",
            ":2: give whsec_",
        ),
        (
            "channels:\n  - {name: a, kind: pagerduty, routing_key: R, fallback: b}\n",
            ":2: fallback: 'b' is not another channel; none is",
        ),
        (
            "channels:\n  - {name: a, kind: pagerduty, routing_key: R}\n"
            "  - {name: a, kind: pagerduty, routing_key: R}\n",
            ":3: name: 'a' is taken",
        ),
        (
            "channels:\n  - {name: a, kind: pagerduty, routing_key: R, quiet: {begin: '25:00'}}\n",
            ":2: a: quiet.begin: give a time like 07:30",
        ),
    ],
)
def test_a_channel_that_is_not_understood_is_named_with_its_line(
    state: State, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(Mistake) as refused:
        read(text, state, tmp_path)

    assert says in str(refused.value)
    assert "hooks.slack.com" not in str(refused.value)
