"""Where spans go: to a provider of the app's choice, or to the collector, all of them."""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import TYPE_CHECKING

import taximeter
from taximeter.call import end_open_streams
from taximeter.estimate import finish_counts
from taximeter.guard import never_raise, warn_once
from taximeter.origin import script_name
from taximeter.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer, TracerProvider

    from taximeter.spans import OwnTracer

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
_NO_SDK = 'without the OpenTelemetry SDK nothing is recorded: `pip install "taximeter[otlp]"`'
SCOPE = ("taximeter", taximeter.__version__)
EXIT_S = 1.5
"""How long the process waits at its end for a collector that does not answer."""
COUNTING_S = 0.7
"""How much of that goes to counting the tokens of streams whose usage was lost."""


class Tracing:
    def __init__(self, given: TracerProvider | None, settings: Settings) -> None:
        self._given = given
        self._settings = settings
        self._lock = threading.Lock()
        self._ready = False
        self._tracer: Tracer | OwnTracer | None = None
        self._own: OwnTracer | None = None
        self._exporter: SpanExporter | None = None

    def tracer(self) -> Tracer | OwnTracer | None:
        """Give the tracer; the SDK is loaded here, at the first call. None without an SDK."""
        if self._ready:
            return self._tracer
        with self._lock:
            if not self._ready:
                try:
                    if self._given is not None:
                        self._tracer = self._given.get_tracer(*SCOPE)
                        atexit.register(
                            self.close
                        )  # runs before the provider's own, which is older
                    else:
                        self._tracer = self._own = self._own_tracer()
                finally:
                    self._ready = True  # what failed once is not tried again at every call
        return self._tracer

    def close(self) -> None:
        """End open streams and send what is left, for at most `EXIT_S`."""
        atexit.unregister(self.close)
        if not self._ready:
            return
        started = time.monotonic()
        with never_raise("flushing spans"):
            end_open_streams()
            finish_counts(COUNTING_S)
            if self._own is None or self._exporter is None:
                return
            sending = threading.Thread(target=self._own.processor.shutdown, daemon=True)
            sending.start()
            sending.join(EXIT_S - (time.monotonic() - started))
            if sending.is_alive():
                self._exporter.shutdown()
                warn_once("exit", "the collector did not answer; the last spans are lost")

    def _own_tracer(self) -> OwnTracer | None:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http import Compression
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope

            from taximeter.spans import OwnTracer
        except ImportError:
            warn_once("sdk", _NO_SDK)
            return None
        settings = self._settings
        self._exporter = OTLPSpanExporter(
            endpoint=_endpoint(settings),
            headers={"authorization": f"Bearer {settings.token}"} if settings.token else None,
            compression=Compression.Gzip,
        )
        processor = BatchSpanProcessor(
            self._exporter, schedule_delay_millis=settings.export_delay_ms
        )
        atexit.register(self.close)
        return OwnTracer(processor, _resource(settings), InstrumentationScope(*SCOPE))


def _endpoint(settings: Settings) -> str | None:
    """Give the full URL; None leaves it to the exporter, which reads the standard variables."""
    if settings.endpoint:
        return f"{settings.endpoint.rstrip('/')}/v1/traces"
    standard = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if any(os.environ.get(name) for name in standard):
        return None
    return f"{DEFAULT_ENDPOINT}/v1/traces"


def _resource(settings: Settings) -> Resource:
    from opentelemetry.sdk.resources import Resource

    named = {"deployment.environment.name": settings.environment} if settings.environment else {}
    resource = Resource.create(dict(named))
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        return resource.merge(Resource({"service.name": script_name()}))
    return resource
