"""Channels: the only place from which anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import urllib3

from taximeter_alerts.evaluate import Alert
from taximeter_alerts.message import slack_message

NOT_SENT: Final = (
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.SSLError,
)
TIMEOUT: Final = urllib3.Timeout(connect=5, read=10)


class DeliveryError(Exception):
    """The channel did not take the message; a later attempt may succeed."""

    def __init__(
        self, reason: str, *, retry_after_s: float | None = None, maybe_sent: bool = False
    ) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.maybe_sent = maybe_sent
        """The message left, and no answer came."""


class ChannelGone(Exception):
    """No later attempt can succeed: the channel's owner must act."""


class Channel(Protocol):
    def send(self, alert: Alert) -> None:
        """Send one alert; raise DeliveryError or ChannelGone."""


class SlackWebhook:
    """A Slack incoming webhook. Its URL is a secret and is never shown."""

    def __init__(self, url: str, *, page_url: str) -> None:
        self._url = url
        self._page_url = page_url
        # The outbox retries; a retry down here could post twice without anyone knowing.
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT)

    def send(self, alert: Alert) -> None:
        try:
            # The status is the answer. A body could be endless, or never come.
            answer = self._http.request(
                "POST",
                self._url,
                json=slack_message(alert, page_url=self._page_url),
                redirect=False,
                preload_content=False,
            )
        except NOT_SENT as error:
            raise DeliveryError(f"Slack is out of reach: {type(error).__name__}") from error
        except urllib3.exceptions.HTTPError as error:
            name = type(error).__name__
            raise DeliveryError(f"Slack did not answer: {name}", maybe_sent=True) from error
        answer.close()
        if answer.status in (400, 403, 404, 410):
            raise ChannelGone(f"Slack refuses this webhook: {answer.status}")
        if not 200 <= answer.status < 300:
            wait_s = _retry_after_s(answer.headers)
            raise DeliveryError(f"Slack answered {answer.status}", retry_after_s=wait_s)


def channels_of(slack_webhook_url: str | None, *, page_url: str) -> dict[str, Channel]:
    """Return the channels that are set up, by the name that budgets use."""
    if slack_webhook_url is None:
        return {}
    return {"slack": SlackWebhook(slack_webhook_url, page_url=page_url)}


def _retry_after_s(headers: Mapping[str, Any]) -> float | None:
    """Read Retry-After, which is seconds or an HTTP date."""
    value = str(headers.get("Retry-After", ""))
    try:
        if value.isascii() and value.isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
