"""The budgets file as it is now: an edit counts from the next evaluation on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from taximeter_alerts.budgets import Budget, BudgetsError, read_budgets

log = logging.getLogger(__name__)

Stamp = tuple[int, int]


class BudgetFile:
    """Budgets from a file that may be edited while the service runs."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises BudgetsError when it can't be used."""
        self._path = path
        self._stamp = _stamp(path)
        self._budgets = read_budgets(path)
        self.problem = ""
        """Why the file as it is now is not used; empty when it is."""

    def budgets(self) -> Sequence[Budget]:
        """Return the budgets; after an edit that can't be used, those from before it."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            self.problem = self._read() if stamp else f"{self._path}: the file is gone"
            if self.problem:
                log.error("an edit of the budgets is not used", extra={"reason": self.problem})
        return self._budgets

    def _read(self) -> str:
        """Read the file anew; return why it can't be used, or nothing."""
        try:
            self._budgets = read_budgets(self._path)
        except BudgetsError as error:
            return str(error)
        log.info("budgets were read anew", extra={"budgets": len(self._budgets)})
        return ""


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
