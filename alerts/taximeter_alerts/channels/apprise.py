"""Everything else, by way of apprise: Discord, Telegram, ntfy, Matrix and a hundred more."""

from __future__ import annotations

from pathlib import Path

from taximeter_alerts.alert import Outgoing
from taximeter_alerts.channels.channel import DeliveryError, Sender, Words, checked
from taximeter_alerts.channels.email import plain_text
from taximeter_alerts.message import message_of
from taximeter_alerts.voice import PLAIN


class AppriseChannel(Sender):
    @checked
    def __init__(self, *, url: Words, templates: Path | None = None) -> None:
        """Set up for an address that apprise knows; raises ValueError, ModuleNotFoundError."""
        import apprise

        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            raise ValueError("give an address that apprise knows, like ntfy://topic")
        self._templates = templates

    def send(self, outgoing: Outgoing) -> None:
        message = message_of(outgoing, PLAIN, self._templates)
        if not self._apprise.notify(title=message.title, body=plain_text(message)):
            raise DeliveryError("apprise could not deliver it: see the log")
