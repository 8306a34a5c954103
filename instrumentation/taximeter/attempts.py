"""The HTTP attempts of one call: how each was answered and how long the SDK waited before it.

The SDK asks `_should_retry` of a refusal and `_calculate_retry_timeout` before it waits, so a call
that needs no second attempt pays nothing here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from taximeter.answer import AttributeValue

STATUS = "http.response.status_code"


@dataclass(slots=True, eq=False)
class Attempts:
    _statuses: tuple[int, ...] = ()
    _waits: tuple[float, ...] = (0.0,)
    _waits_until: float = 0.0
    _refusal: int = 0
    _known: bool = True

    def refused(self, status: int) -> None:
        """Note the status of an answer that may be worth another attempt."""
        self._refusal = status

    def waiting(self, wait_s: float, *, answered: bool) -> None:
        """Note the wait before the next attempt; `answered` says whether this one was."""
        if answered and not self._refusal:  # a client that decides on retries by itself
            self._known = False
        self._statuses += (self._refusal,)
        self._waits += (float(wait_s),)
        self._refusal = 0
        self._waits_until = time.perf_counter() + wait_s

    def tell(self, attributes: dict[str, AttributeValue]) -> None:
        """Complete the attributes of the call; leave them where they disagree."""
        statuses, waits, last = self._statuses, self._waits, attributes.get(STATUS)
        if last is None and time.perf_counter() < self._waits_until:
            waits, last = waits[:-1], statuses[-1]  # cancelled before the next attempt
        else:
            statuses += (last if isinstance(last, int) else 0,)
        if not self._known or attributes.setdefault("taximeter.attempts", len(waits)) != len(waits):
            return
        attributes["taximeter.attempt.statuses"] = statuses
        attributes["taximeter.attempt.waits"] = waits
        if last:
            attributes[STATUS] = last


FIRST = Attempts()
"""Shared by all calls that need no second attempt."""
