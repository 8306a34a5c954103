"""The outbox: takes due deliveries to their channels, until each is sent or can't be."""

from __future__ import annotations

import logging
import math
import random
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from taximeter_alerts.alert import MOST_SINGLY, UNANSWERED, Kind, Outgoing, notice
from taximeter_alerts.answering import Signer
from taximeter_alerts.channels import ChannelGone, Channels, DeliveryError
from taximeter_alerts.state import Delivery, DeliveryState, State
from taximeter_alerts.state.deliveries import LONGEST_WAIT, QUIET, SILENCED, is_of_now

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 2.0
LAST_RETRY_S: Final = 600.0
MAYBE_SENT_TRIES: Final = 3
MINUTE_S: Final = 60
LOOK_AGAIN: Final = timedelta(minutes=5)
"""At what is put off until something changes."""
NOT_SET_UP: Final = "it is not set up"


class Outbox:
    """Attempts every due delivery once a tick; many of one channel together, in a digest."""

    def __init__(
        self,
        state: State,
        channels: Channels,
        clock: Callable[[], datetime],
        *,
        page_url: str,
        run: Callable[..., object],
    ) -> None:
        """Send to a channel by `run`, in a thread, so that a slow one holds up no other."""
        self._run = run
        self._busy: set[str] = set()
        self._state = state
        self._channels = channels
        self._clock = clock
        self._page_url = page_url
        self._signer = Signer(state.secret("answers"))
        self._quotas = {name: Quota(one.per_minute) for name, one in channels.items()}

    def tick(self) -> None:
        now = self._clock()
        due = self._not_silenced(self._state.deliveries.due(now), now)
        if not due:
            return
        held, gone = self._state.channels.held(), self._state.channels.gone()
        by_channel: dict[str, list[Delivery]] = defaultdict(list)
        for one in due:
            by_channel[one.channel].append(one)
        for name, waiting in by_channel.items():
            if name not in self._channels:
                self._send_nothing(name, waiting, NOT_SET_UP, DeliveryState.PENDING)
            elif name in gone:
                self._send_nothing(name, waiting, gone[name], DeliveryState.DEAD)
            elif name not in self._busy and not now < held.get(name, now) <= now + LONGEST_WAIT:
                messages = list(_messages(self._not_quiet(name, waiting, now)))
                self._busy.add(name)
                self._run(self._send_all, name, messages)

    def _send_all(self, name: str, messages: Sequence[Sequence[Delivery]]) -> None:
        try:
            for together in messages:
                if not self._attempt(name, together):
                    return
        except Exception:
            log.exception("sending to a channel failed and goes on later", extra={"channel": name})
        finally:
            self._busy.discard(name)

    def _not_silenced(self, due: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Return what nobody silenced; the rest waits for the silence's end, or for nothing."""
        silences = self._state.silences.at(now) if due else []
        free = []
        for one in due:
            silence = next((some for some in silences if some.covers(one.alert.key)), None)
            if silence is None:
                free.append(one)
                continue
            until, matters = silence.until, is_of_now(one.alert, silence.until)
            note = f"{SILENCED}{silence.made_by} until {until:%d %b %H:%M} UTC"
            became = DeliveryState.PENDING if matters else DeliveryState.SILENCED
            again_at = min(until, now + LONGEST_WAIT)
            self._state.deliveries.hold([one.id], now, again_at, note, became)
        return free

    def _not_quiet(self, name: str, due: list[Delivery], now: datetime) -> list[Delivery]:
        quiet = self._channels[name].quiet
        if quiet is None or not quiet.holds(now):
            return due
        waits = [one.id for one in due if not one.alert.is_over]
        self._state.deliveries.hold(waits, now, now + LOOK_AGAIN, QUIET)
        return [one for one in due if one.alert.is_over]

    def _attempt(self, name: str, together: Sequence[Delivery]) -> bool:
        """Claim deliveries just before they are sent in one message; tell whether to go on."""
        if not self._quotas[name].takes_one():
            return False
        deliveries = self._state.deliveries
        alone = len(together) == 1
        batch = together[0].alert.key.digest if alone else secrets.token_hex(16)
        claimed = deliveries.claim([one.id for one in together], self._clock(), batch)
        if not claimed:
            return True
        try:
            self._channels[name].sender.send(self._outgoing(claimed))
        except DeliveryError as error:
            self._postpone(claimed, error)
            return error.retry_after_s is None
        except ChannelGone as error:
            log.error("a channel takes no messages", extra=_fields(claimed, error))  # noqa: TRY400
            self._close(name, claimed, str(error))
            return False
        except Exception as error:
            log.exception("sending an alert failed", extra=_fields(claimed, error))
            self._postpone(claimed, DeliveryError(type(error).__name__))
        else:
            deliveries.finish(claimed, DeliveryState.SENT, due_at=self._clock())
        return True

    def _outgoing(self, claimed: Sequence[Delivery]) -> Outgoing:
        first = claimed[0]
        key = first.alert.key
        asks = first.batch == key.digest and key.kind not in UNANSWERED
        answer = f"{self._page_url}/a/{self._signer.token(first.number)}" if asks else ""
        return Outgoing(
            told=tuple(one.alert for one in claimed),
            id=first.batch,
            page_url=self._page_url,
            answer_url=answer,
            may_be_repeat=any(one.maybe_sent for one in claimed),
        )

    def _postpone(self, claimed: Sequence[Delivery], error: DeliveryError) -> None:
        log.warning("an alert was not delivered yet", extra=_fields(claimed, error))
        name, now = claimed[0].channel, self._clock()
        due_at = now + _wait(claimed[0], error)
        if error.retry_after_s is not None:
            self._state.channels.hold(name, due_at)
        may_storm = error.maybe_sent and not self._channels[name].sender.knows_repeats
        unanswered = max(one.unanswered for one in claimed) + 1
        gives_up = may_storm and unanswered >= MAYBE_SENT_TRIES
        if gives_up:
            self._tell_elsewhere(name, claimed, str(error))
        self._state.deliveries.finish(
            claimed,
            DeliveryState.AMBIGUOUS if gives_up else DeliveryState.PENDING,
            due_at=due_at,
            error=str(error),
            maybe_sent=error.maybe_sent,
        )

    def _close(self, name: str, claimed: Sequence[Delivery], reason: str) -> None:
        """Note that a channel is gone, and tell its fallback that and what it did not take."""
        now = self._clock()
        self._state.channels.is_gone(name, reason, now)
        self._tell_elsewhere(name, claimed, reason)
        self._state.deliveries.finish(claimed, DeliveryState.DEAD, due_at=now, error=reason)

    def _tell_elsewhere(self, name: str, told: Sequence[Delivery], reason: str) -> None:
        """Send alerts to another channel, too, which is told why, once a day."""
        now = self._clock()
        if fallback := self._fallback(name):
            self._state.deliveries.also_to(fallback, told, now)
            title = f"The channel {name} takes no messages"
            text = (
                f"{reason}. Alerts for it come here until it is mended; "
                f"then: taximeter alerts test {name}"
            )
            self._state.add(notice(f"channel {name}", title, text, now, (fallback,)))

    def _send_nothing(
        self, name: str, waiting: Sequence[Delivery], reason: str, became: DeliveryState
    ) -> None:
        """Note why a channel is not even tried, and tell its fallback."""
        now = self._clock()
        self._tell_elsewhere(name, waiting, reason)
        ids = [one.id for one in waiting]
        self._state.deliveries.hold(ids, now, now + LOOK_AGAIN, reason, became)

    def _fallback(self, name: str) -> str:
        """Return the channel that is told instead, one that works."""
        gone = self._state.channels.gone()
        channel = self._channels.get(name)
        wanted = [channel.fallback] if channel and channel.fallback else list(self._channels)
        return next((one for one in wanted if one != name and one not in gone), "")


class Quota:
    """Lets so many messages through in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._sent_at = deque([-math.inf] * per_minute, maxlen=per_minute)

    def takes_one(self) -> bool:
        now = monotonic()
        if now - self._sent_at[0] < MINUTE_S:
            return False
        self._sent_at.append(now)
        return True


def _messages(due: Sequence[Delivery]) -> Iterable[Sequence[Delivery]]:
    """Return what goes out together: a digest again as it was, else all when they are many.

    That a budget ended is told once, and not of each of its values.
    """
    batches: dict[str, list[Delivery]] = defaultdict(list)
    for one in due:
        batches[one.batch].append(one)
    new = batches.pop("", [])
    yield from batches.values()
    messages: dict[str | int, list[Delivery]] = defaultdict(list)
    for one in new:
        key = one.alert.key
        messages[key.budget if key.kind == Kind.ENDED else one.id].append(one)
    yield from [new] if len(messages) > MOST_SINGLY else messages.values()


def _wait(delivery: Delivery, error: DeliveryError) -> timedelta:
    if error.retry_after_s is not None:
        return timedelta(seconds=min(error.retry_after_s, LONGEST_WAIT.total_seconds()))
    backoff_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(delivery.attempts - 1, 20))
    return timedelta(seconds=backoff_s * random.uniform(0.8, 1.2))  # noqa: S311 no secret


def _fields(claimed: Sequence[Delivery], error: Exception) -> dict[str, str]:
    budget = claimed[0].alert.key.budget
    more = f" and {len(claimed) - 1} more" if len(claimed) > 1 else ""
    return {"budget": budget + more, "channel": claimed[0].channel, "reason": str(error)}
