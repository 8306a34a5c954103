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

    def budgets(self) -> Sequence[Budget]:
        """Return the budgets; after an edit that can't be used, those from before it."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._budgets = read_budgets(self._path)
            except BudgetsError as error:
                log.error("an edit of the budgets is not used", extra={"reason": str(error)})  # noqa: TRY400
            else:
                log.info("budgets were read anew", extra={"budgets": len(self._budgets)})
        return self._budgets


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
