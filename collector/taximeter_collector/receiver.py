"""The receiver: OTLP/HTTP in; 200 only for what is on disk."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from taximeter_collector import otlp
from taximeter_collector.dialects import may_be_a_call
from taximeter_collector.envelope import envelopes, start_of
from taximeter_collector.journal import Journal, JournalFull
from taximeter_collector.store.store import RETENTION
from taximeter_collector.writer import frame

PROTOBUF: Final = "application/x-protobuf"
RETRY_AFTER_S: Final = "5"
MOST_SPANS: Final = 100_000
GZIP: Final = 16 + zlib.MAX_WBITS


class Refused(Exception):
    """A request that is answered with an HTTP error status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def receiver(
    journal: Journal, *, authorised: Callable[[str], bool], max_body_bytes: int
) -> APIRouter:
    """Return the routes of OTLP/HTTP; `authorised` judges the Authorization header."""
    router = APIRouter()

    @router.post("/v1/traces", include_in_schema=False)
    async def traces(request: Request) -> Response:
        if not authorised(request.headers.get("authorization", "")):
            return _error(Refused(401, "send the ingest token: Authorization: Bearer <token>"))
        try:
            body = await _body(request, max_body_bytes)
            answer = await _keep(journal, body)
        except Refused as refused:
            return _error(refused)
        return Response(answer.SerializeToString(), media_type=PROTOBUF)

    return router


async def _keep(journal: Journal, body: bytes) -> ExportTraceServiceResponse:
    now = datetime.now(UTC)
    refusals = await asyncio.to_thread(_refusals, body, now)
    if may_be_a_call(body):
        try:
            await asyncio.wrap_future(journal.append(frame(now, body)))
        except JournalFull as error:
            raise Refused(429, f"the journal is full: {error}") from error
        except OSError as error:
            raise Refused(503, f"the journal's disk refuses: {error.strerror}") from error
    answer = ExportTraceServiceResponse()
    if refusals:
        answer.partial_success.rejected_spans = refusals.total()
        answer.partial_success.error_message = "; ".join(
            f"{count} spans: {reason}" for reason, count in refusals.items()
        )
    return answer


def _refusals(body: bytes, now: datetime) -> Counter[str]:
    try:
        spans = [one.raw for one in envelopes(body)]
        starts = [start_of(raw) for raw in spans if may_be_a_call(raw)]
    except DecodeError:
        raise Refused(400, "the body is not an OTLP ExportTraceServiceRequest") from None
    if len(spans) > MOST_SPANS:
        raise Refused(413, f"{len(spans)} spans in one request: send at most {MOST_SPANS}")
    return otlp.refusals(starts, otlp.Window.at(now, RETENTION))


async def _body(request: Request, max_bytes: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != PROTOBUF:
        raise Refused(415, f"Content-Type {media_type or '(none)'}: send {PROTOBUF}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refused(415, f"Content-Encoding {encoding}: send gzip or none")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise Refused(413, f"the body is larger than {max_bytes} bytes: send smaller batches")
    return _gunzipped(bytes(body), max_bytes) if encoding == "gzip" else bytes(body)


def _gunzipped(body: bytes, max_bytes: int) -> bytes:
    content = b""
    while body:
        member = zlib.decompressobj(GZIP)
        try:
            content += member.decompress(body, max_bytes + 1 - len(content))
        except zlib.error as error:
            raise Refused(400, "the body is not gzip, though Content-Encoding says so") from error
        if len(content) > max_bytes:
            reason = f"the body unpacks to more than {max_bytes} bytes: send smaller batches"
            raise Refused(413, reason)
        if not member.eof:
            raise Refused(400, "the gzip body ends too early")
        body = member.unused_data
    return content


def _error(refused: Refused) -> Response:
    headers = {"Retry-After": RETRY_AFTER_S} if refused.status in (429, 503) else {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    status = Status(message=refused.reason)
    return Response(status.SerializeToString(), refused.status, headers, PROTOBUF)
