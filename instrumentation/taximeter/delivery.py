"""Where the app's threads hand over their spans; nothing here waits, unless it is asked to."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from taximeter.courier import Courier, Flush, Plan, Ring
from taximeter.destination import destination_in
from taximeter.guard import warn_once
from taximeter.origin import script_name
from taximeter.sender import Sender
from taximeter.settings import Settings

if TYPE_CHECKING:
    from taximeter.spool import Spool

AT_ONCE_S = 1.0
GRACE_S = 0.3
"""For the courier's own last steps after the time of a flush is up."""

_deliveries: WeakSet[Delivery] = WeakSet()


class Delivery(SpanProcessor):
    def __init__(
        self, plan: Plan, *, at_once: bool = False, end: Callable[[], None] | None = None
    ) -> None:
        self._plan = plan
        self._at_once = at_once
        self._end = end or self.shutdown
        self._lock = threading.RLock()
        self._courier: Courier | None = None
        self._closed = False
        _deliveries.add(self)

    def start(self) -> None:
        """Start the courier now: at the end of a process no thread starts any more."""
        self._started()

    def on_end(self, span: ReadableSpan) -> None:
        courier = self._courier or self._started()
        waiting = len(courier.queue)
        if self._closed or waiting >= self._plan.queue_size:
            courier.drop(1, "the queue is full")
            return
        courier.queue.append(span)
        if waiting + 1 == self._plan.batch_size:
            courier.bell.put(Ring())
        if self._at_once and courier.healthy:
            courier.healthy = self._flush(courier, AT_ONCE_S, last=False)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send all that was handed over; False when the time did not suffice."""
        courier = self._courier
        return courier is None or self._flush(courier, timeout_millis / 1000, last=False)

    def shutdown(self, timeout_millis: int = 30_000) -> None:
        if self._closed:
            return
        self._closed = True
        if self._courier is not None:
            self._flush(self._courier, timeout_millis / 1000, last=True)

    def forget_parent(self) -> None:
        """Begin anew in a forked child: the parent sends its own spans."""
        self._lock = threading.RLock()
        parents, self._courier = self._courier, None
        if parents is not None and parents.spool is not None:
            parents.spool.let_go()

    def _flush(self, courier: Courier, timeout_s: float, *, last: bool) -> bool:
        done: SimpleQueue[bool] = SimpleQueue()
        courier.bell.put(Flush(done, time.monotonic() + timeout_s, last))
        try:
            return done.get(timeout=timeout_s + GRACE_S)
        except Empty:
            return False

    def _started(self) -> Courier:
        with self._lock:
            if self._courier is None:
                courier = Courier(self._plan)
                courier.start()
                self._courier = courier
                self._end_with_child()
            return self._courier

    def _end_with_child(self) -> None:
        # A child of multiprocessing ends without running atexit's functions, and one of Celery's
        # pool runs nothing but its own signal.
        for name in ("multiprocessing", "billiard"):
            process = sys.modules.get(f"{name}.process")
            if process is not None and process.current_process()._parent_pid is not None:
                sys.modules[f"{name}.util"].Finalize(None, self._end, exitpriority=0)
        if (celery := sys.modules.get("celery.signals")) is not None:
            celery.worker_process_shutdown.connect(
                lambda **_: self._end(), weak=False, dispatch_uid=f"taximeter {id(self)}"
            )


def _forget_parents() -> None:
    for delivery in _deliveries:
        delivery.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


def delivery_of(settings: Settings, resource: Resource, end: Callable[[], None]) -> Delivery:
    """Give the way to the collector; `end` is called where a child process ends."""
    to, complaints = destination_in(os.environ, settings)
    for complaint in complaints:
        warn_once(complaint, "%s", complaint)
    plan = Plan(
        post=Sender(to).post,
        address=to.address,
        delay_s=settings.export_delay_ms / 1000,
        queue_size=to.queue_size,
        batch_size=to.batch_size,
        spool=_spool(settings, str(resource.attributes["service.name"])),
    )
    # Between two invocations Lambda freezes the process, and may end it so.
    return Delivery(plan, at_once="AWS_LAMBDA_FUNCTION_NAME" in os.environ, end=end)


def _spool(settings: Settings, service: str) -> Callable[[], Spool] | None:
    """Name the spool of this app; None when none is wanted or this system has no flock."""
    if not settings.spool_dir:
        return None
    if os.name != "posix":
        warn_once("spool", "TAXIMETER_SPOOL_DIR is ignored: this system has no flock")
        return None
    from taximeter.spool import Spool

    folder = re.sub(r"[^A-Za-z0-9_-]+", "_", service)[:100]
    return partial(Spool, Path(settings.spool_dir) / folder, settings.spool_mb << 20)


def resource_of(settings: Settings) -> Resource:
    from opentelemetry.sdk.resources import Resource

    named = {"deployment.environment.name": settings.environment} if settings.environment else {}
    resource = Resource.create(dict(named))
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        return resource.merge(Resource({"service.name": script_name()}))
    return resource
