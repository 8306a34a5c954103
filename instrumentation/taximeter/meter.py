"""The meter while it is on: where its spans go, with its settings, metrics and stops."""

from __future__ import annotations

import atexit
import os
import re
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracer

import taximeter
from taximeter.call import end_open_streams, settle
from taximeter.estimate import counter
from taximeter.guard import never_raise, warn_once
from taximeter.metrics import Metrics
from taximeter.origin import script_name
from taximeter.settings import Settings
from taximeter.termination import Termination

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer, TracerProvider

    from taximeter.delivery import Delivery
    from taximeter.spans import OwnTracer
    from taximeter.spool import Spool
    from taximeter.stop import Stops

_NO_SDK = 'without the OpenTelemetry SDK nothing is recorded: `pip install "taximeter[otlp]"`'
SCOPE = ("taximeter", taximeter.__version__)
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
                        self._tracer = self._given.get_tracer(*SCOPE)
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
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope

            from taximeter.spans import OwnTracer

            resource = _resource(self.settings)
            delivery = _delivery(self.settings, resource, self.close)
        except ImportError:
            warn_once("sdk", _NO_SDK)
            return None
        if self._delivery is None:
            self._delivery = delivery
            delivery.start()
            atexit.register(self.close)
        # Greenlets of one thread pass its lock together; all must share the first one's delivery.
        return OwnTracer(self._delivery, resource, InstrumentationScope(*SCOPE))


def _stops(settings: Settings) -> Stops | None:
    if not settings.budget_stop:
        return None
    from taximeter.stop import Stops, fetching_from

    return Stops(fetching_from(settings))


def _delivery(settings: Settings, resource: Resource, end: Callable[[], None]) -> Delivery:
    from taximeter.courier import Plan
    from taximeter.delivery import Delivery
    from taximeter.destination import destination_in
    from taximeter.sender import Sender

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


def _resource(settings: Settings) -> Resource:
    from opentelemetry.sdk.resources import Resource

    named = {"deployment.environment.name": settings.environment} if settings.environment else {}
    resource = Resource.create(dict(named))
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        return resource.merge(Resource({"service.name": script_name()}))
    return resource


_on: Meter | None = None


def switch(meter: Meter | None) -> Meter | None:
    """Put a meter on, or None to put it off; gives the one that was on."""
    global _on
    former, _on = _on, meter
    return former


def meter_on() -> Meter | None:
    return _on
