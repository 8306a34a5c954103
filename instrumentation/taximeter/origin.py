"""The feature of a call without a tag: the request it serves, or the function that called."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from taximeter.guard import never_raise

SERVERS = {SpanKind.SERVER, SpanKind.CONSUMER}
CELERY = "opentelemetry.instrumentation.celery"

_PATHS = sysconfig.get_paths()
_LIBRARIES = (
    "<frozen",
    *(
        f"{Path(_PATHS[name]).as_posix()}/"
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    ),
    f"{Path(__file__).parent.as_posix()}/",
)
_INSTALLED = ("/site-packages/", "/dist-packages/", "/openai/_", "/openai/resources/")


_watched: WeakSet[object] = WeakSet()
_serving: WeakKeyDictionary[object, object] = WeakKeyDictionary()
"""Spans of the app that are under way, each with the server or consumer span around it."""


following = False
"""Set while the meter is on: a provider gives back no processor that it was given."""


def watch(provider: object) -> None:
    """Follow the server spans of a provider of the app, if it lets others follow its spans."""
    if not hasattr(provider, "add_span_processor") or provider in _watched:
        return
    from taximeter.servers import Servers

    _watched.add(provider)
    provider.add_span_processor(Servers(_serving))


def follow(*providers: object) -> None:
    global following
    following = True
    for provider in providers:
        with never_raise("following the app's server spans"):
            watch(provider)


def unfollow() -> None:
    global following
    following = False
    _serving.clear()


def global_provider() -> object:
    # The public getter may load and set a provider that the environment names, and so come
    # before the app's own.
    return getattr(trace, "_TRACER_PROVIDER", None)


def server_around(span: object) -> object:
    """Give the server or consumer span that encloses this one, or it itself."""
    if getattr(span, "kind", None) in SERVERS:
        return span
    return _serving.get(span, span)


def request_served(server: object) -> str | None:
    """Name the route or task of a server span; frameworks set it when they know it."""
    attributes = getattr(server, "attributes", None) or {}
    route = attributes.get("http.route")
    if isinstance(route, str) and route:
        return route
    return _task_of(server)


def _task_of(consumer: object) -> str | None:
    # Its attribute with the task's name is set only when the task has ended.
    scope = getattr(consumer, "instrumentation_scope", None)
    name = str(getattr(consumer, "name", ""))
    if getattr(scope, "name", "") != CELERY or not name.startswith("run/"):
        return None
    return name.removeprefix("run/")


def calling_function() -> str | None:
    """Name the innermost function outside of libraries as `module.function`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_app_code(frame.f_code.co_filename):
            module = str(frame.f_globals.get("__name__", ""))
            return name_of(module, frame.f_code)
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def is_app_code(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return not path.startswith(_LIBRARIES) and not any(part in path for part in _INSTALLED)


@lru_cache(maxsize=4096)
def name_of(module: str, code: CodeType) -> str:
    # A lambda, comprehension or closure belongs to the function around it.
    function = code.co_qualname.partition(".<locals>")[0]
    owner = script_name() if module == "__main__" else module
    return owner if function.startswith("<") else f"{owner}.{function}"


def script_name() -> str:
    """Name the program by its script; "python" where there is none."""
    script = Path(getattr(sys.modules.get("__main__"), "__file__", None) or sys.argv[0] or "python")
    name = script.parent.name if script.stem == "__main__" else script.stem
    return "python" if name.startswith("-") else name or "python"
