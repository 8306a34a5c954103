"""ClickHouse's HTTP interface to the embedded store, to read only: for Grafana and SQL clients.

It does what clickhouse-go and clickhouse-connect ask of a server: SQL in the body or in `query`,
the format in the SQL or in `default_format`. A client's other settings are not taken.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final

import anyio
from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from taximeter_api.security import Authorised
from taximeter_collector.store import QueryRefused, Reader, StoreError, StoreUnavailable

PATH: Final = "/clickhouse"
LONGEST: Final = 100_000
"""Bytes of a statement."""
WORTH_PACKING: Final = 1000
PLACES: Final = 50
"""Questions that wait, run or are being sent."""
SENDING_S: Final = 60
FORMAT: Final = re.compile(r"\w+")
CODE: Final = re.compile(r"Code: (\d+)")
SYNTAX_ERROR, TOO_MANY_QUERIES, ACCESS_DENIED, AUTHENTICATION_FAILED = 62, 202, 497, 516
"""ClickHouse's numbers of errors."""

GREETING: Final = "SELECT displayName(), version(), revision(), timezone()"


class _Unreadable(Exception):
    """A request that is no question in ClickHouse's terms."""


class _Answer(Response):
    """An answer that holds its place until it is sent, or for a minute."""

    leaving = ExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.leaving, suppress(TimeoutError):
            async with asyncio.timeout(SENDING_S):
                await super().__call__(scope, receive, send)


def clickhouse_http(reader: Reader, authorised: Authorised) -> APIRouter:
    """Return the endpoint; `authorised` judges the Authorization header."""
    router = APIRouter(prefix=PATH, include_in_schema=False)
    places = asyncio.Semaphore(PLACES)
    readers = anyio.CapacityLimiter(Reader.AT_ONCE)

    @router.get("/ping")
    def ping() -> Response:
        return Response("Ok.\n")

    @router.api_route("", methods=["GET", "POST"])
    @router.api_route("/", methods=["GET", "POST"])
    async def answer(request: Request) -> Response:
        if not authorised(request.headers.get("authorization", "")):
            refused = _error(401, AUTHENTICATION_FAILED, "give the SQL token as the password")
            refused.headers["WWW-Authenticate"] = 'Basic realm="Taximeter SQL"'
            return refused
        if places.locked():
            busy = _error(503, TOO_MANY_QUERIES, f"{PLACES} others are waiting: ask again soon")
            busy.headers["Retry-After"] = "5"
            return busy
        await places.acquire()
        with ExitStack() as leaving:
            leaving.callback(places.release)
            answered = await _answered(request, reader, readers)
            answered.leaving = leaving.pop_all()
        return answered

    return router


async def _answered(request: Request, reader: Reader, readers: anyio.CapacityLimiter) -> _Answer:
    try:
        sql, form = _question(request, await _body(request))
        is_greeting = (sql, form) == (GREETING, "Native")
        ask = reader.greeting if is_greeting else partial(reader.answer, sql, form)
        async with readers:
            if await request.is_disconnected():
                return _error(400, SYNTAX_ERROR, "who asked has gone")
            content = await anyio.to_thread.run_sync(ask)
    except _Unreadable as error:
        return _error(400, SYNTAX_ERROR, str(error))
    except QueryRefused as error:
        return _error(403, ACCESS_DENIED, str(error))
    except (StoreError, StoreUnavailable) as error:
        # A stream that fails is the question's fault, too: then there is a number.
        code = CODE.search(str(error))
        if code is None and isinstance(error, StoreUnavailable):
            raise
        return _error(400, int(code[1]) if code else SYNTAX_ERROR, str(error))
    return _packed(request, content)


def _question(request: Request, body: str) -> tuple[str, str]:
    """Return the SQL and the format of its answer."""
    asked = request.query_params
    database = asked.get("database", "")
    if database not in (Reader.DATABASE, "default", ""):
        raise _Unreadable(f"database={database}: there is only {Reader.DATABASE}")
    form = asked.get("default_format", "TabSeparated")
    if not FORMAT.fullmatch(form):
        raise _Unreadable(f"default_format={form}: give one of ClickHouse's formats")
    sql = "\n".join(filter(None, (asked.get("query", ""), body))).strip()
    if not sql:
        raise _Unreadable("no SQL: give it in the body or in `query`")
    return sql, form


async def _body(request: Request) -> str:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST:
            raise _Unreadable(f"the SQL is longer than {LONGEST} bytes")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding not in ("identity", "gzip"):
        raise _Unreadable(f"Content-Encoding {encoding}: send gzip or none")
    try:
        content = bytes(body) if encoding == "identity" else _unpacked(bytes(body))
        return content.decode()
    except (UnicodeDecodeError, zlib.error) as error:
        raise _Unreadable("the body is not what its headers say, SQL in UTF-8") from error


def _unpacked(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    content = unpacking.decompress(body, LONGEST)
    if not unpacking.eof or unpacking.unused_data:
        raise _Unreadable(f"the SQL is not one whole gzip member of at most {LONGEST} bytes")
    return content


def _packed(request: Request, content: bytes) -> _Answer:
    headers = {"X-ClickHouse-Summary": "{}"}
    takes = request.headers.get("accept-encoding", "")
    if "gzip" in takes and len(content) > WORTH_PACKING:
        content = gzip.compress(content, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return _Answer(content, media_type="application/octet-stream", headers=headers)


def _error(status: int, code: int, reason: str) -> _Answer:
    """Say why not, as clients of ClickHouse read it."""
    text = reason if reason.startswith("Code: ") else f"Code: {code}. DB::Exception: {reason}"
    return _Answer(f"{text}\n", status, {"X-ClickHouse-Exception-Code": str(code)}, "text/plain")
