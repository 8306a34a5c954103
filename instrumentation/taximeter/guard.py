"""The one place where our own faults end."""

from __future__ import annotations

import logging
from types import TracebackType

log = logging.getLogger("taximeter")

reraise = False
"""Set by our own tests, so that a fault fails them."""

_reported: set[str] = set()


class never_raise:  # noqa: N801 - reads as a sentence: `with never_raise("reading usage"):`
    """Keep a fault of our bookkeeping away from the app's call; log it once for each place.

    What it is `but` for is no fault, and passes.
    """

    __slots__ = ("_but", "_place")

    def __init__(self, place: str, but: type[Exception] | tuple[()] = ()) -> None:
        self._place = place
        self._but = but

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if kind is None or reraise or not issubclass(kind, Exception):
            return False
        if issubclass(kind, self._but):
            return False
        warn_once(self._place, "%s failed (%s at %s)", self._place, kind.__name__, spot(traceback))
        return True


def warn_once(key: str, message: str, *values: object) -> None:
    # Values go into the message: an app that never set up logging shows nothing else.
    if key not in _reported:
        _reported.add(key)
        log.warning("taximeter: " + message, *values)


def spot(traceback: TracebackType | None) -> str:
    """Name file and line of the fault; its message may quote a prompt and stays out."""
    if traceback is None:
        return "?"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
