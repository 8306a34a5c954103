"""A user who must be forgotten: off what was told, and off silences."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from secrets import token_hex
from urllib.parse import parse_qsl, quote

import sqlalchemy as sa
from pydantic import TypeAdapter

from taximeter_alerts.alert import Alert
from taximeter_alerts.state.database import Database
from taximeter_alerts.state.deliveries import FACTS
from taximeter_alerts.state.tables import OF_VALUE, alerts, silences
from taximeter_collector.store import Dimension

TEXT = TypeAdapter(str)


def forget(database: Database, user: str, budgets: Collection[str]) -> list[int]:
    """Take a user's name off all alerts and silences; return the numbers of those alerts.

    Where it is the value of one of `budgets`, those for each user, another name takes its place,
    never given before: what was told stays told, and two alerts stay two.
    """
    nobody = f"(forgotten {token_hex(4)})"
    in_json = TEXT.dump_json(user).decode()[1:-1]
    texts = (in_json, quote(user, safe=""))
    named = sa.or_(*(alerts.c.facts.contains(text, autoescape=True) for text in texts))
    changed = []
    with database.writing() as connection:
        for row in connection.execute(sa.select(alerts).where(named).order_by(alerts.c.id)).all():
            told = FACTS.validate_json(row.facts)
            if not isinstance(told, Alert):
                continue
            without = _without(told, user, nobody if told.key.budget in budgets else user)
            if without == told:
                continue
            key = without.key
            subject = key.budget + OF_VALUE + key.value if key.value else key.budget
            connection.execute(
                sa.update(alerts)
                .where(alerts.c.id == row.id)
                .values(budget=subject, facts=FACTS.dump_json(without).decode())
            )
            changed.append(row.id)
        connection.execute(
            sa.update(silences)
            .where(silences.c.value == user, silences.c.budget.in_([*budgets, ""]))
            .values(value=nobody)
        )
    return changed


def _without(alert: Alert, user: str, value: str) -> Alert:
    """Return an alert that does not name a user; `value` is what its key says instead."""
    a_user = Dimension.USER.outside_name
    key = replace(alert.key, value=value) if alert.key.value == user else alert.key
    drivers = tuple(
        replace(one, name="") if (one.dimension, one.name) == (a_user, user) else one
        for one in alert.story.drivers
    )
    is_asked_for = (a_user, user) in parse_qsl(alert.calls.removeprefix("?"))
    return replace(
        alert,
        key=key,
        calls="" if is_asked_for else alert.calls,
        story=replace(alert.story, drivers=drivers),
    )
