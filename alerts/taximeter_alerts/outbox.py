"""The outbox: takes due deliveries to their channels, until each is sent or can't be."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from taximeter_alerts.channels import Channel, ChannelGone, DeliveryError
from taximeter_alerts.state import Delivery, DeliveryState, State

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 2.0
LAST_RETRY_S: Final = 600.0


def deliver(state: State, channels: Mapping[str, Channel], now: datetime) -> int:
    """Attempt every due delivery once; return how many were sent."""
    return sum(_attempt(state, channels, delivery, now) for delivery in state.claim(now))


def _attempt(
    state: State, channels: Mapping[str, Channel], delivery: Delivery, now: datetime
) -> bool:
    fields = {"budget": delivery.alert.key.budget, "channel": delivery.channel}
    try:
        _send(channels, delivery)
    except DeliveryError as error:
        log.warning("an alert was not delivered yet", extra={**fields, "reason": str(error)})
        due_at = now + timedelta(seconds=_retry_s(delivery, error))
        state.finish(delivery, DeliveryState.PENDING, due_at=due_at, error=str(error))
        return False
    except ChannelGone as error:
        log.error("an alert can't be delivered", extra={**fields, "reason": str(error)})  # noqa: TRY400
        state.finish(delivery, DeliveryState.DEAD, due_at=now, error=str(error))
        return False
    state.finish(delivery, DeliveryState.SENT, due_at=now)
    return True


def _send(channels: Mapping[str, Channel], delivery: Delivery) -> None:
    channel = channels.get(delivery.channel)
    if channel is None:
        raise DeliveryError("the channel is not set up", LAST_RETRY_S)
    channel.send(delivery.alert)


def _retry_s(delivery: Delivery, error: DeliveryError) -> float:
    if error.retry_after_s is not None:
        return error.retry_after_s
    backoff = min(LAST_RETRY_S, FIRST_RETRY_S * float(2 ** min(delivery.attempts - 1, 20)))
    return backoff * random.uniform(0.8, 1.2)  # noqa: S311 jitter is no secret
