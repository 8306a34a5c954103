"""Every revision of every budget, appended and never changed: who, when, from where, what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from taximeter_alerts.budgets import Budget
from taximeter_alerts.state.database import Database
from taximeter_alerts.state.tables import revisions
from taximeter_collector.store import Dimension

_BUDGET = TypeAdapter(Budget)


class Origin(StrEnum):
    """Where a budget is kept, and so where it may be changed."""

    FILE = "file"
    """The `budgets.yaml` that the service reads."""
    APPLIED = "applied"
    """A file that `taximeter budgets apply` brought."""
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    budget: str
    number: int
    definition: Budget | None
    """None when it was deleted."""
    origin: Origin
    made_by: str
    made_at: datetime
    changes: str
    """What became different, like `amount: 100 → 150`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a new definition would change; none for the same as before."""

    budget: str
    definition: Budget | None
    changes: str


class Revisions:
    """The append-only table of revisions. Safe to share between threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> list[Revision]:
        """Return the newest revision of each budget that is not deleted, by name."""
        return [one for one in self._newest() if one.definition]

    def history(self, budget: str) -> list[Revision]:
        """Return all revisions of a budget, the newest first."""
        return self._read(revisions.c.budget == budget)

    def ever_for_each(self, dimension: Dimension) -> set[str]:
        """Return the budgets that are or were for each value of a dimension."""
        return {
            one.budget
            for one in self._read(revisions.c.definition.is_not(None))
            if one.definition and one.definition.each is dimension
        }

    def differences(self, budgets: Sequence[Budget], origin: Origin) -> list[Change]:
        """Say what `replace_all` would do."""
        return _differences(self._newest(), budgets, origin)

    def replace_all(
        self, budgets: Sequence[Budget], origin: Origin, by: str, now: datetime
    ) -> list[Change]:
        """Make these the budgets of an origin; the others of that origin are deleted."""
        return self._append(lambda newest: _differences(newest, budgets, origin), origin, by, now)

    def put(self, budget: Budget, origin: Origin, by: str, now: datetime) -> list[Change]:
        return self._append(lambda newest: _changes(newest, {budget.name: budget}), origin, by, now)

    def delete(self, name: str, origin: Origin, by: str, now: datetime) -> list[Change]:
        return self._append(lambda newest: _changes(newest, {name: None}), origin, by, now)

    def _append(
        self,
        changes_to: Callable[[Sequence[Revision]], list[Change]],
        origin: Origin,
        by: str,
        now: datetime,
    ) -> list[Change]:
        """Append what is different, each once, whoever else is told the same meanwhile."""
        told: list[Change] = []
        while True:
            newest = self._newest()
            numbers = {one.budget: one.number for one in newest}
            changes = changes_to(newest)
            with self._database.writing() as connection:
                first = [
                    self._database.added(
                        connection,
                        revisions,
                        {
                            "budget": change.budget,
                            "number": numbers.get(change.budget, 0) + 1,
                            "definition": _written(change.definition),
                            "digest": change.definition.digest if change.definition else "",
                            "source": origin,
                            "made_by": by,
                            "made_at": now,
                            "changes": change.changes,
                        },
                    )
                    for change in changes
                ]
            told += [change for change, id_ in zip(changes, first, strict=True) if id_]
            if all(first):
                return told

    def _newest(self) -> list[Revision]:
        last = sa.select(sa.func.max(revisions.c.id)).group_by(revisions.c.budget)
        return sorted(self._read(revisions.c.id.in_(last)), key=lambda one: one.budget)

    def _read(self, condition: sa.ColumnElement[bool]) -> list[Revision]:
        question = sa.select(revisions).where(condition).order_by(revisions.c.id.desc())
        return [
            Revision(
                budget=row.budget,
                number=row.number,
                definition=row.definition and _BUDGET.validate_json(row.definition),
                origin=Origin(row.source),
                made_by=row.made_by,
                made_at=row.made_at,
                changes=row.changes,
            )
            for row in self._database.read(question)
        ]


def _differences(
    newest: Sequence[Revision], budgets: Sequence[Budget], origin: Origin
) -> list[Change]:
    """Return what makes `budgets` all of an origin; one with a name of another origin takes it."""
    named: dict[str, Budget | None] = {
        one.budget: None for one in newest if one.origin is origin and one.definition
    }
    named |= {budget.name: budget for budget in budgets}
    moved = {one.budget for one in newest if one.origin is not origin and one.definition}
    changes = _changes(newest, named)
    told = {change.budget for change in changes}
    return changes + [
        Change(name, budget, f"kept in {origin} from now on")
        for name, budget in named.items()
        if budget and name in moved - told
    ]


def _changes(newest: Sequence[Revision], wanted: Mapping[str, Budget | None]) -> list[Change]:
    before = {one.budget: one.definition for one in newest}
    return [
        Change(name, budget, _told(before.get(name), budget))
        for name, budget in wanted.items()
        if before.get(name) != budget
    ]


def _told(before: Budget | None, after: Budget | None) -> str:
    if before is None or after is None:
        return "new" if after else "deleted"
    old, new = before.definition, after.definition
    names = sorted({*old, *new})
    return "; ".join(
        f"{name}: {_shown(old, name)} → {_shown(new, name)}"
        for name in names
        if old.get(name) != new.get(name)
    )


def _shown(definition: Mapping[str, Any], name: str) -> str:
    if name not in definition:
        return "default"
    value = definition[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _written(budget: Budget | None) -> str | None:
    return None if budget is None else json.dumps(budget.definition, sort_keys=True)
