"""A Slack incoming webhook."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from taximeter_alerts.channels.post import Post
from taximeter_alerts.evaluate import Alert
from taximeter_alerts.message import slack_digest, slack_message


class SlackWebhook:
    def __init__(self, url: str, *, page_url: str) -> None:
        self._post = Post("Slack", url, gone=(400, 403, 404, 410))
        self._page_url = page_url

    def send(self, alert: Alert) -> None:
        self._send(slack_message(alert, page_url=self._page_url))

    def send_digest(self, alerts: Sequence[Alert]) -> None:
        self._send(slack_digest(alerts, page_url=self._page_url))

    def _send(self, message: dict[str, Any]) -> None:
        self._post.send(json.dumps(message).encode(), {})
