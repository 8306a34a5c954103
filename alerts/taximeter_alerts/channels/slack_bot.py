"""Slack by a bot's token: one message per budget and period, kept up to date, details below it.

A message carries an id in its metadata, and is looked up before it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from taximeter_alerts.alert import Alert, Outgoing
from taximeter_alerts.channels.channel import (
    ChannelGone,
    DeliveryError,
    Sender,
    Url,
    Words,
    checked,
)
from taximeter_alerts.channels.post import Post
from taximeter_alerts.channels.slack import slack_message
from taximeter_alerts.message import message_of
from taximeter_alerts.state import State
from taximeter_alerts.voice import SLACK

API: Final = "https://slack.com/api/"
EVENT: Final = "taximeter_alert"
MOST_PAGES: Final = 20
GONE: Final = frozenset(
    {
        "account_inactive",
        "channel_not_found",
        "ekm_access_denied",
        "invalid_auth",
        "is_archived",
        "missing_scope",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)


class SlackBot(Sender):
    knows_repeats = True
    follows_up = True

    @checked
    def __init__(
        self,
        *,
        token: Words,
        channel: Words,
        state: State,
        templates: Path | None = None,
        api: Url = API,
    ) -> None:
        """Post to a channel's id, like C0123456789, as the bot of `token`."""
        self._post = Post("Slack", api, gone=())
        self._headers = {"Authorization": f"Bearer {token}"}
        self._channel = channel
        self._threads = state.threads
        self._templates = templates

    def send(self, outgoing: Outgoing) -> None:
        body = slack_message(message_of(outgoing, SLACK, self._templates))
        alert = outgoing.told[0]
        if len(outgoing.told) > 1 or not isinstance(alert, Alert):
            if not (outgoing.may_be_repeat and self._find(outgoing.id)):
                self._say(body, outgoing.id)
            return
        subject = alert.subject_digest
        parent = self._threads.find(self._channel, subject) or self._find(subject)
        if parent:
            self._ask("chat.update", {**body, "ts": parent} | _metadata(subject))
        else:
            parent = self._say(body, subject)
        self._threads.keep(self._channel, subject, parent)
        if not (outgoing.may_be_repeat and self._find(outgoing.id, thread=parent)):
            self._say({**body, "thread_ts": parent}, outgoing.id)

    def _say(self, body: dict[str, Any], id_: str) -> str:
        return str(self._ask("chat.postMessage", body | _metadata(id_))["ts"])

    def _find(self, id_: str, *, thread: str = "") -> str:
        """Return the message that has an id, "" when there is none."""
        for message in self._messages(thread):
            payload = message.get("metadata", {}).get("event_payload", {})
            if payload.get("id") == id_:
                return str(message["ts"])
        return ""

    def _messages(self, thread: str) -> Iterator[dict[str, Any]]:
        method = "conversations.replies" if thread else "conversations.history"
        words: dict[str, Any] = {"limit": 200, "include_all_metadata": True}
        words |= {"ts": thread} if thread else {}
        for _ in range(MOST_PAGES):
            told = self._ask(method, words)
            yield from told.get("messages", ())
            cursor = told.get("response_metadata", {}).get("next_cursor")
            if not cursor:
                return
            words |= {"cursor": cursor}

    def _ask(self, method: str, content: dict[str, Any]) -> dict[str, Any]:
        told = self._post.ask(method, {"channel": self._channel, **content}, self._headers)
        if told.get("ok"):
            return told
        error = str(told.get("error", "no reason"))
        if error in GONE:
            raise ChannelGone(f"Slack refuses this bot: {error}")
        raise DeliveryError(f"Slack answered {error}")


def _metadata(id_: str) -> dict[str, Any]:
    return {"metadata": {"event_type": EVENT, "event_payload": {"id": id_}}}
