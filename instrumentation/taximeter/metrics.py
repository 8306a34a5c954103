"""The metrics of the GenAI conventions, for the dashboards that an app has already.

Money is never counted from these: a histogram can't be deduplicated or priced again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import taximeter
from taximeter.answer import AttributeValue

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider

SECONDS = tuple(0.01 * 2**n for n in range(14))
TOKENS = tuple(4**n for n in range(14))

_OF_REQUEST = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "server.address",
    "server.port",
)
_USAGE = (
    ("input", "gen_ai.usage.input_tokens"),
    ("output", "gen_ai.usage.output_tokens"),
)


class Instruments(NamedTuple):
    duration: Histogram
    first_chunk: Histogram
    tokens: Histogram


class Metrics:
    """Of the given provider, else of the global one as soon as the app sets one."""

    def __init__(self, given: MeterProvider | None) -> None:
        self._given = given
        self._instruments: Instruments | None = None

    def record(
        self,
        request: Mapping[str, AttributeValue],
        outcome: Mapping[str, AttributeValue],
        duration_s: float,
    ) -> None:
        """Record one ended call by the attributes of its request and of its outcome."""
        to = self._instruments
        if to is None:
            provider = self._given or _global_provider()
            if provider is None:
                return
            to = self._instruments = _instruments_of(provider)
        labels: dict[str, Any] = {name: request[name] for name in _OF_REQUEST if name in request}
        if model := outcome.get("gen_ai.response.model"):
            labels["gen_ai.response.model"] = model
        for kind, name in _USAGE:
            if isinstance(count := outcome.get(name), int):
                to.tokens.record(count, {**labels, "gen_ai.token.type": kind})
        if error := outcome.get("error.type"):
            labels["error.type"] = error
        to.duration.record(duration_s, labels)
        waited_s = outcome.get("gen_ai.response.time_to_first_chunk")
        if isinstance(waited_s, float):
            to.first_chunk.record(waited_s, labels)


def _global_provider() -> MeterProvider | None:
    # The public getter reads the environment at every call, and may set a provider before the app.
    internal = sys.modules.get("opentelemetry.metrics._internal")
    return getattr(internal, "_METER_PROVIDER", None)


def _instruments_of(provider: MeterProvider) -> Instruments:
    meter = provider.get_meter("taximeter", taximeter.__version__)

    def histogram(name: str, unit: str, buckets: Sequence[float], description: str) -> Histogram:
        return meter.create_histogram(
            f"gen_ai.client.{name}",
            unit=unit,
            description=description,
            explicit_bucket_boundaries_advisory=buckets,
        )

    return Instruments(
        histogram("operation.duration", "s", SECONDS, "Length of a call, its retries included"),
        histogram("operation.time_to_first_chunk", "s", SECONDS, "Time to a stream's first chunk"),
        histogram("token.usage", "{token}", TOKENS, "Tokens of a call by their type"),
    )
