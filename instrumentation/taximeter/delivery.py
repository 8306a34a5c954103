"""Where the app's threads hand over their spans; nothing here waits, unless it is asked to."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from weakref import WeakSet

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from taximeter.courier import Courier, Flush, Plan, Ring

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
