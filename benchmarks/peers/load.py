"""The work that is timed: a plain call of 2 KB and a stream of 500 chunks, in process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
from fake import CHAT_USAGE, MODEL, SENTINEL

try:
    import httpx2 as http
except ImportError:  # openai 2
    import httpx as http

CALLS = 40
STREAMS = 2
CHUNKS = 500

MESSAGES: Any = [{"role": "user", "content": SENTINEL}]
HEADERS = {
    "x-request-id": "req_0123456789abcdef",
    "openai-organization": "org-bench",
    "openai-project": "proj_bench",
    "openai-processing-ms": "312",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999000",
}
HEAD = {"id": "chatcmpl-bench", "created": 1, "model": MODEL, "service_tier": "default"}


def client() -> openai.OpenAI:
    transport = http.MockTransport(answer)
    return openai.OpenAI(api_key="bench", http_client=http.Client(transport=transport))


def calls(client: openai.OpenAI) -> None:
    for _ in range(CALLS):
        client.chat.completions.create(model="gpt-5", messages=MESSAGES)


def streams(client: openai.OpenAI) -> None:
    for _ in range(STREAMS):
        for _chunk in client.chat.completions.create(
            model="gpt-5", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ):
            pass


def discarding() -> Any:
    """Give a processor whose exporter does nothing: encoding and sending are the same for all."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Discarded(SpanExporter):
        def export(self, _spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    return BatchSpanProcessor(Discarded(), max_queue_size=100_000)


def answer(request: Any) -> Any:
    if b'"stream":true' in request.content:
        headers = {**HEADERS, "content-type": "text/event-stream"}
        return http.Response(200, headers=headers, stream=Chunks())
    headers = {**HEADERS, "content-type": "application/json"}
    return http.Response(200, headers=headers, content=BODY)


class Chunks(http.SyncByteStream):  # type: ignore[misc]
    def __iter__(self) -> Iterator[bytes]:
        return iter(EVENTS)


def _event(choices: list[Any], usage: Any = None) -> bytes:
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


EVENTS = [
    *[_event([_choice({"content": "word "})])] * (CHUNKS - 2),
    _event([_choice({}, "stop")]),
    _event([], CHAT_USAGE),
    b"data: [DONE]\n\n",
]
MESSAGE = {"role": "assistant", "content": "word " * 280, "refusal": None}
BODY = json.dumps(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": CHAT_USAGE,
    }
).encode()
