"""Stops that budgets ask for: rules from the service, judged before a request is sent.

Between two polls a rule adds what its calls cost on average. So spend can pass a limit by what is
under way, by what other processes began since, and by what the service has not seen yet.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from taximeter.destination import destination_in
from taximeter.exceeded import BudgetExceededError
from taximeter.guard import never_raise, warn_once
from taximeter.settings import Settings

POLL_S = 10.0
OLD_S = 60.0
"""After so long without news, calls pass unless the budget says otherwise."""
MODEL = "gen_ai.request.model"
TIMEOUT_S = 10.0
_LARGEST = 5_000_000

Tag = Callable[[str], str]
"""Gives a tag of the call by its name on a span, "" where it has none."""
Fetched = tuple[Sequence[Mapping[str, Any]], str]
"""The rules and their ETag."""


class Rule:
    """One budget's stop: whom it is about and how much is left."""

    __slots__ = ("_a_call", "_each", "_limit", "_not", "_scope", "_spent", "asked", "told")

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.told = told
        self._scope = [(name, frozenset(some)) for name, some in told["scope"].items()]
        self._not = [(name, frozenset(some)) for name, some in told["not"].items()]
        self._each: str = told["each"]
        self._limit = float(told["stops_at"])
        self._a_call = float(told["usd_a_call"])
        self._spent = {value: float(usd) for value, usd in told["spent"].items()}
        self.asked: dict[str, int] = {}

    def holds(self, tag: Tag) -> bool:
        for name, some in self._scope:
            if not _among(name, tag(name), some):
                return False
        return not any(_among(name, tag(name), some) for name, some in self._not)

    def is_used_up(self, tag: Tag) -> bool:
        """Count a call; tell whether there was nothing left for it."""
        value = tag(self._each) if self._each else ""
        asked = self.asked.get(value, 0)
        if self._spent.get(value, 0.0) + asked * self._a_call >= self._limit:
            return True
        self.asked[value] = asked + 1
        return False

    def error(self, tag: Tag) -> BudgetExceededError:
        told = self.told
        names = [*(name for name, _ in self._scope), *([self._each] if self._each else [])]
        without = [f"{name} not {'|'.join(sorted(some))}" for name, some in self._not]
        scope = ", ".join([f"{name}={tag(name)}" for name in names] + without) or "all calls"
        value = tag(self._each) if self._each else ""
        spent = told["spent"].get(value, "0")
        return BudgetExceededError(told["budget"], scope, spent, told["limit"], told["resets_at"])


class Stops:
    """The rules as of the last poll, in a thread that begins with the first call."""

    def __init__(self, fetch: Callable[[str], Fetched | None]) -> None:
        self._fetch = fetch
        self._rules: Sequence[Rule] = ()
        self._etag = ""
        self._heard_at = 0.0
        self._pid = 0
        self._stopped = threading.Event()

    def judge(self, tag: Tag) -> str:
        """Return the model to use instead, "" for none; raises BudgetExceededError."""
        if self._pid != os.getpid():
            self._start()
        model = ""
        for rule in self._rules:
            if not rule.holds(tag):
                continue
            if time.monotonic() - self._heard_at > OLD_S:
                if rule.told["when_unsure"] == "block":
                    raise rule.error(tag)
            elif rule.is_used_up(tag):
                if rule.told["action"] == "block":
                    raise rule.error(tag)
                model = rule.told["model"]
        return model

    def poll(self) -> None:
        """Ask for the rules; what went wrong leaves the old ones."""
        fetched = self._fetch(self._etag)
        if fetched is None:
            return
        told, etag = fetched
        if etag != self._etag:
            self._rules = [Rule(one) for one in told]
            self._etag = etag
        self._heard_at = time.monotonic()

    def close(self) -> None:
        self._stopped.set()

    def _start(self) -> None:
        # A fork leaves the thread behind; whoever calls first in the child starts another.
        self._pid = os.getpid()
        self._stopped = threading.Event()
        threading.Thread(
            target=self._poll_on, args=(self._stopped,), name="taximeter-stops", daemon=True
        ).start()

    def _poll_on(self, stopped: threading.Event) -> None:
        while True:
            with never_raise("reading the budgets' stops"):
                self.poll()
            if stopped.wait(POLL_S):
                return


def fetching_from(settings: Settings) -> Callable[[str], Fetched | None]:
    """Give what asks the service for the rules; it is found as the collector is."""
    to, _ = destination_in(os.environ, settings)
    address = to.url.removesuffix("/v1/traces") + "/v1/budget-state"
    opener = to.opener()

    def fetch(etag: str) -> Fetched | None:
        request = Request(address, headers={**to.headers, "If-None-Match": etag})  # noqa: S310
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                told = json.loads(answer.read(_LARGEST))
                return told["stops"], str(answer.headers.get("ETag", ""))
        except HTTPError as error:
            with error:
                return ((), etag) if error.code == 304 else None
        except (OSError, ValueError) as error:
            cause = type(error).__name__
            warn_once("stops", "the budgets' stops are not read from %s: %s", address, cause)
            return None

    return fetch


def _among(name: str, value: object, some: frozenset[str]) -> bool:
    if value in some:
        return True
    # Spend is of the model that answered, often a snapshot of the one that is asked for.
    return name == MODEL and any(one.startswith(f"{value}-") for one in some)
