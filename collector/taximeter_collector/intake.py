"""What becomes of a request, whatever brought it: judged, then on disk, then answered."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import Counter as Counting

from taximeter_collector import otlp
from taximeter_collector.dialects import may_be_a_call
from taximeter_collector.envelope import envelopes, starts
from taximeter_collector.journal import Journal, JournalFull
from taximeter_collector.writer import SET_ASIDE, frame

REMEMBERED: Final = 10_000
"""Requests; at a thousand spans each they are the last minutes of a busy collector."""
MOST_SPANS: Final = 100_000

REQUESTS: Final = Counting(
    "taximeter_requests", "OTLP requests by HTTP status, also of gRPC", ["status"]
)
SPANS: Final = Counting("taximeter_spans", "Spans received, calls or not")
REFUSED_SPANS: Final = Counting(
    "taximeter_refused_spans", "Spans outside the accepted time", ["reason"]
)
REPEATED: Final = Counting("taximeter_repeated_requests", "Requests that had come before")


class Refused(Exception):
    """A request that is not taken, with the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def not_durable(error: OSError) -> Refused:
    return Refused(503, f"the journal's disk refuses: {error.strerror}")


class Taken(NamedTuple):
    """The answer to give once the request is on disk."""

    answer: ExportTraceServiceResponse
    durable: Future[None]
    """Raises OSError when the disk refuses."""


class Intake:
    """Puts requests into the journal; safe to share between threads."""

    def __init__(self, journal: Journal, how_late: timedelta) -> None:
        self._journal = journal
        self._how_late = how_late
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._seeing = threading.Lock()

    def take(self, body: bytes) -> Taken:
        """Take a request in protobuf; raises Refused."""
        now = datetime.now(UTC)
        refusals = _refusals(body, otlp.Window.at(now, self._how_late))
        digest = sha256(body).digest()
        durable: Future[None] = Future()
        if self._has_seen(digest):
            REPEATED.inc()
            durable.set_result(None)
        elif not may_be_a_call(body):
            durable.set_result(None)
        else:
            try:
                durable = self._journal.append(frame(now, body))
            except JournalFull as error:
                raise Refused(429, f"the journal is full: {error}") from error
            durable.add_done_callback(lambda kept: self._remember(digest, kept))
        for reason, spans in refusals.items():
            REFUSED_SPANS.labels(reason.partition(",")[0]).inc(spans)
        return Taken(_answer(refusals), durable)

    def _has_seen(self, digest: bytes) -> bool:
        with self._seeing:
            return digest in self._seen

    def _remember(self, digest: bytes, kept: Future[None]) -> None:
        if kept.cancelled() or kept.exception() is not None:
            return
        with self._seeing:
            self._seen[digest] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)


def refused() -> dict[str, int]:
    """Return how many spans were refused for their time since the process began, by reason."""
    return {
        sample.labels["reason"]: int(sample.value)
        for metric in REFUSED_SPANS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def rejected() -> dict[str, int]:
    """Return how many spans were not taken since the process began, by reason.

    Of what was set aside, a priced call and a whole segment of the journal count as one each.
    """
    (unreadable,) = (metric.samples[0].value for metric in SET_ASIDE.collect())
    return {**refused(), "set aside: can't be read or kept": int(unreadable)}


def _refusals(body: bytes, window: otlp.Window) -> Counter[str]:
    try:
        begun = starts(body)
    except DecodeError:
        raise Refused(400, "the body is not an OTLP ExportTraceServiceRequest") from None
    if len(begun) > MOST_SPANS:
        raise Refused(413, f"{len(begun)} spans in one request: send at most {MOST_SPANS}")
    SPANS.inc(len(begun))
    out_of_time = otlp.refusals(begun, window)
    if not out_of_time:
        return out_of_time
    spans = zip(begun, envelopes(body, window), strict=True)
    return otlp.refusals((start for start, one in spans if may_be_a_call(one.raw)), window)


def _answer(refusals: Mapping[str, int]) -> ExportTraceServiceResponse:
    answer = ExportTraceServiceResponse()
    if refusals:
        answer.partial_success.rejected_spans = sum(refusals.values())
        answer.partial_success.error_message = "; ".join(
            f"{count} spans: {reason}" for reason, count in refusals.items()
        )
    return answer
