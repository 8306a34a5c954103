"""A ClickHouse server as far as clickhouse-connect can tell: HTTP in front of the embedded engine.

Run as `python clickhouse_server.py PATH PORT [CONFIG]`; one process holds one engine. It has no
Keeper and no other server: what is to be done on a cluster is done here, and what is to be
replicated is not.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any

import lz4.frame
import uvicorn
from chdb import connect
from chdb.state import sqlitelike
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# `chdb` itself may have another of that name.
ERROR: type[Exception] = sqlitelike.ChdbError  # type: ignore[attr-defined]
CONNECT: Callable[[str], Any] = connect  # chdb has no type hints

ON_CLUSTER = re.compile(r"\bON CLUSTER '\w+'")
REPLICATED = re.compile(r"\bENGINE = Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, (\w+))?\)")
NOT_SETTINGS = {
    "query",
    "database",
    "query_id",
    "session_id",
    "default_format",
    "client_protocol_version",
    "compress",
    "decompress",
    "enable_http_compression",
    "wait_end_of_query",
    "buffer_size",
    "role",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
}


class Engine:
    """Answers one query at a time, each with its own settings."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._keeper: Any = CONNECT(path)
        self._lock = threading.Lock()

    def answer(self, parameters: dict[str, str], body: bytes) -> bytes:
        bound = {
            name.removeprefix("param_"): value
            for name, value in parameters.items()
            if name.startswith("param_")
        }
        with self._lock:
            connection = CONNECT(self._path)
            try:
                self._set_up(connection, parameters)
                query = parameters.get("query", "")
                if query.startswith("INSERT INTO"):
                    return self._insert(connection, query, body)
                if body.startswith(b"INSERT INTO"):
                    head, _, block = body.partition(b"\n")
                    return self._insert(connection, head.decode(), block)
                statement = "\n".join(filter(None, (query, body.decode())))
                statement = alone(statement)
                answer = connection.query(statement, "TabSeparated", params=bound)
                return bytes(answer.bytes() or b"")
            finally:
                connection.close()

    def _set_up(self, connection: Any, parameters: dict[str, str]) -> None:
        if database := parameters.get("database"):
            connection.query(f"use {database}", "TabSeparated")
        for name, value in parameters.items():
            if name not in NOT_SETTINGS and not name.startswith("param_"):
                connection.query(f"set {name} = '{value}'", "TabSeparated")

    def _insert(self, connection: Any, statement: str, block: bytes) -> bytes:
        head, _, form = statement.rpartition("FORMAT")
        with tempfile.NamedTemporaryFile(suffix=".block") as file:
            file.write(block)
            file.flush()
            connection.query(f"{head} from infile '{file.name}' format {form}", "TabSeparated")
        return b""


def alone(statement: str) -> str:
    """Return a statement for a cluster as one server without a Keeper can do it."""
    statement = ON_CLUSTER.sub("", statement)
    statement = REPLICATED.sub(lambda engine: f"ENGINE = {engine[1]}({engine[2] or ''})", statement)
    return statement.replace(" replicated_", " non_replicated_")


def fields(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form: where the client puts what is too long for an address."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts: list[Any] = [part for part in form.walk() if not part.is_multipart()]
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in parts
    }


def server(engine: Engine) -> Starlette:
    async def answer(request: Request) -> Response:
        body = await request.body()
        encoding = request.headers.get("content-encoding", "")
        if encoding == "gzip":
            body = zlib.decompress(body, 16 + zlib.MAX_WBITS)
        elif encoding == "zstd":
            body = zstd.decompress(body)
        elif encoding == "lz4":
            body = lz4.frame.decompress(body)
        parameters = dict(request.query_params)
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            parameters |= fields(content_type, body)
            body = b""
        try:
            content = await run_in_threadpool(engine.answer, parameters, body)
        except ERROR as error:
            return Response(str(error), 500, {"X-ClickHouse-Exception-Code": "1"})
        return Response(
            content, headers={"X-ClickHouse-Summary": "{}", "X-ClickHouse-Format": "Native"}
        )

    return Starlette(
        routes=[
            Route("/ping", lambda _request: Response("Ok.\n")),
            Route("/", answer, methods=["GET", "POST"]),
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    config = f"?config-file={sys.argv[3]}" if len(sys.argv) > 3 else ""
    uvicorn.run(server(Engine(sys.argv[1] + config)), port=int(sys.argv[2]), log_level="warning")
