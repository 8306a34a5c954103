"""The HTTP attempts of one call: how each was answered and how long the SDK waited before it.

The SDK asks `_should_retry` of a refusal and `_calculate_retry_timeout` before it waits, so a call
that needs no second attempt pays nothing here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from taximeter.answer import AttributeValue
from taximeter.around import Steps, around
from taximeter.current import current_call
from taximeter.guard import never_raise

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


def _refused(_: Any, args: Any, kwargs: Any) -> Steps:
    with never_raise("noting a refusal"):
        if (attempts := _current()) is not None:
            response = args[0] if args else kwargs["response"]
            attempts.refused(response.status_code)
    yield args, kwargs


def _waiting(_: Any, args: Any, kwargs: Any) -> Steps:
    wait_s = yield args, kwargs
    with never_raise("noting a retry"):
        if (attempts := _current()) is not None:
            headers = args[2] if len(args) > 2 else kwargs.get("response_headers")
            attempts.waiting(wait_s, answered=headers is not None)


def _current() -> Attempts | None:
    call = current_call.get()
    if call is not None and call.attempts is FIRST:
        call.attempts = Attempts()
    return None if call is None else call.attempts


FIRST = Attempts()
"""Shared by all calls that need no second attempt."""


HOOKS = {
    "BaseClient._should_retry": around(_refused),
    "BaseClient._calculate_retry_timeout": around(_waiting),
}
