"""Tables of the state. Dollars are text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

OF_VALUE: Final = "\n"
"""Between a budget's name and the value it is of, in a row of `alerts`; names have none."""


class Moment(sa.TypeDecorator[datetime]):
    """Text in ISO 8601 and UTC, so that it sorts; "" for None."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: object) -> str:
        return value.astimezone(UTC).isoformat(timespec="microseconds") if value else ""

    def process_result_value(self, value: str | None, _dialect: object) -> datetime | None:
        return datetime.fromisoformat(value) if value else None


metadata = sa.MetaData()

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("budget", sa.Text, nullable=False),
    sa.Column("period_start", Moment, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("percent", sa.Integer, nullable=False),
    sa.Column("threshold_usd", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("superseded_by", sa.Integer, nullable=True),
    sa.UniqueConstraint("budget", "period_start", "kind", "percent", "threshold_usd"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("alert", sa.ForeignKey("alerts.id"), nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("maybe_sent", sa.Integer, nullable=False, default=0),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("batch", sa.Text, nullable=False, server_default=""),
    sa.Column("unanswered", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("alert", "channel"),
    sa.Index("due", "state", "due_at"),
)

budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("known_since", Moment, nullable=False),
)

revisions = sa.Table(
    "budget_revisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("budget", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("definition", sa.Text, nullable=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("changes", sa.Text, nullable=False),
    sa.UniqueConstraint("budget", "number"),
)

channels = sa.Table(
    "channels",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("held_until", Moment, nullable=False),
    sa.Column("gone_since", Moment, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, default=""),
)

silences = sa.Table(
    "silences",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("budget", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("until", Moment, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

acknowledgements = sa.Table(
    "acknowledgements",
    metadata,
    sa.Column("alert", sa.ForeignKey("alerts.id"), primary_key=True),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
)

threads = sa.Table(
    "threads",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("message", sa.Text, nullable=False),
)

on_course = sa.Table(
    "on_course",
    metadata,
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("since", Moment, nullable=False),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

migrations = sa.Table(
    "migrations",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("applied_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
)
