"""What became of each delivery.

It is claimed before it is attempted and finished after; a claim that is never finished, because the
process died, expires and is taken again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from pydantic import TypeAdapter

from taximeter_alerts.alert import Told
from taximeter_alerts.state.database import Database
from taximeter_alerts.state.tables import alerts, deliveries

LEASE: Final = timedelta(seconds=60)
LONGEST_WAIT: Final = timedelta(hours=1)
SILENCED: Final = "silenced by "
"""How the note of a delivery begins that a silence holds."""
QUIET: Final = "quiet hours of the channel"
FAILED_AGAIN: Final = 2
"""Attempts; a single one that fails is most often mended by the next."""

FACTS: Final[TypeAdapter[Told]] = TypeAdapter(Told)


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    """Claimed; `due_at` is when the claim expires."""
    SENT = "sent"
    AMBIGUOUS = "ambiguous"
    """Sent several times without an answer: it may have arrived, and more tries would storm."""
    DEAD = "dead"
    """The channel refuses for good; tried again when the service starts anew."""
    INHIBITED = "inhibited"
    """A budget that holds this one had told the channel at 100 %."""
    SILENCED = "silenced"
    """Somebody wanted no message until its period was over."""


UNFINISHED: Final = sa.case((deliveries.c.state == DeliveryState.SENDING, 1), else_=0)
"""1 for an attempt whose end was never noted: it may have been one that arrived."""
IS_SILENCED: Final = deliveries.c.error.startswith(SILENCED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert on its way to one channel."""

    id: int
    channel: str
    state: DeliveryState
    attempts: int
    maybe_sent: int
    """Attempts of which nobody knows whether they arrived."""
    alert: Told
    number: int
    """Of the alert."""
    error: str = ""
    unanswered: int = 0
    """Attempts that left and got no answer, a death of the process left out."""
    batch: str = ""
    """Id of the message that it is in; empty before the first attempt."""


class Deliveries:
    """The table of deliveries. Safe to share between threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: datetime) -> list[Delivery]:
        """Return the deliveries that may be claimed now, the oldest first."""
        return self._read(_is_free(now))

    def claim(self, numbers: Sequence[int], now: datetime, batch: str) -> list[Delivery]:
        """Claim due deliveries for `LEASE`; return those that no other took.

        They are sent in one message, whose id is `batch` unless it had one at an earlier attempt.
        """
        claimed = []
        with self._database.writing() as connection:
            for number in sorted(numbers):
                taken = connection.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.id == number, _is_free(now))
                    .values(
                        state=DeliveryState.SENDING,
                        attempts=deliveries.c.attempts + 1,
                        maybe_sent=deliveries.c.maybe_sent + UNFINISHED,
                        due_at=now + LEASE,
                        batch=sa.case((deliveries.c.batch == "", batch), else_=deliveries.c.batch),
                    )
                )
                if taken.rowcount == 1:
                    claimed.append(number)
        return self._read(deliveries.c.id.in_(claimed)) if claimed else []

    def finish(
        self,
        claimed: Sequence[Delivery],
        state: DeliveryState,
        *,
        due_at: datetime,
        error: str = "",
        maybe_sent: bool = False,
    ) -> None:
        """Complete the note about an attempt, unless its claim expired and was taken over."""
        with self._database.writing() as connection:
            for one in claimed:
                connection.execute(
                    sa.update(deliveries)
                    .where(
                        deliveries.c.id == one.id,
                        deliveries.c.state == DeliveryState.SENDING,
                        deliveries.c.attempts == one.attempts,
                    )
                    .values(
                        state=state,
                        due_at=due_at,
                        error=error,
                        maybe_sent=deliveries.c.maybe_sent + int(maybe_sent),
                        unanswered=deliveries.c.unanswered + int(maybe_sent),
                    )
                )

    def hold(
        self,
        ids: Sequence[int],
        now: datetime,
        due_at: datetime,
        error: str,
        state: DeliveryState = DeliveryState.PENDING,
    ) -> None:
        """Put off, or put away, what is due."""
        self._database.write(
            sa.update(deliveries)
            .where(deliveries.c.id.in_(ids), _is_free(now))
            .values(
                state=state,
                due_at=due_at,
                error=error,
                maybe_sent=deliveries.c.maybe_sent + UNFINISHED,
            )
        )

    def end_silence(self, now: datetime) -> None:
        """Make due what was silenced and still matters; what still is will be held again."""
        states = [DeliveryState.PENDING, DeliveryState.SILENCED]
        self._make_due(IS_SILENCED & deliveries.c.state.in_(states), now)

    def revive(self, now: datetime) -> None:
        """Give dead deliveries of periods that are not over another try."""
        self._make_due(deliveries.c.state == DeliveryState.DEAD, now)

    def _make_due(self, condition: sa.ColumnElement[bool], now: datetime) -> None:
        ids = [one.id for one in self._read(condition) if is_of_now(one.alert, now)]
        self._database.write(
            sa.update(deliveries)
            .where(deliveries.c.id.in_(ids), condition)
            .values(state=DeliveryState.PENDING, due_at=now, error="")
        )

    def also_to(self, channel: str, given_up: Sequence[Delivery], now: datetime) -> None:
        """Send the alerts of deliveries that were given up to another channel."""
        with self._database.writing() as connection:
            for one in given_up:
                row = new_delivery(one.number, channel, now)
                connection.execute(self._database.insert_new(deliveries, row))

    def failing(self) -> dict[str, tuple[str, int]]:
        """Return by channel why the last attempts failed, and how many deliveries wait for that."""
        failed = self._read(
            deliveries.c.state.in_([DeliveryState.PENDING, DeliveryState.SENDING])
            & (deliveries.c.attempts >= FAILED_AGAIN)
            & deliveries.c.error.not_in(["", QUIET])
            & ~IS_SILENCED
        )
        waiting = Counter(one.channel for one in failed)
        return {one.channel: (one.error, waiting[one.channel]) for one in failed}

    def newest(self, limit: int) -> list[Delivery]:
        """Return the newest deliveries with their alerts, the newest first."""
        newest = sa.select(deliveries.c.id).order_by(deliveries.c.id.desc()).limit(limit)
        return self._read(deliveries.c.id.in_(newest.scalar_subquery()))[::-1]

    def of_alerts(self, numbers: Sequence[int]) -> list[Delivery]:
        """Return the deliveries of these alerts, the oldest first."""
        return self._read(deliveries.c.alert.in_(numbers))

    def all(self) -> list[Delivery]:
        """Return every delivery with its alert, the oldest first."""
        return self._read(sa.true())

    def _read(self, condition: sa.ColumnElement[bool]) -> list[Delivery]:
        question = (
            sa.select(deliveries, alerts.c.facts)
            .join(alerts, alerts.c.id == deliveries.c.alert)
            .where(condition)
            .order_by(deliveries.c.id)
        )
        return [
            Delivery(
                id=row.id,
                channel=row.channel,
                state=DeliveryState(row.state),
                attempts=row.attempts,
                maybe_sent=row.maybe_sent,
                alert=FACTS.validate_json(row.facts),
                number=row.alert,
                error=row.error,
                unanswered=row.unanswered,
                batch=row.batch,
            )
            for row in self._database.read(question)
        ]


def new_delivery(
    alert: int, channel: str, due_at: datetime, state: DeliveryState = DeliveryState.PENDING
) -> dict[str, object]:
    """Return the row of an alert that a channel is to be told."""
    return {"alert": alert, "channel": channel, "state": state, "due_at": due_at}


def is_of_now(alert: Told, now: datetime) -> bool:
    """Tell whether what is told still matters."""
    period = getattr(alert, "period", None)
    return period is None or period.end > now


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    # What is due later than any wait is long was noted by a clock that has been set back since.
    return sa.and_(
        deliveries.c.state.in_([DeliveryState.PENDING, DeliveryState.SENDING]),
        sa.or_(
            deliveries.c.due_at <= now,
            deliveries.c.due_at > now + LONGEST_WAIT + LEASE,
        ),
    )
