"""Slack: the blocks of a message, and incoming webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from taximeter_alerts.alert import Outgoing
from taximeter_alerts.channels.channel import MessageRefused, Sender, Url, checked
from taximeter_alerts.channels.post import Post
from taximeter_alerts.message import Message, message_of
from taximeter_alerts.voice import SLACK

LONGEST_TEXT: Final = 3_000
LONGEST_HEADER: Final = 150
LONGEST_FIELD: Final = 2_000
MOST_FIELDS: Final = 10
MOST_PARAGRAPHS: Final = 20

Blocks = list[dict[str, Any]]


class SlackWebhook(Sender):
    """An incoming webhook: can't be read back, so what may be a repeat says so."""

    @checked
    def __init__(self, *, url: Url, templates: Path | None = None) -> None:
        self._post = Post("Slack", url, gone=(400, 403, 404, 410))
        self._templates = templates

    def send(self, outgoing: Outgoing) -> None:
        body = slack_message(message_of(outgoing, SLACK, self._templates))
        try:
            self._post.send_json(body)
        except MessageRefused:
            # Something in the blocks is not to Slack's liking: the line alone says enough.
            self._post.send_json({"text": body["text"]})


def slack_message(message: Message) -> dict[str, Any]:
    """Return the body: a line of text and the blocks, within Slack's limits."""
    return {
        "text": _cut(SLACK.escape(message.line), LONGEST_TEXT),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": list(_blocks(message)),
    }


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    yield {
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": _cut(message.title, LONGEST_HEADER),
            "emoji": True,
        },
    }
    if message.summary:
        yield _section(message.summary)
    if message.facts:
        fields = [f"*{label}*\n{value}" for label, value in message.facts[:MOST_FIELDS]]
        yield {"type": "section", "fields": [_text(field, LONGEST_FIELD) for field in fields]}
    for paragraph in message.paragraphs[:MOST_PARAGRAPHS]:
        yield from _sections(paragraph)
    yield {
        "type": "actions",
        "elements": [_button(*link, place) for place, link in enumerate(message.links)],
    }
    if message.footer:
        yield {"type": "context", "elements": [_text(message.footer, LONGEST_FIELD)]}


def _button(label: str, url: str, place: int) -> dict[str, Any]:
    button = {
        "type": "button",
        "action_id": f"open_{place}",
        "text": {"type": "plain_text", "text": label},
        "url": url,
    }
    return button | ({} if place else {"style": "primary"})


def _sections(paragraph: str) -> Iterator[dict[str, Any]]:
    """Yield a long paragraph in parts, cut between its lines."""
    part = ""
    for line in paragraph.splitlines():
        if part and len(part) + len(line) >= LONGEST_TEXT:
            yield _section(part)
            part = ""
        part = f"{part}\n{line}" if part else line
    if part:
        yield _section(part)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text, LONGEST_TEXT)}


def _text(text: str, longest: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": _cut(text, longest)}


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(body: dict[str, Any]) -> list[str]:
    """Return a message's texts in reading order, as a terminal shows them."""
    texts = []
    for block in body["blocks"]:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        for part in filter(None, parts):
            text = part["text"]
            texts.append(text if isinstance(text, str) else f"[{text['text']}]")
    return texts
