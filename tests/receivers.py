"""Loopback stand-ins for those whom alerts are sent to: well behaved, or not."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from taximeter_api.demo.processes import free_port


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a request is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Instead of the receiver's own."""
    accepts: bool | None = None
    """Whether the message counts as arrived; unset: when the status says so."""
    cut: bool = False
    """Close the connection without an answer."""
    wait_s: float = 0.0

    @property
    def arrives(self) -> bool:
        return self.status < 300 if self.accepts is None else self.accepts


@dataclass(frozen=True)
class Posted:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Keeps what arrived; answers as told, in order, then well."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked = 0
        self.arrived: list[Posted] = []
        self.url = ""

    def next_answer(self, _posted: Posted) -> Answer:
        return self.answers.pop(0) if self.answers else Answer()

    def take(self, posted: Posted) -> bytes:
        """Keep a message that arrived; return what is answered."""
        self.arrived.append(posted)
        return b"ok"


class SlackApi(Receiver):
    """Slack's web API: messages with metadata, in one channel and its threads."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self._numbers = count(1)

    def take(self, posted: Posted) -> bytes:
        super().take(posted)
        method = urlsplit(posted.path).path.rsplit("/", 1)[1]
        said = posted.content
        told = getattr(self, method.replace(".", "_"))(said)
        return json.dumps({"ok": True} | told).encode()

    def chat_postMessage(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 Slack's word
        message = said | {"ts": f"{1_800_000_000 + next(self._numbers)}.000100"}
        self.messages.append(message)
        return {"ts": message["ts"]}

    def chat_update(self, said: dict[str, Any]) -> dict[str, Any]:
        (message,) = [one for one in self.messages if one["ts"] == said["ts"]]
        message.update(said)
        return {"ts": message["ts"]}

    def conversations_history(self, said: dict[str, Any]) -> dict[str, Any]:
        return self._page([one for one in self.messages if "thread_ts" not in one], said)

    def conversations_replies(self, said: dict[str, Any]) -> dict[str, Any]:
        return self._page(
            [one for one in self.messages if said["ts"] in (one["ts"], one.get("thread_ts"))], said
        )

    def _page(self, messages: list[dict[str, Any]], said: dict[str, Any]) -> dict[str, Any]:
        newest = messages[::-1]
        begin = int(said.get("cursor", 0))
        end = begin + int(said["limit"])
        following = str(end) if end < len(newest) else ""
        return {"messages": newest[begin:end], "response_metadata": {"next_cursor": following}}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a sender that was killed leaves its connection broken."""


@contextmanager
def listening(receiver: Receiver) -> Iterator[Receiver]:
    """Serve a receiver on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died; nobody takes half a message
                self.close_connection = True
                return
            if "urlencoded" in self.headers.get("content-type", ""):
                body = json.dumps(dict(parse_qsl(body.decode()))).encode()
            posted = Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            receiver.asked += 1
            answer = receiver.next_answer(posted)
            time.sleep(answer.wait_s)
            told = receiver.take(posted) if answer.arrives else b"no"
            if answer.cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            content = told if answer.body is None else answer.body
            for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """A mail server: answers to DATA as told, in order, then takes the mail."""

    answers: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    port: int = 0

    async def handle_DATA(  # noqa: N802 the library's word
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("2") or answer == "cut":
            assert isinstance(envelope.content, bytes)
            self.mails.append(envelope.content)
            self.recipients.append(list(envelope.rcpt_tos))
        if answer == "cut" and server.transport is not None:
            server.transport.close()
        return answer


@contextmanager
def mail_server(mailbox: Mailbox | None = None) -> Iterator[Mailbox]:
    mailbox = mailbox or Mailbox()
    mailbox.port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
