"""A loopback stand-in for the OpenAI API, which answers as the caller decides."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

CREATED = 1_790_000_000
"""Unix time of every answer: the same request is always answered the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider does with one request."""

    status: int = 200
    text: str = "Hello there."
    model: str = ""
    """As answered; "" repeats the model asked for."""
    service_tier: str = "default"
    input_tokens: int = 12
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    output_tokens: int = 5
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    finish_reason: str = "stop"
    delay_s: float = 0.0
    retry_after_ms: int | None = None


Body = Mapping[str, Any]
Answering = Callable[[str, Body], Answer]


def default_answer(_path: str, _body: Body) -> Answer:
    return Answer()


def fake_openai(answer: Answering = default_answer, admin: Sequence[Route] = ()) -> Starlette:
    """Build the app; `answer(path, body)` decides on each request, retries included."""
    numbers = itertools.count(1)

    def route(path: str, respond: Callable[[Exchange], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.json()
            decided = answer(path, body)
            await asyncio.sleep(decided.delay_s)
            exchange = Exchange(body, decided, next(numbers))
            response = respond(exchange) if decided.status < 400 else _refusal(decided)
            response.headers.update(_headers(exchange))
            return response

        return Route(path, endpoint, methods=["POST"])

    return Starlette(
        routes=[
            route("/v1/chat/completions", _chat),
            route("/v1/responses", _response),
            route("/v1/embeddings", _embeddings),
            *admin,
        ]
    )


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI app on a free loopback port in a thread; gives its URL without a slash."""
    # With the protocol spelled out asyncio sends without Nagle's delay.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        # Connections wait in the listening socket's queue until the server takes them.
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass(frozen=True, slots=True)
class Exchange:
    body: Body
    answer: Answer
    number: int

    @property
    def model(self) -> str:
        return self.answer.model or str(self.body.get("model", ""))

    @property
    def pieces(self) -> list[str]:
        words = self.answer.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


def _headers(exchange: Exchange) -> dict[str, str]:
    headers = {
        "x-request-id": f"req_{exchange.number:08d}",
        "openai-organization": "org-demo",
        "openai-project": "proj_demo",
        "openai-processing-ms": "7",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": str(max(0, 10_000 - exchange.number)),
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
    }
    if exchange.answer.retry_after_ms is not None:
        headers["retry-after-ms"] = str(exchange.answer.retry_after_ms)
    return headers


def _refusal(answer: Answer) -> Response:
    kind = "rate_limit_exceeded" if answer.status == 429 else "invalid_request_error"
    error = {"message": "refused by the fake", "type": kind, "param": None, "code": kind}
    return JSONResponse({"error": error}, status_code=answer.status)


def _chat(exchange: Exchange) -> Response:
    if exchange.body.get("stream"):
        return StreamingResponse(_chat_events(exchange), media_type="text/event-stream")
    message = {"role": "assistant", "content": exchange.answer.text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": exchange.answer.finish_reason,
    }
    head = _chat_head(exchange, "chat.completion")
    return JSONResponse({**head, "choices": [choice], "usage": _chat_usage(exchange.answer)})


def _chat_head(exchange: Exchange, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{exchange.number:08d}",
        "object": kind,
        "created": CREATED,
        "model": exchange.model,
        "service_tier": exchange.answer.service_tier,
        "system_fingerprint": "fp_demo",
    }


async def _chat_events(exchange: Exchange) -> AsyncIterator[bytes]:
    """Send the chunks as OpenAI does: usage is null on each and comes in one more at the end."""
    counted = (exchange.body.get("stream_options") or {}).get("include_usage", False)
    head = _chat_head(exchange, "chat.completion.chunk")
    usage = {"usage": None} if counted else {}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**head, "choices": [choice], **usage})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in exchange.pieces:
        yield chunk({"content": piece})
    yield chunk({}, exchange.answer.finish_reason)
    if counted:
        yield _event({**head, "choices": [], "usage": _chat_usage(exchange.answer)})
    yield b"data: [DONE]\n\n"


def _event(data: Mapping[str, Any], name: str = "") -> bytes:
    text = json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _chat_usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.cache_write_tokens,
            "audio_tokens": answer.audio_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": answer.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _response(exchange: Exchange) -> Response:
    if exchange.body.get("stream"):
        return StreamingResponse(_response_events(exchange), media_type="text/event-stream")
    return JSONResponse(_response_body(exchange, "completed"))


def _response_body(exchange: Exchange, status: str) -> dict[str, Any]:
    answer, done = exchange.answer, status == "completed"
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.cache_write_tokens,
        },
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    return {
        "id": f"resp_{exchange.number:08d}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": exchange.body.get("max_output_tokens"),
        "model": exchange.model,
        "output": [_output(exchange)] if done else [],
        "parallel_tool_calls": True,
        "service_tier": answer.service_tier if done else "auto",
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
        "metadata": {},
    }


def _output(exchange: Exchange) -> dict[str, Any]:
    text = {"type": "output_text", "text": exchange.answer.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{exchange.number:08d}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [text],
    }


async def _response_events(exchange: Exchange) -> AsyncIterator[bytes]:
    place = {"item_id": f"msg_{exchange.number:08d}", "output_index": 0, "content_index": 0}
    begun = {"response": _response_body(exchange, "in_progress")}
    deltas = [{**place, "delta": piece, "logprobs": []} for piece in exchange.pieces]
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", begun),
        ("response.in_progress", begun),
        *(("response.output_text.delta", delta) for delta in deltas),
        ("response.output_text.done", {**place, "text": exchange.answer.text, "logprobs": []}),
        ("response.completed", {"response": _response_body(exchange, "completed")}),
    ]
    for number, (name, data) in enumerate(events):
        yield _event({"type": name, "sequence_number": number, **data}, name)


def _embeddings(exchange: Exchange) -> Response:
    asked = exchange.body.get("input")
    vector = [round(0.001 * index, 3) for index in range(exchange.body.get("dimensions") or 8)]
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index in range(len(asked) if isinstance(asked, list) else 1)
    ]
    tokens = exchange.answer.input_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": exchange.model, "usage": usage})
