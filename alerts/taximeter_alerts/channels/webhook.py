"""A webhook of anybody's, signed by the Standard Webhooks scheme.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from typing import Any, Final

from taximeter_alerts.alert import Notice, Outgoing, Told
from taximeter_alerts.channels.channel import Sender, Url, checked
from taximeter_alerts.channels.post import Post

PREFIX: Final = "whsec_"
SHORTEST_KEY: Final = 24
LONGEST_KEY: Final = 64


class Webhook(Sender):
    """Tells of alerts in JSON; a message that comes twice has the same id."""

    knows_repeats = True
    follows_up = True

    @checked
    def __init__(self, *, url: Url, secret: str) -> None:
        """Set it up; raises ValueError when the secret is none."""
        self._post = Post("the webhook", url, gone=(410,))
        self._key = key_of(secret)

    def send(self, outgoing: Outgoing) -> None:
        told = outgoing.told
        page = outgoing.page_url
        if len(told) == 1:
            self._send(outgoing.id, _told(told[0], page))
            return
        content = {
            "type": "budget.alerts",
            "timestamp": max(one.at for one in told).isoformat(),
            "data": {"alerts": [_told(one, page)["data"] for one in told]},
        }
        self._send(outgoing.id, content)

    def _send(self, id_: str, content: dict[str, Any]) -> None:
        moment, body = str(int(time.time())), json.dumps(content).encode()
        signed = hmac.digest(self._key, f"msg_{id_}.{moment}.".encode() + body, "sha256")
        self._post.send(
            body,
            {
                "webhook-id": f"msg_{id_}",
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


def _told(one: Told, page_url: str) -> dict[str, Any]:
    """Return the payload; dollars are text with every digit."""
    told = {"id": one.key.digest, "kind": one.key.kind, "url": page_url}
    if isinstance(one, Notice):
        data = told | {"title": one.title, "text": one.text}
        return {"type": "meter.notice", "timestamp": one.at.isoformat(), "data": data}
    return {
        "type": f"budget.{one.key.kind}",
        "timestamp": one.at.isoformat(),
        "data": told
        | {
            "budget": one.key.budget,
            "value": one.key.value,
            "owner": one.owner,
            "taken_by": one.taken_by,
            "period": {
                "from": one.period.start.isoformat(),
                "to": one.period.end.isoformat(),
                "zone": one.zone,
            },
            "percent": one.key.percent,
            "also_passed": list(one.also_passed),
            "next_threshold": one.next_threshold,
            "limit": f"{one.limit:f}",
            "spent": f"{one.spent:f}",
            "spent_is_complete": one.unpriced_calls == 0,
            "unpriced_calls": one.unpriced_calls,
            "currency": "USD",
            "top_features": [
                {"feature": feature, "cost": f"{cost:f}"} for feature, cost in one.top_features
            ],
        },
    }
