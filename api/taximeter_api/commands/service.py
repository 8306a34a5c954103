"""Ask the running service, which alone may write to the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3 import BaseHTTPResponse

from taximeter_collector.refusal import Refusal
from taximeter_collector.settings import Settings

PATIENCE_S = 900


class ServiceAway(Refusal):
    """No service answers at its address."""


class ServiceRefused(Refusal):
    """The service does not do it; the message says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the service answered {status}: {reason}")
        self.status = status


def ask(
    settings: Settings,
    method: str,
    path: str,
    words: Sequence[tuple[str, str]] = (),
    *,
    body: object = None,
) -> dict[str, Any]:
    """Return the service's answer; raises ServiceAway or ServiceRefused."""
    answer = _answer(settings, method, path, words, json=body)
    told: dict[str, Any] = answer.json()
    return told


@contextmanager
def download(
    settings: Settings, path: str, words: Sequence[tuple[str, str]]
) -> Iterator[BaseHTTPResponse]:
    """Give an answer of the service as a file; raises ServiceAway or ServiceRefused."""
    answer = _answer(settings, "GET", path, words, preload_content=False)
    try:
        yield answer
    finally:
        answer.release_conn()


def _answer(
    settings: Settings,
    method: str,
    path: str,
    words: Sequence[tuple[str, str]],
    **how: Any,
) -> BaseHTTPResponse:
    token = settings.read_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    address = f"{settings.local_url}{path}?{urlencode(words)}"
    try:
        answer = urllib3.request(
            method,
            address,
            headers=headers,
            timeout=PATIENCE_S,
            retries=False,
            **how,
        )
    except urllib3.exceptions.HTTPError:
        raise ServiceAway(f"no service answers at {settings.local_url}") from None
    if answer.status not in (200, 202):
        raise ServiceRefused(answer.status, _reason(answer))
    return answer


def _reason(answer: BaseHTTPResponse) -> str:
    """Return what the service says of a refusal, out of its JSON where it is some."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.data.decode(errors="replace").strip()
