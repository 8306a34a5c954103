"""One POST of a message, and what its answer means for the next attempt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import urllib3

from taximeter_alerts.evaluate import Alert

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

    def send_digest(self, alerts: Sequence[Alert]) -> None:
        """Send several in one message."""


class Post:
    """Posts to one address, a secret that is never shown."""

    def __init__(self, name: str, url: str, *, gone: Collection[int]) -> None:
        """Set up for a receiver that people call `name`; statuses in `gone` are for good."""
        self._name = name
        self._url = url
        self._gone = gone
        # The outbox retries; a retry down here could post twice without anyone knowing.
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT)

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post once; raise DeliveryError or ChannelGone."""
        try:
            # The status is the answer. A body could be endless, or never come.
            answer = self._http.request(
                "POST",
                self._url,
                body=body,
                headers={"Content-Type": "application/json", **headers},
                redirect=False,
                preload_content=False,
            )
        except NOT_SENT as error:
            reason = f"{self._name} is out of reach: {type(error).__name__}"
            raise DeliveryError(reason) from error
        except urllib3.exceptions.HTTPError as error:
            reason = f"{self._name} did not answer: {type(error).__name__}"
            raise DeliveryError(reason, maybe_sent=True) from error
        answer.close()
        if answer.status in self._gone:
            raise ChannelGone(f"{self._name} refuses this webhook: {answer.status}")
        if not 200 <= answer.status < 300:
            wait_s = _retry_after_s(answer.headers)
            raise DeliveryError(f"{self._name} answered {answer.status}", retry_after_s=wait_s)


def _retry_after_s(headers: Mapping[str, Any]) -> float | None:
    """Read Retry-After, which is seconds or an HTTP date."""
    value = str(headers.get("Retry-After", ""))
    try:
        if value.isascii() and value.isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
