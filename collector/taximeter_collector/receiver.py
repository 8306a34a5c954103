"""The receiver: OTLP/HTTP in; 200 only for what is on disk."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from fastapi import APIRouter, Request, Response
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import Counter as Counting

from taximeter_collector import otlp
from taximeter_collector.dialects import may_be_a_call
from taximeter_collector.envelope import envelopes, start_of
from taximeter_collector.journal import Journal, JournalFull
from taximeter_collector.otlp import MalformedRequest
from taximeter_collector.otlp_json import as_protobuf
from taximeter_collector.writer import frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
REMEMBERED: Final = 10_000
"""Requests; at a thousand spans each they are the last minutes of a busy collector."""
RETRY_AFTER_S: Final = "5"
MOST_SPANS: Final = 100_000
GZIP: Final = 16 + zlib.MAX_WBITS


REQUESTS: Final = Counting("taximeter_requests", "OTLP requests by HTTP status", ["status"])
SPANS: Final = Counting("taximeter_spans", "Spans received, calls or not")
REFUSED_SPANS: Final = Counting(
    "taximeter_refused_spans", "Spans outside the accepted time", ["reason"]
)
REPEATED: Final = Counting("taximeter_repeated_requests", "Requests that had come before")


class Refused(Exception):
    """A request that is answered with an HTTP error status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def receiver(
    journal: Journal,
    *,
    authorised: Callable[[str], bool],
    max_body_bytes: int,
    how_late: timedelta,
) -> APIRouter:
    """Return the routes of OTLP/HTTP; `authorised` judges the Authorization header."""
    router = APIRouter()
    seen = Seen(REMEMBERED)

    @router.post("/v1/traces", include_in_schema=False)
    async def traces(request: Request) -> Response:
        media_type = _media_type(request)
        if not authorised(request.headers.get("authorization", "")):
            refused = Refused(401, "send the ingest token: Authorization: Bearer <token>")
            return _error(media_type, refused)
        try:
            body = await _body(request, media_type, max_body_bytes)
            return _answer(media_type, await _keep(journal, seen, body, how_late))
        except Refused as refused:
            return _error(media_type, refused)

    @router.post("/v1/{signal}", include_in_schema=False)
    async def other_signals(request: Request, signal: str) -> Response:
        """Take what an exporter sends beside its spans, and keep none of it."""
        if signal not in ("logs", "metrics"):
            return _error(_media_type(request), Refused(404, f"there is no /v1/{signal}"))
        async for _ in request.stream():
            pass
        return _answer(_media_type(request), ExportTraceServiceResponse())

    return router


class Seen:
    """The digests of the newest requests: one whose answer was lost comes again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        self._digests[digest] = None
        if len(self._digests) > self._most:
            self._digests.popitem(last=False)


async def _keep(
    journal: Journal, seen: Seen, body: bytes, how_late: timedelta
) -> ExportTraceServiceResponse:
    now = datetime.now(UTC)
    refusals, digest = await asyncio.to_thread(_judged, body, otlp.Window.at(now, how_late))
    if digest in seen:
        REPEATED.inc()
    elif may_be_a_call(body):
        try:
            await asyncio.wrap_future(journal.append(frame(now, body)))
        except JournalFull as error:
            raise Refused(429, f"the journal is full: {error}") from error
        except OSError as error:
            raise Refused(503, f"the journal's disk refuses: {error.strerror}") from error
        seen.add(digest)
    answer = ExportTraceServiceResponse()
    for reason, spans in refusals.items():
        REFUSED_SPANS.labels(reason.partition(",")[0]).inc(spans)
    if refusals:
        answer.partial_success.rejected_spans = refusals.total()
        answer.partial_success.error_message = "; ".join(
            f"{count} spans: {reason}" for reason, count in refusals.items()
        )
    return answer


def _judged(body: bytes, window: otlp.Window) -> tuple[Counter[str], bytes]:
    """Return which spans are refused and why, and what tells the request from others."""
    try:
        spans = [one.raw for one in envelopes(body)]
        starts = [start_of(raw) for raw in spans if may_be_a_call(raw)]
    except DecodeError:
        raise Refused(400, "the body is not an OTLP ExportTraceServiceRequest") from None
    if len(spans) > MOST_SPANS:
        raise Refused(413, f"{len(spans)} spans in one request: send at most {MOST_SPANS}")
    SPANS.inc(len(spans))
    return otlp.refusals(starts, window), sha256(body).digest()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(request: Request, media_type: str, max_bytes: int) -> bytes:
    """Return the request in protobuf, unpacked."""
    if media_type not in (PROTOBUF, JSON):
        raise Refused(415, f"Content-Type {media_type or '(none)'}: send {PROTOBUF} or {JSON}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "zstd"):
        raise Refused(415, f"Content-Encoding {encoding}: send gzip, zstd or none")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise Refused(413, f"the body is larger than {max_bytes} bytes: send smaller batches")
    content = bytes(body) if encoding == "identity" else _unpacked(bytes(body), encoding, max_bytes)
    if media_type == PROTOBUF:
        return content
    try:
        return await asyncio.to_thread(as_protobuf, content)
    except MalformedRequest as error:
        raise Refused(400, str(error)) from None


def _unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Unpack all members of a body, to at most `max_bytes`."""
    content = b""
    while body:
        member = zstd.ZstdDecompressor() if encoding == "zstd" else zlib.decompressobj(GZIP)
        try:
            content += member.decompress(body, max_bytes + 1 - len(content))
        except (zlib.error, zstd.ZstdError) as error:
            reason = f"the body is not {encoding}, though Content-Encoding says so"
            raise Refused(400, reason) from error
        if len(content) > max_bytes:
            reason = f"the body unpacks to more than {max_bytes} bytes: send smaller batches"
            raise Refused(413, reason)
        if not member.eof:
            raise Refused(400, f"the {encoding} body ends too early")
        body = member.unused_data
    return content


def _answer(media_type: str, answer: ExportTraceServiceResponse) -> Response:
    REQUESTS.labels(200).inc()
    if media_type == JSON:
        return Response(json_format.MessageToJson(answer, indent=None), media_type=JSON)
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _error(media_type: str, refused: Refused) -> Response:
    REQUESTS.labels(refused.status).inc()
    headers = {"Retry-After": RETRY_AFTER_S} if refused.status in (429, 503) else {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    status = Status(message=refused.reason)
    if media_type == JSON:
        text = json_format.MessageToJson(status, indent=None)
        return Response(text, refused.status, headers, JSON)
    return Response(status.SerializeToString(), refused.status, headers, PROTOBUF)
