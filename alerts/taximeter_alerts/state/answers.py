"""What people answered: silences and acknowledgements; and how channels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from taximeter_alerts.alert import AlertKey
from taximeter_alerts.state.database import Database
from taximeter_alerts.state.tables import (
    acknowledgements,
    channels,
    silences,
    threads,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No messages of a budget, or of one value of it, until a moment; "" for all budgets."""

    id: int = 0
    """Given when it is kept."""
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
        row = {name: value for name, value in asdict(silence).items() if name != "id"}
        self._database.write(sa.insert(silences).values(row))

    def end(self, number: int, now: datetime) -> None:
        self._database.write(sa.update(silences).where(silences.c.id == number).values(until=now))

    def at(self, now: datetime) -> list[Silence]:
        """Return the silences that hold, the longest first."""
        question = (
            sa.select(silences).where(silences.c.until > now).order_by(silences.c.until.desc())
        )
        return [Silence(**row._asdict()) for row in self._database.read(question)]


class Acknowledgements:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, alert: int, by: str, now: datetime) -> None:
        """Note who takes care of an alert; the first one counts."""
        row = {"alert": alert, "made_by": by, "made_at": now}
        self._database.write(self._database.insert_new(acknowledgements, row))

    def all(self) -> dict[int, str]:
        """Return who takes care, by the alert's number."""
        question = sa.select(acknowledgements.c.alert, acknowledgements.c.made_by)
        return dict(self._database.read(question))


class ChannelHealth:
    """How channels are, as all replicas see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hold(self, name: str, until: datetime) -> None:
        """Send nothing to a channel for a while: it asked for that."""
        self._note(name, held_until=until)

    def is_gone(self, name: str, reason: str, now: datetime) -> None:
        """Note that a channel takes no messages any more."""
        self._note(name, gone_since=now, reason=reason)

    def is_back(self, name: str) -> None:
        self._note(name, gone_since=None, reason="")

    def held(self) -> dict[str, datetime]:
        """Return until when channels wait."""
        return {one.name: one.held_until for one in self._all() if one.held_until}

    def gone(self) -> dict[str, str]:
        """Return why channels take no messages."""
        return {one.name: one.reason for one in self._all() if one.gone_since}

    def forget_gone(self) -> None:
        """Try all channels again."""
        self._database.write(sa.update(channels).values(gone_since=None, reason=""))

    def _note(self, name: str, **values: object) -> None:
        empty = {"name": name, "held_until": None, "gone_since": None}
        with self._database.writing() as connection:
            connection.execute(self._database.insert_new(channels, empty))
            connection.execute(sa.update(channels).where(channels.c.name == name).values(**values))

    def _all(self) -> Sequence[Any]:
        return self._database.read(sa.select(channels))


class Threads:
    """The message of another service that further messages about a subject belong to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, channel: str, subject: str) -> str:
        question = sa.select(threads.c.message).where(
            threads.c.channel == channel, threads.c.subject == subject
        )
        return next((one.message for one in self._database.read(question)), "")

    def keep(self, channel: str, subject: str, message: str) -> None:
        row = {"channel": channel, "subject": subject, "message": message}
        self._database.write(self._database.insert_new(threads, row))
