"""What the meter costs the app: CPU added to a plain call, to a streamed chunk, to the start.

Run with `python benchmarks/instrumentation.py`. Bare and metered rounds alternate in one process
on an in-process transport, so that noise meets both alike; medians of rounds are printed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import INVALID_SPAN, NoOpTracerProvider

import taximeter
from taximeter.answer import Answer
from taximeter.attribution import Attribution
from taximeter.call import Call
from taximeter.courier import Plan
from taximeter.delivery import Delivery
from taximeter.sender import Taken
from taximeter.settings import Settings
from taximeter.spans import OwnTracer
from taximeter.stop import Stops

ROUNDS = 41
CALLS = 60
STREAMS = 4
CHUNKS = 500
STARTS = 9

HEADERS = {
    "x-request-id": "req_0123456789abcdef",
    "openai-organization": "org-bench",
    "openai-project": "proj_bench",
    "openai-processing-ms": "312",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-tokens": "1999000",
}
USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 350,
    "total_tokens": 470,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 128, "audio_tokens": 0},
}
ASKING = {"stream_options": {"include_usage": True}}
HEAD = {"id": "chatcmpl-bench", "created": 1, "model": "gpt-5", "service_tier": "default"}


class Discarded(SpanExporter):
    """Encoding and sending happen in the exporter's thread, the same for every instrumentation."""

    def export(self, _spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class OwnProvider(NoOpTracerProvider):
    """What `instrument()` uses when it is given no provider, with nobody at the other end."""

    def __init__(self) -> None:
        plan = Plan(
            post=lambda _body: Taken(),
            address="",
            delay_s=3600,
            queue_size=1_000_000,
            batch_size=100_000,
        )
        self.tracer = OwnTracer(Delivery(plan), Resource.create())

    def get_tracer(self, *_: object) -> Any:
        return self.tracer


def main() -> None:
    given = TracerProvider()
    given.add_span_processor(discarding())
    client = openai.OpenAI(
        api_key="bench", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )

    def call() -> None:
        plain(client)

    def stream() -> None:
        streamed(client, ASKING)

    def unasked_stream() -> None:
        streamed(client, {})

    for name, provider in (("our own spans", OwnProvider()), ("a given SDK provider", given)):
        bare_call, added_call = compared(call, CALLS, provider)
        bare_chunk, added_chunk = compared(stream, STREAMS * CHUNKS, provider)
        bare_unasked, added_unasked = compared(unasked_stream, STREAMS * CHUNKS, provider)
        print(name)
        print(f"  plain call, 2 KB body   bare {bare_call:6.1f} us  added {added_call:6.1f} us")
        print(f"  chunk of a long stream  bare {bare_chunk:6.1f} us  added {added_chunk:6.2f} us")
        print(
            f"  its usage hidden       bare {bare_unasked:6.1f} us  added {added_unasked:6.2f} us"
        )
    print(f"one budget's stop asked    {judging_us():.2f} us")
    print(f"import + instrument()      added {added_start_ms():.0f} CPU-ms over `import openai`")


def judging_us() -> float:
    """Give the CPU microseconds in which a call learns that a budget lets it pass."""
    rule = {
        "budget": "Search",
        "scope": {"taximeter.feature": ["search"]},
        "not": {},
        "each": "",
        "limit": "10",
        "stops_at": "1e12",
        "spent": {"": "1"},
        "usd_a_call": "0.01",
        "resets_at": "",
        "action": "block",
        "model": "",
        "when_unsure": "allow",
    }
    stops = Stops(lambda _etag: ([rule], "etag"))
    stops.poll()
    with taximeter.tag(feature="search", user="ada"):
        attribution = Attribution(Settings(), {}, INVALID_SPAN)
    call = Call(None, Answer("chat.completions", {}), attribution, {}, None)
    stops.judge(call.tag)
    rounds = [cpu_us(lambda: [stops.judge(call.tag) for _ in range(CHUNKS)]) for _ in range(ROUNDS)]
    stops.close()
    return statistics.median(rounds) / CHUNKS


def discarding() -> BatchSpanProcessor:
    return BatchSpanProcessor(Discarded(), max_queue_size=100_000)


def compared(
    work: Callable[[], None], units: int, provider: trace.TracerProvider
) -> tuple[float, float]:
    """Give CPU microseconds a unit: bare, and added by the meter (median of paired rounds)."""
    work()
    bare, added = [], []
    for _ in range(ROUNDS):
        without = cpu_us(work) / units
        taximeter.instrument(provider)
        work()
        metered = cpu_us(work) / units
        taximeter.uninstrument()
        bare.append(without)
        added.append(metered - without)
    return statistics.median(bare), statistics.median(added)


def cpu_us(work: Callable[[], None]) -> float:
    started = time.thread_time()
    work()
    return (time.thread_time() - started) * 1e6


def plain(client: openai.OpenAI) -> None:
    for _ in range(CALLS):
        client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "bench"}]
        )


def streamed(client: openai.OpenAI, asking: dict[str, Any]) -> None:
    for _ in range(STREAMS):
        stream = client.chat.completions.create(
            model="gpt-5",
            messages=[{"role": "user", "content": "bench"}],
            stream=True,
            **asking,
        )
        for _chunk in stream:
            pass


def answer(request: httpx2.Request) -> httpx2.Response:
    if b'"stream":true' in request.content:
        headers = {**HEADERS, "content-type": "text/event-stream"}
        events = EVENTS if b'"include_usage":true' in request.content else UNASKED
        return httpx2.Response(200, headers=headers, stream=Chunks(events))
    return httpx2.Response(
        200, headers={**HEADERS, "content-type": "application/json"}, content=BODY
    )


class Chunks(httpx2.SyncByteStream):
    def __init__(self, events: list[bytes]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._events)


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def last_event() -> bytes:
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


EVENTS = [
    *(event({"content": "word "}) for _ in range(CHUNKS - 2)),
    event({}, "stop"),
    last_event(),
    b"data: [DONE]\n\n",
]
UNASKED = [event.replace(b',"usage":null', b"") for event in EVENTS if b'"choices":[]' not in event]
MESSAGE = {"role": "assistant", "content": "word " * 280, "refusal": None}
BODY = json.dumps(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()


def added_start_ms() -> float:
    """Measure fresh interpreters in turn: `import openai` with and without the meter."""
    metered = "import taximeter; taximeter.instrument(); import openai"
    pairs = [(start_ms("import openai"), start_ms(metered)) for _ in range(STARTS)]
    return statistics.median(with_ - without for without, with_ in pairs)


def start_ms(code: str) -> float:
    timed = f"import time; {code}; print(time.process_time() * 1000)"
    done = subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
