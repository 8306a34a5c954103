"""The receiver: OTLP/HTTP in; 200 only for what is on disk."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request, Response
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from taximeter_collector.intake import REQUESTS, Intake, Refused, not_durable
from taximeter_collector.otlp_json import MalformedRequest, as_protobuf

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
RETRY_AFTER_S: Final = "5"
GZIP: Final = 16 + zlib.MAX_WBITS


def receiver(
    intake: Intake, *, authorised: Callable[[str], bool], max_body_bytes: int
) -> APIRouter:
    """Return the routes of OTLP/HTTP; `authorised` judges the Authorization header."""
    router = APIRouter()

    @router.post("/v1/traces", include_in_schema=False)
    async def traces(request: Request) -> Response:
        media_type = _media_type(request)
        if not authorised(request.headers.get("authorization", "")):
            refused = Refused(401, "send the ingest token: Authorization: Bearer <token>")
            return _error(media_type, refused)
        try:
            body = await _body(request, media_type, max_body_bytes)
            return _answer(media_type, await _taken(intake, body))
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


async def _taken(intake: Intake, body: bytes) -> ExportTraceServiceResponse:
    taken = await asyncio.to_thread(intake.take, body)
    try:
        await asyncio.wrap_future(taken.durable)
    except OSError as error:
        raise not_durable(error) from error
    return taken.answer


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
