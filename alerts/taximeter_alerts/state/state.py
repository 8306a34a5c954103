"""The state database: which alerts were raised, and what became of each delivery.

A delivery is claimed before it is attempted and finished after; a claim that is never finished,
because the process died, expires and is taken again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from taximeter_alerts.evaluate import Alert, AlertKey
from taximeter_alerts.state.database import Database, moment_of, text_of
from taximeter_alerts.state.revisions import Revisions
from taximeter_alerts.state.tables import alerts, budgets, deliveries
from taximeter_collector.store import Period

LEASE = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=1)
OF_VALUE = "\n"
"""Between a budget's name and the value it is of, in a row of `alerts`; names have none."""

_FACTS = TypeAdapter(Alert)


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    """Claimed; `due_at` is when the claim expires."""
    SENT = "sent"
    AMBIGUOUS = "ambiguous"
    """Sent several times without an answer: it may have arrived, and more tries would storm."""
    DEAD = "dead"
    """The channel refuses for good; tried again when the service starts anew."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert on its way to one channel."""

    id: int
    channel: str
    state: DeliveryState
    attempts: int
    maybe_sent: int
    """Attempts that ended without an answer, so that nobody knows whether they arrived."""
    alert: Alert
    error: str = ""


class State:
    """The state database. Safe to share between threads and processes."""

    def __init__(self, url: str) -> None:
        """Open and migrate `sqlite:///path` or `postgresql://...`; raises StateUnavailable."""
        self._database = Database(url)
        self.budgets = Revisions(self._database)

    def raised(self, period_starts: Sequence[datetime]) -> set[AlertKey]:
        """Return the alerts raised so far for periods that began at these moments."""
        question = sa.select(
            alerts.c.budget,
            alerts.c.period_start,
            alerts.c.kind,
            alerts.c.percent,
            alerts.c.threshold_usd,
        ).where(alerts.c.period_start.in_([text_of(moment) for moment in period_starts]))
        with self._database.reading() as connection:
            return {
                AlertKey(name, moment_of(start), kind, percent, Decimal(usd), value)
                for subject, start, kind, percent, usd in connection.execute(question)
                for name, _, value in [subject.partition(OF_VALUE)]
            }

    def known_since(self, names: Sequence[str], now: datetime) -> dict[str, datetime]:
        """Return since when each budget is watched, which for a new one is now."""
        with self._database.writing() as connection:
            for name in names:
                row = {"name": name, "known_since": text_of(now)}
                connection.execute(self._database.insert_new(budgets, row))
            rows = connection.execute(sa.select(budgets.c.name, budgets.c.known_since))
            return {name: moment_of(since) for name, since in rows}

    def add(self, alert: Alert) -> bool:
        """Keep an alert with its deliveries; return False when it was raised already."""
        with self._database.writing() as connection:
            number = connection.execute(
                self._database.insert_new(alerts, _alert_row(alert, alert.key)).returning(
                    alerts.c.id
                )
            ).scalar_one_or_none()
            if number is None:
                return False
            for key in superseded(alert):
                row = _alert_row(alert, key) | {"superseded_by": number}
                connection.execute(self._database.insert_new(alerts, row))
            for channel in alert.channels:
                connection.execute(sa.insert(deliveries).values(_new(number, channel, alert.at)))
        return True

    def due(self, now: datetime) -> list[tuple[int, str]]:
        """Return the deliveries that may be claimed now and their channels, the oldest first."""
        question = (
            sa.select(deliveries.c.id, deliveries.c.channel)
            .where(_is_free(now))
            .order_by(deliveries.c.id)
        )
        with self._database.reading() as connection:
            return [(number, channel) for number, channel in connection.execute(question)]

    def claim(self, number: int, now: datetime) -> Delivery | None:
        """Claim a due delivery for `LEASE`; None when another process was first."""
        with self._database.writing() as connection:
            taken = connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == number, _is_free(now))
                .values(
                    state=DeliveryState.SENDING,
                    attempts=deliveries.c.attempts + 1,
                    due_at=text_of(now + LEASE),
                )
            )
        return self._read(deliveries.c.id == number)[0] if taken.rowcount == 1 else None

    def finish(
        self,
        delivery: Delivery,
        state: DeliveryState,
        *,
        due_at: datetime,
        error: str = "",
        maybe_sent: bool = False,
    ) -> None:
        """Complete the note about an attempt, unless its claim expired and was taken over."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.id == delivery.id,
                    deliveries.c.state == DeliveryState.SENDING,
                    deliveries.c.attempts == delivery.attempts,
                )
                .values(
                    state=state,
                    due_at=text_of(due_at),
                    error=error,
                    maybe_sent=deliveries.c.maybe_sent + int(maybe_sent),
                )
            )

    def revive(self, now: datetime) -> None:
        """Give dead deliveries of periods that are not over another try."""
        dead = self._read(deliveries.c.state == DeliveryState.DEAD)
        ids = [delivery.id for delivery in dead if delivery.alert.period.end > now]
        with self._database.writing() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id.in_(ids))
                .values(state=DeliveryState.PENDING, due_at=text_of(now))
            )

    def deliveries(self) -> list[Delivery]:
        """Return every delivery with its alert, the oldest first."""
        return self._read(sa.true())

    def _read(self, condition: sa.ColumnElement[bool]) -> list[Delivery]:
        question = (
            sa.select(
                deliveries.c.id,
                deliveries.c.channel,
                deliveries.c.state,
                deliveries.c.attempts,
                deliveries.c.maybe_sent,
                alerts.c.facts,
                deliveries.c.error,
            )
            .join(alerts, alerts.c.id == deliveries.c.alert)
            .where(condition)
            .order_by(deliveries.c.id)
        )
        with self._database.reading() as connection:
            rows = list(connection.execute(question))
        return [
            Delivery(
                number,
                channel,
                DeliveryState(state),
                tries,
                unsure,
                _FACTS.validate_json(facts),
                error,
            )
            for number, channel, state, tries, unsure, facts, error in rows
        ]

    def alerts_of(self, budget: str, period: Period) -> list[Alert]:
        """Return the alerts raised for a budget's period, the superseded ones left out."""
        question = (
            sa.select(alerts.c.facts)
            .where(
                alerts.c.budget == budget,
                alerts.c.period_start == text_of(period.start),
                alerts.c.superseded_by.is_(None),
            )
            .order_by(alerts.c.id)
        )
        with self._database.reading() as connection:
            facts = list(connection.execute(question).scalars())
        return [_FACTS.validate_json(one) for one in facts]

    def close(self) -> None:
        self._database.close()


def superseded(alert: Alert) -> Iterator[AlertKey]:
    """Yield the keys of the lower thresholds that the alert speaks for."""
    for percent in alert.also_passed:
        threshold_usd = (alert.limit * percent / 100).normalize()
        yield replace(alert.key, percent=percent, threshold_usd=threshold_usd)


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    # What is due later than any wait is long was noted by a clock that has been set back since.
    return sa.and_(
        deliveries.c.state.in_([DeliveryState.PENDING, DeliveryState.SENDING]),
        sa.or_(
            deliveries.c.due_at <= text_of(now),
            deliveries.c.due_at > text_of(now + LONGEST_WAIT + LEASE),
        ),
    )


def _alert_row(alert: Alert, key: AlertKey) -> dict[str, Any]:
    return {
        "budget": key.budget + (OF_VALUE + key.value if key.value else ""),
        "period_start": text_of(key.period_start),
        "kind": key.kind,
        "percent": key.percent,
        "threshold_usd": format(key.threshold_usd, "f"),
        "facts": _FACTS.dump_json(alert).decode(),
    }


def _new(alert: int, channel: str, due_at: datetime) -> dict[str, Any]:
    return {
        "alert": alert,
        "channel": channel,
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "maybe_sent": 0,
        "due_at": text_of(due_at),
        "error": "",
    }
