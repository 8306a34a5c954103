"""Tags of the app: who and for what it calls, carried through threads, tasks and generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar, cast

from taximeter.guard import never_raise

F = TypeVar("F", bound=Callable[..., Any])


class Scope(NamedTuple):
    attributes: Mapping[str, str]
    outer: Scope | None


_scope: ContextVar[Scope | None] = ContextVar("taximeter_tags", default=None)


def current_tags() -> Mapping[str, str]:
    """Give the tags around this line as span attributes."""
    scope = _scope.get()
    return scope.attributes if scope is not None else {}


def tag(
    *,
    feature: object = None,
    user: object = None,
    team: object = None,
    session: object = None,
    prompt_name: object = None,
    prompt_version: object = None,
    **tags: object,
) -> Tagged:
    """Tag the OpenAI calls in a `with` block or of a decorated function; the inner tag wins."""
    attributes = {
        "taximeter.feature": feature,
        "user.id": user,
        "taximeter.team": team,
        "session.id": session,
        "taximeter.prompt.name": prompt_name,
        "taximeter.prompt.version": prompt_version,
        **{f"taximeter.tag.{key}": value for key, value in tags.items()},
    }
    return Tagged({key: value for key, value in attributes.items() if value is not None})


class Tagged:
    """Holds no state of a run, so that threads and recursive calls may share one object."""

    def __init__(self, attributes: Mapping[str, object]) -> None:
        self._attributes: dict[str, str] = {}
        with never_raise("reading tags"):
            self._attributes = {key: str(value) for key, value in attributes.items()}

    def __enter__(self) -> Tagged:
        outer = _scope.get()
        inherited = outer.attributes if outer is not None else {}
        _scope.set(Scope({**inherited, **self._attributes}, outer))
        return self

    def __exit__(self, *_: object) -> None:
        scope = _scope.get()
        _scope.set(scope.outer if scope is not None else None)

    def __call__(self, function: F) -> F:
        return cast("F", functools.wraps(function)(self._around(function)))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            async def tagged_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return tagged_coroutine
        if inspect.isasyncgenfunction(function):
            return lambda *args, **kwargs: self._async_steps(function(*args, **kwargs))
        if inspect.isgeneratorfunction(function):

            def tagged_generator(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Steps(self, function(*args, **kwargs)))

            return tagged_generator

        def tagged_function(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return tagged_function

    async def _async_steps(self, steps: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
        step = functools.partial(steps.asend, None)
        while True:
            try:
                with self:
                    item = await step()
            except StopAsyncIteration:
                return
            try:
                step = functools.partial(steps.asend, (yield item))
            except GeneratorExit:
                await steps.aclose()
                raise
            except BaseException as error:
                step = functools.partial(steps.athrow, error)


class _Steps(Generator[Any, Any, Any]):
    """A generator whose every step runs under the tags: they must not leak to its consumer."""

    def __init__(self, tagged: Tagged, steps: Generator[Any, Any, Any]) -> None:
        self._tagged = tagged
        self._steps = steps

    def send(self, value: Any) -> Any:
        with self._tagged:
            return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        with self._tagged:
            return self._steps.throw(*error)
