"""A sign of life for somebody else's watch: what it misses is the service itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

import urllib3

EVERY_S: Final = 60
TIMEOUT: Final = urllib3.Timeout(connect=5, read=10)

log = logging.getLogger(__name__)


class Heartbeat:
    """Asks for an address as long as nothing is wrong; the address is a secret."""

    def __init__(self, url: str, trouble: Callable[[], str]) -> None:
        self._url = url
        self._trouble = trouble
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT)

    def beat(self, _now: datetime) -> None:
        if reason := self._trouble():
            log.warning("no heartbeat is sent", extra={"reason": reason})
            return
        try:
            answer = self._http.request("GET", self._url, redirect=False, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            log.warning("the heartbeat was not taken", extra={"reason": type(error).__name__})
            return
        answer.close()
        if answer.status >= 400:
            log.warning("the heartbeat was not taken", extra={"reason": str(answer.status)})
