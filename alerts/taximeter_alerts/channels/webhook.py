"""A webhook of anybody's, signed by the Standard Webhooks scheme.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any, Final

from taximeter_alerts.channels.post import Post
from taximeter_alerts.evaluate import Alert

PREFIX: Final = "whsec_"
SHORTEST_KEY: Final = 24
LONGEST_KEY: Final = 64


class Webhook:
    """Tells of alerts in JSON; a message that comes twice has the same id."""

    def __init__(self, url: str, secret: str, *, page_url: str) -> None:
        """Set it up; raises ValueError when the secret is none."""
        self._post = Post("the webhook", url, gone=(410,))
        self._key = key_of(secret)
        self._page_url = page_url

    def send(self, alert: Alert) -> None:
        self._send(_id(alert), _told(alert, self._page_url))

    def send_digest(self, alerts: Sequence[Alert]) -> None:
        digest = hashlib.sha256("".join(sorted(map(_id, alerts))).encode()).hexdigest()
        newest = max(alert.at for alert in alerts)
        told = {
            "type": "budget.thresholds_crossed",
            "timestamp": newest.isoformat(),
            "data": {"alerts": [_told(alert, self._page_url)["data"] for alert in alerts]},
        }
        self._send(f"msg_{digest[:32]}", told)

    def _send(self, id_: str, told: dict[str, Any]) -> None:
        moment, body = str(int(time.time())), json.dumps(told).encode()
        signed = hmac.digest(self._key, f"{id_}.{moment}.".encode() + body, "sha256")
        self._post.send(
            body,
            {
                "webhook-id": id_,
                "webhook-timestamp": moment,
                "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
            },
        )


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret like `whsec_...`; raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(
            f"give {PREFIX} and {SHORTEST_KEY} to {LONGEST_KEY} random bytes in base64, "
            "like the output of: echo whsec_$(head -c 32 /dev/urandom | base64)"
        )
    return key


def _id(alert: Alert) -> str:
    key = alert.key
    parts = (key.budget, key.period_start.isoformat(), key.kind, key.percent, key.threshold_usd)
    return f"msg_{hashlib.sha256(repr(tuple(map(str, parts))).encode()).hexdigest()[:32]}"


def _told(alert: Alert, page_url: str) -> dict[str, Any]:
    """Return the payload; dollars are text with every digit."""
    return {
        "type": "budget.threshold_crossed",
        "timestamp": alert.at.isoformat(),
        "data": {
            "budget": alert.key.budget,
            "owner": alert.owner,
            "period": {
                "from": alert.period.start.isoformat(),
                "to": alert.period.end.isoformat(),
                "zone": alert.zone,
            },
            "percent": alert.key.percent,
            "also_passed": list(alert.also_passed),
            "next_threshold": alert.next_threshold,
            "limit": f"{alert.limit:f}",
            "spent": f"{alert.spent:f}",
            "spent_is_complete": alert.unpriced_calls == 0,
            "unpriced_calls": alert.unpriced_calls,
            "currency": "USD",
            "top_features": [
                {"feature": feature, "cost": f"{cost:f}"} for feature, cost in alert.top_features
            ],
            "url": page_url,
        },
    }
