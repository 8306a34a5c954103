"""What every channel does, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, SkipValidation, validate_call
from pydantic.dataclasses import dataclass

from taximeter_alerts.alert import Outgoing
from taximeter_alerts.budgets import CHECKED, Zone
from taximeter_collector.accepted import said

Url = Annotated[
    str,
    Field(pattern=r"^https?://[^/\s]+"),
    said("give an address that begins with https:// or http://"),
]
Words = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), said("give a time like 07:30")]
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


class ChannelGone(Exception):
    """No later attempt can succeed: the channel's owner must act."""


class MessageRefused(ChannelGone):
    """The channel does not take this message; it may take another."""


class Sender(Protocol):
    knows_repeats: bool = False
    """A message that is sent again is told once: it is looked up first, or has an id."""
    follows_up: bool = False
    """It also wants to know who takes care of an alert."""

    def send(self, outgoing: Outgoing) -> None:
        """Send one message; raise DeliveryError or ChannelGone."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class QuietHours:
    """When only what is at its limit is told; each day, by a zone's clock."""

    begin: Clock
    end: Clock
    zone: Zone = ZoneInfo("UTC")

    def holds(self, now: datetime) -> bool:
        at = f"{now.astimezone(self.zone):%H:%M}"
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Channel:
    """A sender, and how it is to be used."""

    sender: SkipValidation[Sender]
    fallback: str = ""
    """The channel that is told when this one takes no messages any more."""
    quiet: QuietHours | None = None
    per_minute: Annotated[int, Field(ge=1, le=6_000)] = 60


Channels = Mapping[str, Channel]
