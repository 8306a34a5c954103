"""What people answered: silences and acknowledgements; and how channels are."""

from __future__ import annotations

import secrets as randomness
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from taximeter_alerts.alert import AlertKey
from taximeter_alerts.state.database import Database, moment_of, text_of
from taximeter_alerts.state.tables import (
    acknowledgements,
    channels,
    conditions,
    secrets,
    silences,
    threads,
)

NEVER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No messages of a budget, or of one value of it, until a moment; "" for all budgets."""

    id: int = 0
    budget: str
    value: str = ""
    until: datetime
    made_by: str
    made_at: datetime
    reason: str = ""

    def covers(self, key: AlertKey) -> bool:
        return self.budget in ("", key.budget) and self.value in ("", key.value)


class Silences:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, silence: Silence) -> None:
        row = {
            "budget": silence.budget,
            "value": silence.value,
            "until": text_of(silence.until),
            "made_by": silence.made_by,
            "made_at": text_of(silence.made_at),
            "reason": silence.reason,
        }
        with self._database.writing() as connection:
            connection.execute(sa.insert(silences).values(row))

    def end(self, number: int, now: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(
                sa.update(silences).where(silences.c.id == number).values(until=text_of(now))
            )

    def at(self, now: datetime) -> list[Silence]:
        """Return the silences that hold, the longest first."""
        question = (
            sa.select(silences)
            .where(silences.c.until > text_of(now))
            .order_by(silences.c.until.desc())
        )
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(question).mappings()]
        return [
            Silence(
                **{**row, "until": moment_of(row["until"]), "made_at": moment_of(row["made_at"])}
            )
            for row in rows
        ]


class Acknowledgements:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, alert: int, by: str, now: datetime) -> None:
        """Note who takes care of an alert; the first one counts."""
        row = {"alert": alert, "made_by": by, "made_at": text_of(now)}
        with self._database.writing() as connection:
            connection.execute(self._database.insert_new(acknowledgements, row))

    def all(self) -> dict[int, str]:
        """Return who takes care, by the alert's number."""
        question = sa.select(acknowledgements.c.alert, acknowledgements.c.made_by)
        with self._database.reading() as connection:
            return {alert: str(by) for alert, by in connection.execute(question)}


class ChannelHealth:
    """How channels are, as all replicas see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hold(self, name: str, until: datetime) -> None:
        """Send nothing to a channel for a while: it asked for that."""
        self._note(name, held_until=text_of(until))

    def is_gone(self, name: str, reason: str, now: datetime) -> None:
        """Note that a channel takes no messages any more."""
        self._note(name, gone_since=text_of(now), reason=reason)

    def is_back(self, name: str) -> None:
        self._note(name, gone_since=NEVER, reason="")

    def held(self) -> dict[str, datetime]:
        """Return until when channels wait."""
        return {name: moment_of(until) for name, until in self._where("held_until")}

    def gone(self) -> dict[str, str]:
        """Return why channels take no messages."""
        return dict(self._where("gone_since", "reason"))

    def forget_gone(self) -> None:
        """Try all channels again."""
        with self._database.writing() as connection:
            connection.execute(sa.update(channels).values(gone_since=NEVER, reason=""))

    def _note(self, name: str, **values: str) -> None:
        empty = {"name": name, "held_until": NEVER, "gone_since": NEVER, "reason": ""}
        with self._database.writing() as connection:
            connection.execute(self._database.insert_new(channels, empty))
            connection.execute(sa.update(channels).where(channels.c.name == name).values(**values))

    def _where(self, column: str, shown: str = "") -> list[tuple[str, str]]:
        question = sa.select(channels.c.name, channels.c[shown or column]).where(
            channels.c[column] != NEVER
        )
        with self._database.reading() as connection:
            return [(name, value) for name, value in connection.execute(question)]


class Threads:
    """The message of another service that further messages about a subject belong to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, channel: str, subject: str) -> str:
        question = sa.select(threads.c.message).where(
            threads.c.channel == channel, threads.c.subject == subject
        )
        with self._database.reading() as connection:
            return connection.execute(question).scalar_one_or_none() or ""

    def keep(self, channel: str, subject: str, message: str) -> None:
        row = {"channel": channel, "subject": subject, "message": message}
        with self._database.writing() as connection:
            connection.execute(self._database.insert_new(threads, row))


class Conditions:
    """How often in a row something held, as all replicas see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def again(self, subject: str, kind: str, now: datetime) -> int:
        """Note that it holds; return how often in a row it did."""
        is_it = (conditions.c.subject == subject) & (conditions.c.kind == kind)
        row = {"subject": subject, "kind": kind, "streak": 0, "since": text_of(now)}
        with self._database.writing() as connection:
            connection.execute(self._database.insert_new(conditions, row))
            streak = conditions.c.streak + 1
            connection.execute(sa.update(conditions).where(is_it).values(streak=streak))
            question = sa.select(conditions.c.streak).where(is_it)
            return int(connection.execute(question).scalar_one())

    def end(self, subject: str, kind: str) -> None:
        is_it = (conditions.c.subject == subject) & (conditions.c.kind == kind)
        with self._database.writing() as connection:
            connection.execute(sa.delete(conditions).where(is_it))


def secret_of(database: Database, name: str) -> str:
    """Return a secret that all replicas share, made when it is asked for first."""
    with database.writing() as connection:
        row = {"name": name, "value": randomness.token_urlsafe(32)}
        connection.execute(database.insert_new(secrets, row))
        question = sa.select(secrets.c.value).where(secrets.c.name == name)
        return str(connection.execute(question).scalar_one())
