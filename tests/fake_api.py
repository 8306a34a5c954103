"""A loopback API that answers by script and keeps every request's bytes as they came."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

HEADERS = {
    "x-request-id": "req_00000001",
    "openai-organization": "org-demo",
    "openai-project": "proj_demo",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999000",
    "connection": "close",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    body: bytes = b""
    media: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection breaks before the body is whole."""
    silent: bool = False
    """What follows the body never comes, as long as the client waits; without one, nothing."""


def json_reply(body: object, **reply: Any) -> Reply:
    return Reply(body=json.dumps(body).encode(), **reply)


def events_reply(*events: dict[str, Any], named: str = "", **reply: Any) -> Reply:
    """Stream events; `named` is the key that names them. A stream that breaks has no end."""
    lines = []
    for event in events:
        event = dict(event)
        name = event.pop("event", event.get(named) if named else None)
        data = event.pop("data", event)
        lines.append((f"event: {name}\n" if name else "") + f"data: {compact(data)}\n\n")
    end = "" if reply else "data: [DONE]\n\n"
    return Reply(body="".join([*lines, end]).encode(), media="text/event-stream", **reply)


def compact(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))


class FakeApi:
    def __init__(self) -> None:
        self.script: list[Reply] = []
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        # Closing a socket does not wake the thread that waits on it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            request = received(connection)
            if not request:
                return
            self.requests.append(request)
            reply = self.script.pop(0)
            if reply.body or not reply.silent:
                connection.sendall(written(reply))
            if reply.silent:
                connection.recv(1)


def received(connection: socket.socket) -> bytes:
    """Read one request, its body by its length."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (part := connection.recv(65_536)):
            return b""
        request += part
    head, _, body = request.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65_536)
        return head + b"\r\n\r\n" + body
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")),
        0,
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def written(reply: Reply) -> bytes:
    headers = {**HEADERS, "content-type": reply.media, **reply.headers}
    headers["content-length"] = str(len(reply.body) + (100 if reply.cut or reply.silent else 0))
    lines = [f"HTTP/1.1 {reply.status} Said", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body


@contextlib.contextmanager
def fake_api() -> Iterator[FakeApi]:
    api = FakeApi()
    api.start()
    yield api
    api.stop()
