"""Standing around the functions of a library: one way for sync and async ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any

Steps = Generator[tuple[Any, Any], Any, None]
"""Yields the arguments that the function gets, then meets its result or its exception."""
Around = Callable[[Any, Any, Any], Steps | None]
"""Begins the steps of one run, from the function's owner and the arguments that it was given.

None leaves the run alone.
"""
Hook = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Gives what stands in the place of a function."""


# Plain functions: wrapt's proxies would add a microsecond to each of them.
def around(begin: Around) -> Hook:
    def hook(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def hooked(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if (steps := begin(owner, args, kwargs)) is None:
                return function(owner, *args, **kwargs)
            args, kwargs = next(steps)
            try:
                result = function(owner, *args, **kwargs)
            except BaseException as error:
                _failed(steps, error)
                raise
            try:  # noqa: SIM105 - `suppress` would cost each call a microsecond
                steps.send(result)
            except StopIteration:
                pass
            return result

        return hooked

    return hook


def async_around(begin: Around) -> Hook:
    def hook(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def hooked(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if (steps := begin(owner, args, kwargs)) is None:
                return await function(owner, *args, **kwargs)
            args, kwargs = next(steps)
            try:
                result = await function(owner, *args, **kwargs)
            except BaseException as error:
                _failed(steps, error)
                raise
            try:  # noqa: SIM105 - `suppress` would cost each call a microsecond
                steps.send(result)
            except StopIteration:
                pass
            return result

        return hooked

    return hook


def after(note: Callable[[Any, Any, Any], None]) -> Hook:
    """Note the arguments and the result of a run that did not raise."""

    def hook(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def hooked(owner: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(owner, *args, **kwargs)
            note(args, kwargs, result)
            return result

        return hooked

    return hook


def _failed(steps: Steps, error: BaseException) -> None:
    traceback = error.__traceback__
    try:
        steps.throw(error)
    except BaseException as seen:
        # It comes out again, a StopIteration as the cause of what generators make of it.
        if seen is not error and seen.__cause__ is not error:
            raise
    finally:
        error.__traceback__ = traceback
