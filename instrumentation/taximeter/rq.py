"""Tags travel with RQ's jobs, in their meta: `taximeter.rq.install()`.

Call it where jobs are enqueued and where they run; it is safe to call it twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import wrapt
from rq.job import Job

from taximeter.guard import never_raise
from taximeter.propagation import packed, unpacked
from taximeter.tags import tag

KEY = "taximeter_tags"

_hooked: list[tuple[str, Any, Any]] = []


def install() -> None:
    for name, hook in () if _hooked else (("create", _created), ("perform", _performed)):
        original = inspect.getattr_static(Job, name)
        wrapper = wrapt.FunctionWrapper(original, hook)
        setattr(Job, name, wrapper)
        _hooked.append((name, original, wrapper))


def uninstall() -> None:
    while _hooked:
        name, original, wrapper = _hooked.pop()
        if inspect.getattr_static(Job, name) is wrapper:
            setattr(Job, name, original)


def _created(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    job = wrapped(*args, **kwargs)
    with never_raise("tagging an RQ job"):
        if tags := packed():
            job.meta = {**(job.meta or {}), KEY: tags}
    return job


def _performed(wrapped: Callable[..., Any], job: Any, args: Any, kwargs: Any) -> Any:
    tags = tag()
    with never_raise("reading the tags of an RQ job"):
        tags = unpacked((job.meta or {}).get(KEY, ""))
    with tags:
        return wrapped(*args, **kwargs)
