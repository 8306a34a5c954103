"""A last flush on SIGTERM; what the signal then does is what it did before."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Termination:
    """Stands before the handler of SIGTERM, where Python can stand: in the main thread."""

    def __init__(self, *, flush: Callable[[], object], end: Callable[[], object]) -> None:
        self._flush = flush
        self._end = end
        self._before: Any = None

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGTERM)
        # Not a signal that is ignored, nor a handler set by a library in C, which is None.
        if before is signal.SIG_DFL or callable(before):
            self._before = before
            signal.signal(signal.SIGTERM, self._terminated)

    def remove(self) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) == self._terminated
        ):
            signal.signal(signal.SIGTERM, self._before)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        if callable(self._before):
            self._flush()
            self._before(number, frame)
            return
        self._end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
