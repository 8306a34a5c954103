"""Tags of the app: who and for what it calls, carried through threads, tasks and generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar, cast

from taximeter.guard import never_raise

F = TypeVar("F", bound=Callable[..., Any])
V = TypeVar("V")


FEATURE = "taximeter.feature"
NAMES = {
    "feature": FEATURE,
    "user": "user.id",
    "team": "taximeter.team",
    "session": "session.id",
    "prompt_name": "taximeter.prompt.name",
    "prompt_version": "taximeter.prompt.version",
}
OTHER = "taximeter.tag."


class Scope(NamedTuple):
    attributes: Mapping[str, str]
    owner: Tagged
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
    named = {
        "feature": feature,
        "user": user,
        "team": team,
        "session": session,
        "prompt_name": prompt_name,
        "prompt_version": prompt_version,
    }
    given = {name: value for name, value in (named | tags).items() if value is not None}
    return Tagged(attributes_of(given))


def attributes_of(tags: Mapping[str, V]) -> dict[str, V]:
    """Name tags as the wire does."""
    return {NAMES.get(name) or OTHER + name: value for name, value in tags.items()}


class Tagged:
    """Holds no state of a run, so that threads and recursive calls may share one object."""

    def __init__(self, attributes: Mapping[str, object]) -> None:
        self._attributes: dict[str, str] = {}
        with never_raise("reading tags"):
            self._attributes = {key: str(value) for key, value in attributes.items()}

    def __enter__(self) -> Tagged:
        _scope.set(self._inside(_scope.get()))
        return self

    def __exit__(self, *_: object) -> None:
        _scope.set(_without(self, _scope.get()))

    def _inside(self, outer: Scope | None) -> Scope:
        inherited = outer.attributes if outer is not None else {}
        return Scope({**inherited, **self._attributes}, self, outer)

    def __call__(self, function: F) -> F:
        return cast("F", functools.wraps(function)(self._around(function)))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            async def tagged_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return tagged_coroutine
        if inspect.isasyncgenfunction(function):
            return self._around_async_generator(function)
        if inspect.isgeneratorfunction(function):

            def tagged_generator(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Steps(self, function(*args, **kwargs)))

            return tagged_generator

        def tagged_function(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return tagged_function

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def tagged_async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            steps = function(*args, **kwargs)
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

        return tagged_async_generator


def _without(owner: Tagged, scope: Scope | None) -> Scope | None:
    """Take the innermost scope of `owner` out.

    It need not be the last one: the blocks of two generators may overlap, and a block may end in
    another context than it began.
    """
    if scope is None:
        return None
    if scope.owner is owner:
        return scope.outer
    outer = _without(owner, scope.outer)
    return scope if outer is scope.outer else scope.owner._inside(outer)


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
