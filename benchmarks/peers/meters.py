"""How each peer is set up, as its own documentation says; runs in the peer's environment.

Each takes a TracerProvider and the processor on it; with None it is set up as an app would do.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

NOWHERE = "http://127.0.0.1:9"


def bare(_provider: Any, _processor: Any) -> None:
    pass


def taximeter(_provider: Any, processor: Any) -> None:
    import taximeter

    if processor is None:
        taximeter.instrument()
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import NoOpTracerProvider

    from taximeter.spans import OwnTracer

    class OwnProvider(NoOpTracerProvider):
        """What `instrument()` uses when it is given no provider."""

        def get_tracer(self, *_: object, **__: object) -> Any:
            return OwnTracer(processor, Resource.create())

    taximeter.instrument(OwnProvider())


def taximeter_given(provider: Any, _processor: Any) -> None:
    import taximeter

    taximeter.instrument(provider)


def genai_openai(provider: Any, _processor: Any) -> None:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(**_given(provider))


def openai_v2(provider: Any, _processor: Any) -> None:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(**_given(provider))


def traceloop(provider: Any, _processor: Any) -> None:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(**_given(provider))


def openinference(provider: Any, _processor: Any) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(**_given(provider))


def logfire(_provider: Any, processor: Any) -> None:
    import logfire

    processors = None if processor is None else [processor]
    logfire.configure(
        send_to_logfire=False, console=False, additional_span_processors=processors, metrics=False
    )
    logfire.instrument_openai()


def langfuse(provider: Any, _processor: Any) -> None:
    import langfuse.openai  # noqa: F401 - the import wraps the SDK
    from langfuse import Langfuse

    keys = {"public_key": "pk-lf-1", "secret_key": "sk-lf-1", "base_url": NOWHERE}
    if provider is None:
        Langfuse(**keys)
        return
    # Its own exporter would only add failed requests to nowhere.
    Langfuse(**keys, tracer_provider=provider, span_exporter=_silent())


def openlit(provider: Any, _processor: Any) -> None:
    # By default it fetches its prices from the network at each start.
    prices = Path(tempfile.gettempdir()) / f"openlit-prices-{os.getpid()}.json"
    prices.write_text(json.dumps({"chat": {"gpt-5": {"promptPrice": 1, "completionPrice": 1}}}))
    import openlit

    if provider is not None:
        from opentelemetry import _logs, trace
        from opentelemetry.sdk._logs import LoggerProvider

        trace.set_tracer_provider(provider)
        _logs.set_logger_provider(LoggerProvider())  # else its events go to the console
    openlit.init(otlp_endpoint=NOWHERE, pricing_json=str(prices), disable_metrics=True)
    prices.unlink()


def _given(provider: Any) -> dict[str, Any]:
    return {} if provider is None else {"tracer_provider": provider}


def _silent() -> Any:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


METERS = {
    "bare": bare,
    "taximeter": taximeter,
    "taximeter-given": taximeter_given,
    "genai-openai": genai_openai,
    "openai-v2": openai_v2,
    "traceloop": traceloop,
    "openinference": openinference,
    "logfire": logfire,
    "langfuse": langfuse,
    "openlit": openlit,
}
