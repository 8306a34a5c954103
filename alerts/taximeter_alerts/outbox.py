"""The outbox: takes due deliveries to their channels, until each is sent or can't be."""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from taximeter_alerts.channels import Channel, ChannelGone, DeliveryError
from taximeter_alerts.state import LONGEST_WAIT, Delivery, DeliveryState, State

log = logging.getLogger(__name__)

MOST_SINGLY: Final = 5
"""More due at once for one channel are told in one message: no storm."""
FIRST_RETRY_S: Final = 2.0
LAST_RETRY_S: Final = 600.0
MAYBE_SENT_TRIES: Final = 3


def deliver(state: State, channels: Mapping[str, Channel], clock: Callable[[], datetime]) -> None:
    """Attempt every due delivery once; many of one channel together, in a digest."""
    by_channel: dict[str, list[int]] = defaultdict(list)
    for number, channel in state.due(clock()):
        by_channel[channel].append(number)
    for numbers in by_channel.values():
        if len(numbers) > MOST_SINGLY:
            _attempt(state, channels, numbers, clock)
        else:
            for number in numbers:
                _attempt(state, channels, [number], clock)


def _attempt(
    state: State,
    channels: Mapping[str, Channel],
    numbers: Sequence[int],
    clock: Callable[[], datetime],
) -> None:
    """Claim deliveries of one channel just before they are sent in one message."""
    claimed = [one for number in numbers if (one := state.claim(number, clock())) is not None]
    if not claimed:
        return
    try:
        _send(channels, claimed)
    except DeliveryError as error:
        _postpone(state, claimed, error, clock())
    except ChannelGone as error:
        log.error("an alert can't be delivered", extra=_fields(claimed, error))  # noqa: TRY400
        for one in claimed:
            state.finish(one, DeliveryState.DEAD, due_at=clock(), error=str(error))
    except Exception as error:
        log.exception("sending an alert failed", extra=_fields(claimed, error))
        _postpone(state, claimed, DeliveryError(type(error).__name__), clock())
    else:
        for one in claimed:
            state.finish(one, DeliveryState.SENT, due_at=clock())


def _send(channels: Mapping[str, Channel], claimed: Sequence[Delivery]) -> None:
    channel = channels.get(claimed[0].channel)
    if channel is None:
        raise DeliveryError("the channel is not set up", retry_after_s=LAST_RETRY_S)
    if len(claimed) == 1:
        channel.send(claimed[0].alert)
    else:
        channel.send_digest([one.alert for one in claimed])


def _postpone(
    state: State, claimed: Sequence[Delivery], error: DeliveryError, now: datetime
) -> None:
    log.warning("an alert was not delivered yet", extra=_fields(claimed, error))
    # What was in one message is tried again in one.
    due_at = now + _wait(claimed[0], error)
    for one in claimed:
        gives_up = error.maybe_sent and one.maybe_sent + 1 >= MAYBE_SENT_TRIES
        state.finish(
            one,
            DeliveryState.AMBIGUOUS if gives_up else DeliveryState.PENDING,
            due_at=due_at,
            error=str(error),
            maybe_sent=error.maybe_sent,
        )


def _wait(delivery: Delivery, error: DeliveryError) -> timedelta:
    if error.retry_after_s is not None:
        return timedelta(seconds=min(error.retry_after_s, LONGEST_WAIT.total_seconds()))
    backoff_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(delivery.attempts - 1, 20))
    return timedelta(seconds=backoff_s * random.uniform(0.8, 1.2))  # noqa: S311 no secret


def _fields(claimed: Sequence[Delivery], error: Exception) -> dict[str, str]:
    budget = claimed[0].alert.key.budget
    more = f" and {len(claimed) - 1} more" if len(claimed) > 1 else ""
    return {"budget": budget + more, "channel": claimed[0].channel, "reason": str(error)}
