"""Tags travel with Celery's tasks, in a header of the message: `taximeter.celery.install()`.

Call it where tasks are sent and where they run; it is safe to call it twice.
"""

from __future__ import annotations

from typing import Any

from celery import signals

from taximeter.guard import never_raise
from taximeter.propagation import packed, unpacked
from taximeter.tags import Tagged

KEY = "taximeter_tags"

_running: dict[str, Tagged] = {}


def install() -> None:
    signals.before_task_publish.connect(_sent, weak=False, dispatch_uid="taximeter")
    signals.task_prerun.connect(_begun, weak=False, dispatch_uid="taximeter")
    signals.task_postrun.connect(_ended, weak=False, dispatch_uid="taximeter")


def uninstall() -> None:
    for signal in (signals.before_task_publish, signals.task_prerun, signals.task_postrun):
        signal.disconnect(dispatch_uid="taximeter")


def _sent(headers: Any = None, **_: Any) -> None:
    with never_raise("tagging a Celery task"):
        if headers is not None and (tags := packed()):
            headers[KEY] = tags


def _begun(task_id: str, task: Any, **_: Any) -> None:
    with never_raise("reading the tags of a Celery task"):
        # A task that runs eagerly has no message; it is inside of its sender's tags.
        if tags := task.request.get(KEY):
            _running[task_id] = unpacked(tags).__enter__()


def _ended(task_id: str, **_: Any) -> None:
    with never_raise("ending the tags of a Celery task"):
        if tagged := _running.pop(task_id, None):
            tagged.__exit__()
