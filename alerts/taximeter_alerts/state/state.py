"""The state database: budgets, which alerts were raised, and what became of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from secrets import token_urlsafe
from typing import Any, Final

import sqlalchemy as sa

from taximeter_alerts.alert import Alert, AlertKey, Kind, Told
from taximeter_alerts.budgets import Budget
from taximeter_alerts.state import forgetting
from taximeter_alerts.state.answers import (
    Acknowledgements,
    ChannelHealth,
    Silences,
    Threads,
)
from taximeter_alerts.state.database import Database, StateUnavailable
from taximeter_alerts.state.deliveries import (
    FACTS,
    Deliveries,
    Delivery,
    DeliveryState,
    new_delivery,
)
from taximeter_alerts.state.revisions import Revisions
from taximeter_alerts.state.tables import (
    OF_VALUE,
    alerts,
    budgets,
    deliveries,
    on_course,
    secrets,
)
from taximeter_collector.store import Period

log = logging.getLogger(__name__)

IN_MEMORY: Final = "sqlite:///:memory:"


@dataclass(frozen=True, slots=True)
class Passed:
    """A threshold that was told, in percent, and of how many values of a budget."""

    percent: int
    values: int
    value: str
    """One of them; "" for a budget that is not for each value."""


class State:
    """The state database. Safe to share between threads and processes."""

    def __init__(self, url: str) -> None:
        """Open and migrate `sqlite:///path` or `postgresql://...`; raises StateUnavailable."""
        self._database = Database(url)
        try:
            self.migrated = self._database.migrate()
        except StateUnavailable:
            self.close()
            raise
        self.budgets = Revisions(self._database)
        self.deliveries = Deliveries(self._database)
        self.silences = Silences(self._database)
        self.acknowledgements = Acknowledgements(self._database)
        self.channels = ChannelHealth(self._database)
        self.threads = Threads(self._database)

    def raised(self, period_starts: Sequence[datetime]) -> set[AlertKey]:
        """Return the alerts raised so far for periods that began at these moments."""
        question = sa.select(
            alerts.c.budget,
            alerts.c.period_start,
            alerts.c.kind,
            alerts.c.percent,
            alerts.c.threshold_usd,
        ).where(alerts.c.period_start.in_(period_starts))
        return {
            AlertKey(name, start, kind, percent, Decimal(usd), value)
            for subject, start, kind, percent, usd in self._database.read(question)
            for name, _, value in [subject.partition(OF_VALUE)]
        }

    def known_since(self, names: Sequence[str], now: datetime) -> dict[str, datetime]:
        """Return since when each budget is watched, which for a new one is now."""
        question = sa.select(budgets.c.name, budgets.c.known_since)
        with self._database.writing() as connection:
            known: dict[str, datetime] = dict(connection.execute(question).all())
            for name in set(names) - known.keys():
                row = {"name": name, "known_since": now}
                connection.execute(self._database.insert_new(budgets, row))
                known[name] = now
        return known

    def add(self, alert: Told, inhibited: Collection[str] = ()) -> bool:
        """Keep an alert with its deliveries; return False when it was raised already.

        Channels that are `inhibited` are not told, which is noted.
        """
        with self._database.writing() as connection:
            number = self._database.added(connection, alerts, _alert_row(alert, alert.key))
            if number is None:
                return False
            for key in superseded(alert):
                row = _alert_row(alert, key) | {"superseded_by": number}
                connection.execute(self._database.insert_new(alerts, row))
            for channel in alert.channels:
                is_told = channel not in inhibited
                became = DeliveryState.PENDING if is_told else DeliveryState.INHIBITED
                row = new_delivery(number, channel, alert.at, became)
                connection.execute(sa.insert(deliveries).values(row))
        key = alert.key
        fields = {"budget": key.budget, "kind": key.kind, "percent": key.percent}
        log.info("an alert was raised", extra=fields)
        return True

    def alerts_of(self, budget: str, period: Period) -> list[Alert]:
        """Return the alerts raised for a budget's period, the superseded ones left out."""
        question = (
            sa.select(alerts.c.facts)
            .where(
                alerts.c.budget == budget,
                alerts.c.period_start == period.start,
                alerts.c.superseded_by.is_(None),
            )
            .order_by(alerts.c.id)
        )
        told = [FACTS.validate_json(one.facts) for one in self._database.read(question)]
        return [one for one in told if isinstance(one, Alert)]

    def open_alerts(self, budget: str, now: datetime) -> list[Alert]:
        """Return what was told and corrected of a budget and its values in periods that last."""
        question = (
            sa.select(alerts.c.facts)
            .where(
                _is_of(budget),
                alerts.c.kind.in_([Kind.THRESHOLD, Kind.FORECAST, Kind.CORRECTION]),
                alerts.c.superseded_by.is_(None),
            )
            .order_by(alerts.c.id)
        )
        told = [FACTS.validate_json(one.facts) for one in self._database.read(question)]
        return [
            one
            for one in told
            if isinstance(one, Alert) and one.period.end + timedelta(one.rolling_days) > now
        ]

    def told(self, budget: Budget, period: Period) -> list[Passed]:
        """Return the thresholds that were told of a budget's period, the superseded ones left out.

        Of a budget for each value they are those of its values.
        """
        question = (
            sa.select(
                alerts.c.percent,
                sa.func.count(sa.distinct(alerts.c.budget)),
                sa.func.min(alerts.c.budget),
            )
            .where(
                _is_of(budget.name) if budget.each else alerts.c.budget == budget.name,
                alerts.c.kind == Kind.THRESHOLD,
                alerts.c.period_start.in_(budget.starts_alike(period)),
                alerts.c.superseded_by.is_(None),
            )
            .group_by(alerts.c.percent)
            .order_by(alerts.c.percent)
        )
        return [
            Passed(percent, values, one.partition(OF_VALUE)[2])
            for percent, values, one in self._database.read(question)
        ]

    def alert(self, number: int) -> Told | None:
        question = sa.select(alerts.c.facts).where(alerts.c.id == number)
        told = [FACTS.validate_json(one.facts) for one in self._database.read(question)]
        return told[0] if told else None

    def on_course_since(self, key: AlertKey, now: datetime) -> datetime:
        """Note that a forecast is over its limit; return when that was noted first."""
        row = {"alert": key.digest, "since": now}
        self._database.write(self._database.insert_new(on_course, row))
        question = sa.select(on_course.c.since).where(on_course.c.alert == key.digest)
        return next((one.since for one in self._database.read(question)), now)

    def off_course(self, key: AlertKey) -> None:
        self._database.write(sa.delete(on_course).where(on_course.c.alert == key.digest))

    def end_silence(self, number: int, now: datetime) -> None:
        """End a silence; what it held and still matters is due again."""
        self.silences.end(number, now)
        self.deliveries.end_silence(now)

    def forget(self, user: str, of_users: Collection[str]) -> list[Delivery]:
        """Take a user's name off what was told; return the deliveries of that.

        `of_users` are the budgets for each user.
        """
        return self.deliveries.of_alerts(forgetting.forget(self._database, user, of_users))

    def secret(self, name: str) -> str:
        """Return a secret that all replicas share, made when it is asked for first."""
        row = {"name": name, "value": token_urlsafe(32)}
        self._database.write(self._database.insert_new(secrets, row))
        question = sa.select(secrets.c.value).where(secrets.c.name == name)
        return str(self._database.read(question)[0].value)

    def close(self) -> None:
        self._database.close()


def _is_of(budget: str) -> sa.ColumnElement[bool]:
    """Match the rows of a budget and of its values."""
    of_values = budget + OF_VALUE
    is_of_value = sa.func.substr(alerts.c.budget, 1, len(of_values)) == of_values
    return (alerts.c.budget == budget) | is_of_value


def superseded(alert: Told) -> Iterator[AlertKey]:
    """Yield the keys of the lower thresholds that the alert speaks for."""
    if not isinstance(alert, Alert):
        return
    for percent in alert.also_passed:
        threshold_usd = (alert.limit * percent / 100).normalize()
        yield replace(alert.key, percent=percent, threshold_usd=threshold_usd)


def _alert_row(alert: Told, key: AlertKey) -> dict[str, Any]:
    return {
        "budget": key.budget + (OF_VALUE + key.value if key.value else ""),
        "period_start": key.period_start,
        "kind": key.kind,
        "percent": key.percent,
        "threshold_usd": format(key.threshold_usd, "f"),
        "facts": FACTS.dump_json(alert).decode(),
    }
