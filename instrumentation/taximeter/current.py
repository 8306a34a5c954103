"""The call that this task or thread is in: what the SDK's inner hooks write to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach

if TYPE_CHECKING:
    from taximeter.call import Call

current_call: ContextVar[Call | None] = ContextVar("taximeter_call", default=None)


class entered:  # noqa: N801 - reads as a sentence: `with entered(call):`
    """Make a call the current one; None hides an outer call from what is no part of it."""

    __slots__ = ("_call", "_outer", "_token")

    def __init__(self, call: Call | None) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._outer = current_call.get()
        current_call.set(self._call)
        context = None if self._call is None else self._call.app_context()
        self._token = None if context is None else attach(context)

    def __exit__(self, *_: object) -> None:
        current_call.set(self._outer)
        if self._token is not None:
            detach(self._token)
