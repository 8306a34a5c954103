"""A file of the team as it is now: an edit counts at once, a broken one not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from taximeter_collector.yaml_file import Mistake

log = logging.getLogger(__name__)

T = TypeVar("T")
Stamp = tuple[int, int]


class LiveFile(Generic[T]):
    """What a file says, read anew when it changed. Safe to share between threads."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        """Read the file; raises Mistake when it can't be used."""
        self.path = path
        self._read = read
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._value = read(path)
        self.problem = ""
        """Why the file as it is now is not used; empty when it is."""

    @property
    def is_there(self) -> bool:
        """Tell whether there was a file when it was last looked for."""
        return self._stamp is not None

    def current(self) -> T:
        """Return what it says; after an edit that can't be used, what it said before."""
        stamp = _stamp(self.path)
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                self.problem = self._read_anew() if stamp else f"{self.path}: the file is gone"
                if self.problem:
                    log.error("an edit is not used", extra={"reason": self.problem})
            return self._value

    def _read_anew(self) -> str:
        """Read the file; return why it can't be used, or nothing."""
        try:
            self._value = self._read(self.path)
        except Mistake as error:
            return str(error)
        log.info("a file was read anew", extra={"path": str(self.path)})
        return ""


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
