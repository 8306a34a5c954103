"""The outbox: takes due deliveries to their channels, until each is sent or can't be."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from taximeter_alerts.channels import Channel, ChannelGone, DeliveryError
from taximeter_alerts.state import LONGEST_WAIT, Delivery, DeliveryState, State

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 2.0
LAST_RETRY_S: Final = 600.0
MAYBE_SENT_TRIES: Final = 3


def deliver(state: State, channels: Mapping[str, Channel], clock: Callable[[], datetime]) -> None:
    """Attempt every due delivery once, each claimed just before."""
    for number in state.due(clock()):
        delivery = state.claim(number, clock())
        if delivery is None:
            continue
        try:
            _send(channels, delivery)
        except DeliveryError as error:
            _postpone(state, delivery, error, clock())
        except ChannelGone as error:
            log.error("an alert can't be delivered", extra=_fields(delivery, error))  # noqa: TRY400
            state.finish(delivery, DeliveryState.DEAD, due_at=clock(), error=str(error))
        except Exception as error:
            log.exception("sending an alert failed", extra=_fields(delivery, error))
            _postpone(state, delivery, DeliveryError(type(error).__name__), clock())
        else:
            state.finish(delivery, DeliveryState.SENT, due_at=clock())


def _send(channels: Mapping[str, Channel], delivery: Delivery) -> None:
    channel = channels.get(delivery.channel)
    if channel is None:
        raise DeliveryError("the channel is not set up", retry_after_s=LAST_RETRY_S)
    channel.send(delivery.alert)


def _postpone(state: State, delivery: Delivery, error: DeliveryError, now: datetime) -> None:
    log.warning("an alert was not delivered yet", extra=_fields(delivery, error))
    gives_up = error.maybe_sent and delivery.maybe_sent + 1 >= MAYBE_SENT_TRIES
    state.finish(
        delivery,
        DeliveryState.AMBIGUOUS if gives_up else DeliveryState.PENDING,
        due_at=now + _wait(delivery, error),
        error=str(error),
        maybe_sent=error.maybe_sent,
    )


def _wait(delivery: Delivery, error: DeliveryError) -> timedelta:
    if error.retry_after_s is not None:
        return timedelta(seconds=min(error.retry_after_s, LONGEST_WAIT.total_seconds()))
    backoff_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(delivery.attempts - 1, 20))
    return timedelta(seconds=backoff_s * random.uniform(0.8, 1.2))  # noqa: S311 no secret


def _fields(delivery: Delivery, error: Exception) -> dict[str, str]:
    budget = delivery.alert.key.budget
    return {"budget": budget, "channel": delivery.channel, "reason": str(error)}
