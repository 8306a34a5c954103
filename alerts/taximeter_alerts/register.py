"""The register of budgets: those of the file the service reads, and those made by hand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from taximeter_alerts.budgets import Budget
from taximeter_alerts.state import Change, Origin, Revision, State
from taximeter_collector.live_file import LiveFile

log = logging.getLogger(__name__)

SERVICE = "the service"


class KeptElsewhere(Exception):
    """A budget may be changed only where it is kept; the message says where."""


class Unknown(Exception):
    """No budget has this name."""


class Register:
    """The budgets in force. Safe to share between threads."""

    def __init__(self, file: LiveFile[Sequence[Budget]], state: State) -> None:
        self._file = file
        self._revisions = state.budgets
        self._reading = threading.Lock()
        self._applied: Sequence[Budget] | None = None
        self._lost = ""

    @property
    def problem(self) -> str:
        """Why the file as it is now is not used; empty when it is."""
        return self._file.problem or self._lost

    def kept(self) -> list[Revision]:
        """Return the newest revision of each budget, an edit of the file already in it."""
        with self._reading:
            budgets = self._file.current()
            if budgets is not self._applied:
                self._apply(budgets)
                self._applied = budgets
        return self._revisions.newest()

    def _apply(self, budgets: Sequence[Budget]) -> None:
        """Make these the file's budgets; those of a file that is not there are kept."""
        self._lost = ""
        if self._file.is_there:
            now = datetime.now(UTC)
            _tell(self._revisions.replace_all(budgets, Origin.FILE, SERVICE, now))
        elif any(one.origin is Origin.FILE for one in self._revisions.newest()):
            self._lost = (
                f"{self._file.path}: the file is gone, its budgets are kept; "
                "bring it back, or write `budgets: []` into it to drop them"
            )
            log.warning("budgets of a file are kept", extra={"reason": self._lost})

    def in_force(self, now: datetime) -> list[Budget]:
        """Return the budgets to watch, with the amounts that count now."""
        kept = [one.definition for one in self.kept() if one.definition]
        return [budget.in_force(now) for budget in kept if not budget.paused]

    def find(self, name: str) -> Revision:
        """Return the newest revision of a budget; raises Unknown."""
        for one in self.kept():
            if one.budget == name:
                return one
        raise Unknown(f"there is no budget {name!r}")

    def defined(self, name: str) -> Budget:
        """Return a budget as it was defined, whatever is in force; raises Unknown."""
        definition = self.find(name).definition
        if definition is None:
            raise Unknown(f"there is no budget {name!r}")
        return definition

    def history(self, name: str) -> list[Revision]:
        """Return all revisions of a budget, the newest first; raises Unknown."""
        history = self._revisions.history(name)
        if not history:
            raise Unknown(f"there never was a budget {name!r}")
        return history

    def put(self, budget: Budget, by: str, now: datetime) -> None:
        """Make or change a budget; raises KeptElsewhere."""
        self._may_change(budget.name)
        _tell(self._revisions.put(budget, Origin.API, by, now))

    def delete(self, name: str, by: str, now: datetime) -> None:
        """Delete a budget; raises Unknown or KeptElsewhere."""
        self.find(name)
        self._may_change(name)
        _tell(self._revisions.delete(name, Origin.API, by, now))

    def apply(
        self, budgets: Sequence[Budget], by: str, now: datetime, *, dry: bool = False
    ) -> list[Change]:
        """Make these the budgets that were applied; raises KeptElsewhere when a file is read."""
        if self._file.current():
            raise KeptElsewhere(f"the service reads {self._file.path}: edit that file")
        if dry:
            return self._revisions.differences(budgets, Origin.APPLIED)
        changes = self._revisions.replace_all(budgets, Origin.APPLIED, by, now)
        _tell(changes)
        return changes

    def _may_change(self, name: str) -> None:
        for one in self.kept():
            if one.budget == name and one.origin is Origin.FILE:
                raise KeptElsewhere(f"{name!r} is kept in {self._file.path}: edit that file")
            if one.budget == name and one.origin is Origin.APPLIED:
                raise KeptElsewhere(
                    f"{name!r} is kept in a file: edit it there, and taximeter budgets apply FILE"
                )


def _tell(changes: Sequence[Change]) -> None:
    for change in changes:
        log.info("a budget changed", extra={"budget": change.budget, "changes": change.changes})
