"""What a link in a message may do: it is signed, and opens a page that asks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from itsdangerous import BadSignature, URLSafeTimedSerializer

from taximeter_alerts.alert import Alert, Kind

VALID_FOR: Final = timedelta(days=45)


class Signer:
    """Makes tokens that name an alert, and reads only its own."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="answer")

    def token(self, alert: int) -> str:
        return self._serializer.dumps(alert)

    def alert(self, token: str) -> int | None:
        """Return the alert's number; None for a token that is not ours, or too old."""
        try:
            number = self._serializer.loads(token, max_age=VALID_FOR // timedelta(seconds=1))
        except BadSignature:
            return None
        return number if isinstance(number, int) else None


def acknowledged(alert: Alert, by: str, now: datetime, channels: Sequence[str]) -> Alert:
    """Return what channels that follow an alert up are told: who takes care of it."""
    key = replace(alert.key, kind=Kind.ACKNOWLEDGED)
    told = tuple(name for name in alert.channels if name in channels)
    return replace(alert, key=key, at=now, channels=told, also_passed=(), taken_by=by)
