"""Spans of our own: all that the exporter sends, and nothing that a metered call does not need.

The SDK's `Span` costs a call about 50 us more, for locks, limits, events and sampling
(benchmarks/instrumentation.py); resource and encoding are the SDK's.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, TraceFlags, get_current_span

import taximeter
from taximeter.answer import AttributeValue

# Not the app's own generator: programs seed it, and each of their workers would repeat our ids.
_random = random.Random()  # noqa: S311 - ids are no secrets
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class OwnTracer:
    """Records every span: an unsampled call is billed, too."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self.processor = processor
        self.resource = resource
        self.scope = InstrumentationScope("taximeter", taximeter.__version__)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.CLIENT,
        attributes: dict[str, AttributeValue] | None = None,
        start_time: int | None = None,
    ) -> OwnSpan:
        current = get_current_span(context).get_span_context()
        parent = current if current.is_valid else None
        return OwnSpan(self, name, parent, kind, attributes or {}, start_time or time.time_ns())


class OwnSpan(ReadableSpan):
    """A span from its start to the exporter; the attributes that it starts with become its own."""

    def __init__(
        self,
        to: OwnTracer,
        name: str,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        started_ns: int,
    ) -> None:
        trace_id = parent.trace_id if parent is not None else _id(128)
        super().__init__(
            name,
            SpanContext(trace_id, _id(64), False, _SAMPLED),
            parent,
            to.resource,
            attributes,
            kind=kind,
            start_time=started_ns,
            instrumentation_scope=to.scope,
        )
        self._own = attributes
        self._processor = to.processor

    def is_recording(self) -> bool:
        return True

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._own.update(attributes)

    def set_status(self, status: Status) -> None:
        self._status = status

    def end(self, end_time: int | None = None) -> None:
        self._end_time = end_time or time.time_ns()
        self._processor.on_end(self)


def _id(bits: int) -> int:
    return _random.getrandbits(bits) or 1
