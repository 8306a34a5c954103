"""A loopback OpenAI of the standard library alone, so that each environment can run it.

The first segment of the path names a script of statuses: `/429,200/v1/chat/completions` refuses
the first request and answers the second; `/cut/...` breaks a stream off with an error event,
`/hold/...` stops in its middle until the client is gone.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SENTINEL = "the-secret-of-the-app"
MODEL = "gpt-5-2025-08-07"
INPUT, CACHED, OUTPUT, REASONING = 1000, 400, 50, 30
TIER = "priority"
SLOW_S = 1.0
HOLD_S = 5.0

CHAT_USAGE = {
    "prompt_tokens": INPUT,
    "completion_tokens": OUTPUT,
    "total_tokens": INPUT + OUTPUT,
    "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": REASONING, "audio_tokens": 0},
}
RESPONSE_USAGE = {
    "input_tokens": INPUT,
    "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
    "output_tokens": OUTPUT,
    "output_tokens_details": {"reasoning_tokens": REASONING},
    "total_tokens": INPUT + OUTPUT,
}
PAIR_USAGE = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
TEXT = '{"city": "Oslo"}'
CALL = {"name": "weather", "arguments": TEXT}


class Fake(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        """Path and digest of the body of each request since the list was last cleared."""
        self.number = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def serving() -> Iterator[Fake]:
    fake = Fake()
    threading.Thread(target=fake.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        fake.shutdown()
        fake.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Fake

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        is_json = self.headers["content-type"].startswith("application/json")
        fake, (_, script, _, endpoint) = self.server, self.path.split("/", 3)
        endpoint = endpoint.partition("?")[0]
        # A multipart body has a random boundary.
        digest = hashlib.sha256(content).hexdigest() if is_json else ""
        step = len(fake.requests)
        fake.requests.append(f"{endpoint} {digest}")
        fake.number += 1
        body = json.loads(content) if is_json else {}
        if script == "slow":
            time.sleep(SLOW_S)
        statuses = [int(one) for one in script.split(",") if one.isdecimal()] or [200]
        with contextlib.suppress(ConnectionError):
            self._answer(statuses[min(step, len(statuses) - 1)], endpoint, body, script)

    def do_GET(self) -> None:
        """Give a response that was asked for before; by now it is completed."""
        _, _, _, endpoint = self.path.split("/", 3)
        self.server.requests.append(endpoint)
        number = endpoint.rpartition("_")[2]
        self._send(200, json.dumps(response_body({}, number, done=True)).encode())

    def _answer(self, status: int, endpoint: str, body: dict[str, Any], script: str) -> None:
        number = f"{self.server.number:08d}"
        if status >= 400:
            error = {"message": "refused", "type": "error", "param": None, "code": "error"}
            self._send(status, json.dumps({"error": error}).encode())
        elif endpoint == "audio/speech":
            self._send(200, b"\xff\xfb" * 500, "audio/mpeg")
        elif body.get("stream"):
            chat = endpoint.endswith("chat/completions")
            events = chat_events(body, number) if chat else response_events(body, number)
            if script == "cut":
                events = [*events[:2], {"error": {"message": "overloaded", "type": "error"}}]
            content = _stream(events, done=chat and script != "cut")
            self._send(200, content, "text/event-stream", hold=script == "hold")
        else:
            self._send(200, json.dumps(_answer_of(endpoint, body, number)).encode())

    def _send(
        self, status: int, content: bytes, kind: str = "application/json", *, hold: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.send_header("x-request-id", f"req_{self.server.number:08d}")
        if status == 429:
            self.send_header("retry-after-ms", "1")
        self.end_headers()
        if hold:
            self.wfile.write(content[: len(content) // 2])
            select.select([self.connection], [], [], HOLD_S)
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _answer_of(endpoint: str, body: dict[str, Any], number: str) -> dict[str, Any]:
    if endpoint.endswith("chat/completions"):
        return chat_answer(body, number)
    answers: dict[str, dict[str, Any]] = {
        "responses": response_body(body, number, done=not body.get("background")),
        "completions": {
            "id": f"cmpl-{number}",
            "object": "text_completion",
            "created": 1,
            "model": MODEL,
            "choices": [{"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}],
            "usage": CHAT_USAGE,
        },
        "embeddings": {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": _vector(body)}],
            "usage": {"prompt_tokens": INPUT, "total_tokens": INPUT},
        },
        "images/generations": {
            "created": 1,
            "data": [{"b64_json": "aGk="}],
            "usage": {
                **PAIR_USAGE,
                "input_tokens_details": {"text_tokens": INPUT, "image_tokens": 0},
            },
        },
        "audio/transcriptions": {
            "text": "hi",
            "usage": {
                "type": "tokens",
                **PAIR_USAGE,
                "input_token_details": {"audio_tokens": INPUT, "text_tokens": 0},
            },
        },
    }
    return answers[endpoint]


def _vector(body: dict[str, Any]) -> Any:
    if body.get("encoding_format") == "base64":
        return base64.b64encode(bytes(32)).decode()
    return [0.0] * 8


def _head(number: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number}",
        "object": kind,
        "created": 1,
        "model": MODEL,
        "service_tier": TIER,
    }


def chat_answer(body: dict[str, Any], number: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None}
    if body.get("tools"):
        tool = {"id": "call_1", "type": "function", "function": CALL}
        message = {"role": "assistant", "content": None, "tool_calls": [tool]}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": "stop"}
        for index in range(body.get("n") or 1)
    ]
    return {**_head(number, "chat.completion"), "choices": choices, "usage": CHAT_USAGE}


def chat_events(body: dict[str, Any], number: str) -> list[dict[str, Any]]:
    head = _head(number, "chat.completion.chunk")
    counted = (body.get("stream_options") or {}).get("include_usage")
    if counted:
        head["usage"] = None
    pieces: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if body.get("tools"):
        tool = {"index": 0, "id": "call_1", "type": "function", "function": CALL}
        pieces.append({"tool_calls": [tool]})
    else:
        pieces += [{"content": piece} for piece in ('{"city": ', '"Oslo"', "}")]
    choices = [{"index": 0, "delta": piece, "finish_reason": None} for piece in pieces]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [{**head, "choices": [choice]} for choice in choices]
    return [*events, {**head, "choices": [], "usage": CHAT_USAGE}] if counted else events


def response_body(body: dict[str, Any], number: str, *, done: bool) -> dict[str, Any]:
    text = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{number}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [text],
    }
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "status": "completed" if done else "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": MODEL,
        "output": [message] if done else [],
        "parallel_tool_calls": True,
        "service_tier": TIER if done else "auto",
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "usage": RESPONSE_USAGE if done else None,
        "metadata": body.get("metadata") or {},
    }


def response_events(body: dict[str, Any], number: str) -> list[dict[str, Any]]:
    place = {"item_id": f"msg_{number}", "output_index": 0, "content_index": 0}
    begun = response_body(body, number, done=False)
    finished = response_body(body, number, done=True)
    item = {**finished["output"][0], "content": []}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": empty},
        {"type": "response.output_text.delta", **place, "delta": TEXT, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": TEXT, "logprobs": []},
        {"type": "response.completed", "response": finished},
    ]
    return [{**event, "sequence_number": index} for index, event in enumerate(events)]


def _stream(events: list[dict[str, Any]], *, done: bool) -> bytes:
    lines = [f"data: {json.dumps(event, separators=(',', ':'))}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()
