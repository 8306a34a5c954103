"""Which request each span of the app belongs to, learnt from the app's own tracer provider."""

from __future__ import annotations

from collections.abc import MutableMapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import get_current_span

from taximeter import origin
from taximeter.guard import never_raise
from taximeter.origin import SERVERS


class Servers(SpanProcessor):
    """Hands the server span down from parent to child; by trace id, tasks of one trace would mix.

    The map holds its keys weakly: what is known of a span goes with the span.
    """

    def __init__(self, serving: MutableMapping[object, object]) -> None:
        self._serving = serving

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.kind in SERVERS or not origin.following:
            return
        with never_raise("following a server span"):
            parent = get_current_span(parent_context)
            server = origin.server_around(parent)
            if getattr(server, "kind", None) in SERVERS:
                self._serving[span] = server
