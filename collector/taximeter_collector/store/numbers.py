"""Numbers that tell which of two things is the newer."""

from __future__ import annotations

import threading
import time


class Numbers:
    """Rising numbers: nanoseconds since 1970, and beyond what was given or seen before.

    Processes that share a store hardly ever draw the same one, and a clock that was set back does
    not make new things look old.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self._lock = threading.Lock()

    def next(self, beyond: int = 0) -> int:
        with self._lock:
            self._last = max(self._last + 1, beyond + 1, time.time_ns())
            return self._last
