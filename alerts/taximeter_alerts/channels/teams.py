"""Microsoft Teams: a workflow that posts what its webhook is sent, as an Adaptive Card."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from taximeter_alerts.alert import Outgoing
from taximeter_alerts.channels.channel import Sender, Url, checked
from taximeter_alerts.channels.post import Post
from taximeter_alerts.message import Message, message_of
from taximeter_alerts.voice import MARKDOWN

LONGEST_TEXT: Final = 2_000
MOST_PARAGRAPHS: Final = 8


class Teams(Sender):
    @checked
    def __init__(self, *, url: Url, templates: Path | None = None) -> None:
        self._post = Post("Teams", url, gone=(400, 401, 403, 404, 410))
        self._templates = templates

    def send(self, outgoing: Outgoing) -> None:
        self._post.send_json(teams_message(message_of(outgoing, MARKDOWN, self._templates)))


def teams_message(message: Message) -> dict[str, Any]:
    facts = [{"title": label, "value": value} for label, value in message.facts]
    texts = [text for text in (message.summary, *message.paragraphs[:MOST_PARAGRAPHS]) if text]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.line[:LONGEST_TEXT],
        "body": [
            _text(MARKDOWN.escape(message.title), size="Large", weight="Bolder"),
            *(_text(text) for text in texts),
            *([{"type": "FactSet", "facts": facts}] if facts else []),
            *([_text(message.footer, isSubtle=True, size="Small")] if message.footer else []),
        ],
        "actions": [
            {"type": "Action.OpenUrl", "title": label, "url": url} for label, url in message.links
        ],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _text(text: str, **how: object) -> dict[str, Any]:
    # A single line break is a space to Markdown.
    shown = text[:LONGEST_TEXT].replace("\n", "\n\n")
    return {"type": "TextBlock", "text": shown, "wrap": True, **how}
