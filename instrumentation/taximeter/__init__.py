"""The meter that runs on every OpenAI call: one span with feature, user, model and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taximeter.exceeded import BudgetExceededError
from taximeter.guard import never_raise
from taximeter.propagation import headers, tags_from
from taximeter.tags import tag

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = [
    "BudgetExceededError",
    "__version__",
    "flush",
    "headers",
    "instrument",
    "tag",
    "tagged_executor",
    "tags_from",
    "uninstrument",
]

__version__ = "0.1.0"


def instrument(
    tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Meter every OpenAI call of this process, also when openai is imported later.

    A given provider is used as it is; without one the spans go to Taximeter's collector, and
    metrics to the global meter provider if the app sets one.
    """
    with never_raise("instrumenting openai"):
        from taximeter import hooks

        hooks.install(tracer_provider, meter_provider)


def flush(timeout_s: float = 10.0) -> bool:
    """Send all calls that have ended; False when the collector did not take them in time."""
    from taximeter.meter import meter_on

    meter = meter_on()
    return meter is None or meter.flush(timeout_s)


def uninstrument() -> None:
    """Put the SDK's own functions back and send what was measured."""
    with never_raise("removing the instrumentation"):
        from taximeter import hooks

        hooks.remove()


def tagged_executor(executor: Executor) -> Executor:
    """Wrap an executor, so that its work has the tags and the trace of those who submit it."""
    from taximeter.executors import TaggedExecutor

    return TaggedExecutor(executor)
