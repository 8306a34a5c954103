"""One POST of a message, and what its answer means for the next attempt."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import urllib3

from taximeter_alerts.channels.channel import ChannelGone, DeliveryError, MessageRefused

NOT_SENT: Final = (
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.SSLError,
)
TIMEOUT: Final = urllib3.Timeout(connect=5, read=10)
LONGEST_ANSWER: Final = 2_000_000
BAD_REQUEST: Final = 400


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
        # The status is the answer. A body could be endless, or never come.
        self._posted("", body, headers).close()

    def send_json(self, content: object) -> None:
        """Post once; raise DeliveryError or ChannelGone."""
        self.send(json.dumps(content).encode(), {})

    def ask(self, path: str, content: object, headers: Mapping[str, str]) -> dict[str, Any]:
        """Post to a path below the address and return the answer; raise DeliveryError."""
        answer = self._posted(path, json.dumps(content).encode(), headers)
        try:
            told = json.loads(answer.read(LONGEST_ANSWER))
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            reason = f"{self._name} gave no answer to read: {type(error).__name__}"
            raise DeliveryError(reason, maybe_sent=True) from error
        finally:
            answer.close()
        if not isinstance(told, dict):
            raise DeliveryError(f"{self._name} answered with no object", maybe_sent=True)
        return told

    def _posted(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._http.request(
                "POST",
                self._url + path,
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
        if answer.status in self._gone:
            answer.close()
            if answer.status == BAD_REQUEST:
                raise MessageRefused(f"{self._name} does not take this message: {answer.status}")
            raise ChannelGone(f"{self._name} refuses this address: {answer.status}")
        if not 200 <= answer.status < 300:
            answer.close()
            wait_s = _retry_after_s(answer.headers)
            raise DeliveryError(f"{self._name} answered {answer.status}", retry_after_s=wait_s)
        return answer


def _retry_after_s(headers: Mapping[str, Any]) -> float | None:
    """Read Retry-After, which is seconds or an HTTP date."""
    value = str(headers.get("Retry-After", ""))
    try:
        if value.isascii() and value.isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
