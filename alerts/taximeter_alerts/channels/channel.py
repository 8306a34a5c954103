"""What every channel does, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, validate_call

from taximeter_alerts.alert import Outgoing
from taximeter_collector.accepted import said

Url = Annotated[
    str,
    Field(pattern=r"^https?://[^/\s]+"),
    said("give an address that begins with https:// or http://"),
]
Words = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))
"""Of a constructor whose values people write: refuses what they can't be."""


class DeliveryError(Exception):
    """The channel did not take the message; a later attempt may succeed."""

    def __init__(
        self, reason: str, *, retry_after_s: float | None = None, maybe_sent: bool = False
    ) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.maybe_sent = maybe_sent
        """The message left, and no answer came."""


class MessageRefused(DeliveryError):
    """The channel does not take this message; it may take another."""


class ChannelGone(Exception):
    """No later attempt can succeed: the channel's owner must act."""


class Sender(Protocol):
    knows_repeats: bool
    """A message that is sent again is told once: it is looked up first, or has an id."""
    follows_up: bool
    """It also wants to know who takes care of an alert."""

    def send(self, outgoing: Outgoing) -> None:
        """Send one message; raise DeliveryError or ChannelGone."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When only what is at its limit is told; each day, by a zone's clock."""

    begin: time
    end: time
    zone: ZoneInfo

    def holds(self, now: datetime) -> bool:
        at = now.astimezone(self.zone).time()
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A sender, and how it is to be used."""

    sender: Sender
    per_minute: int = 60
    quiet: QuietHours | None = None
    fallback: str = ""
    """The channel that is told when this one takes no messages any more."""


Channels = Mapping[str, Channel]
