"""Executors whose work has the tags of those who submit it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent import futures
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from taximeter.propagation import packed, unpacked

P = ParamSpec("P")
T = TypeVar("T")


class TaggedExecutor(futures.Executor):
    def __init__(self, executor: futures.Executor) -> None:
        self._executor = executor
        self._shares_memory = isinstance(executor, futures.ThreadPoolExecutor) and not isinstance(
            executor,
            getattr(futures, "InterpreterPoolExecutor", ()),  # since Python 3.14
        )

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]:
        return self._executor.submit(self._tagged(fn), *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _tagged(self, function: Callable[..., T]) -> Callable[..., T]:
        if self._shares_memory:
            # The whole context, as asyncio.to_thread does: the call joins its caller's trace, too.
            return functools.partial(copy_context().run, function)
        return functools.partial(tagged_call, packed(), function)


def tagged_call(tags: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call under tags that came from another process, to which no context can be sent."""
    with unpacked(tags):
        return function(*args, **kwargs)
