"""The meter while it is on: where its spans go, with its settings, metrics and stops."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import NoOpTracer

import taximeter
from taximeter.call import end_open_streams, settle
from taximeter.estimate import counter
from taximeter.guard import never_raise, warn_once
from taximeter.metrics import Metrics
from taximeter.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from taximeter.delivery import Delivery
    from taximeter.spans import OwnTracer
    from taximeter.stop import Stops

_NO_SDK = 'without the OpenTelemetry SDK nothing is recorded: `pip install "taximeter[otlp]"`'
EXIT_S = 1.5
"""How long the process waits at its end for a collector that does not answer."""
COUNTING_S = 0.7
"""How much of that goes to counting the tokens of streams whose usage was lost."""

# A fork waits for the first call to have loaded the SDK: a child inherits the locks of imports.
_loading = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_loading.acquire,
        after_in_parent=_loading.release,
        after_in_child=_loading.release,
    )


class Meter:
    """Its spans go to a provider of the app's choice, or to the collector, all of them."""

    def __init__(
        self, given: TracerProvider | None, metrics_to: MeterProvider | None, settings: Settings
    ) -> None:
        self.settings = settings
        self.metrics = Metrics(metrics_to)
        self.stops = _stops(settings)
        self._given = given
        self._ready = False
        self._tracer: Tracer | OwnTracer = NoOpTracer()
        self._delivery: Delivery | None = None
        self._termination = Termination(flush=partial(self.flush, EXIT_S), end=self.close)
        if given is None:
            self._termination.install()

    def tracer(self) -> Tracer | OwnTracer:
        """Give the tracer; the SDK is loaded here, at the first call."""
        if self._ready:
            return self._tracer
        with _loading:
            if not self._ready:
                try:
                    if self._given is not None:
                        self._tracer = self._given.get_tracer("taximeter", taximeter.__version__)
                        # Runs before the provider's own ending, which is older.
                        atexit.register(self.close)
                    else:
                        self._tracer = self._own_tracer() or self._tracer
                finally:
                    self._ready = True  # what failed once is not tried again at every call
        return self._tracer

    def flush(self, timeout_s: float) -> bool:
        """Send what has ended; False when that took too long or failed."""
        with never_raise("flushing spans"):
            settle()
            started = time.monotonic()
            counter.finish(timeout_s)
            timeout_s -= time.monotonic() - started
            to = self._given if self._given is not None else self._delivery
            force_flush = getattr(to, "force_flush", None)
            return force_flush is None or force_flush(max(0, int(timeout_s * 1000))) is not False
        return False

    def close(self) -> None:
        """End open streams and send what is left, for at most `EXIT_S`."""
        atexit.unregister(self.close)
        if self.stops is not None:
            self.stops.close()
        started = time.monotonic()
        with never_raise("flushing spans"):
            self._termination.remove()
            end_open_streams()
            counter.finish(COUNTING_S)
            if self._delivery is not None:
                left_s = EXIT_S - (time.monotonic() - started)
                self._delivery.shutdown(int(left_s * 1000))

    def _own_tracer(self) -> OwnTracer | None:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return None
        try:
            from taximeter.delivery import delivery_of, resource_of
            from taximeter.spans import OwnTracer
        except ImportError:
            warn_once("sdk", _NO_SDK)
            return None
        resource = resource_of(self.settings)
        delivery = delivery_of(self.settings, resource, self.close)
        if self._delivery is None:
            self._delivery = delivery
            delivery.start()
            atexit.register(self.close)
        # Greenlets of one thread pass its lock together; all must share the first one's delivery.
        return OwnTracer(self._delivery, resource)


def _stops(settings: Settings) -> Stops | None:
    if not settings.budget_stop:
        return None
    from taximeter.stop import Stops, fetching_from

    return Stops(fetching_from(settings))


class Termination:
    """Stands before the handler of SIGTERM, where Python can stand: in the main thread."""

    def __init__(self, *, flush: Callable[[], object], end: Callable[[], object]) -> None:
        self._flush = flush
        self._end = end
        self._before: Any = None

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGTERM)
        # Not a signal that is ignored, nor a handler set by a library in C, which is None.
        if before is signal.SIG_DFL or callable(before):
            self._before = before
            signal.signal(signal.SIGTERM, self._terminated)

    def remove(self) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) == self._terminated
        ):
            signal.signal(signal.SIGTERM, self._before)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        if callable(self._before):
            self._flush()
            self._before(number, frame)
            return
        self._end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_on: Meter | None = None


def switch(meter: Meter | None) -> Meter | None:
    """Put a meter on, or None to put it off; gives the one that was on."""
    global _on
    former, _on = _on, meter
    return former


def meter_on() -> Meter | None:
    return _on
