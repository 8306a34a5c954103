"""Spans in: CPU seconds a million, from the socket to the rolled-up sums; loopback only, bounded.

Three quarters of the spans are calls with about 20 attributes, the others a web framework's.
The senders are in this process and their CPU is not counted.
"""

from __future__ import annotations

import gzip
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from service import HTTP, calls, cpu_s, post, rss_mb, service

SPANS = int(os.environ.get("SPANS", "200000"))
SCOPE = os.environ.get("SCOPE", "taximeter")
"""Whose instrumentation it is."""
A_REQUEST = 1_000
SENDERS = 4
PACE = 20_000
"""Spans a second."""
TRICKLE_S = 30
MODELS = ("gpt-5-2025-08-07", "gpt-4o-2024-08-06", "gpt-5-mini-2025-08-07", "o4-mini-2025-04-16")
DICE = random.Random(7)


def main() -> None:
    bodies = [body() for _ in range(SPANS // A_REQUEST)]
    size = sum(map(len, bodies)) / SPANS
    print(f"{SPANS:,} spans in requests of {A_REQUEST}, {size:.0f} bytes each when packed")
    with tempfile.TemporaryDirectory() as folder, service(folder, "new store") as (pid, page, otlp):
        before, began = cpu_s(pid), time.perf_counter()
        with ThreadPoolExecutor(SENDERS) as senders:
            waits = list(senders.map(lambda one: timed(otlp, one), bodies))
        acknowledged = time.perf_counter() - began
        wanted = SPANS * 3 // 4
        while list(Path(folder).glob("journal/*")):
            time.sleep(0.05)
        assert calls(page) == wanted
        took, used = time.perf_counter() - began, cpu_s(pid) - before
        print(f"acknowledged {SPANS / acknowledged:12,.0f} spans/s, {SPANS / took:,.0f} stored")
        print(f"CPU          {used / SPANS * 1e6:12.1f} CPU-s per million spans")
        ordered = sorted(waits)
        p99 = ordered[len(ordered) * 99 // 100]
        print(f"a POST       {statistics.median(waits):12.1f} ms p50, {p99:.0f} ms p99")
        print(f"memory       {rss_mb(pid):12d} MB")
        store = sum(f.stat().st_size for f in Path(folder).rglob("*") if "/store/" in str(f))
        print(f"store        {store / wanted:12.1f} bytes a call, rollups and parts not yet merged")
        paced("nobody reads", otlp, bodies[: len(bodies) // 2])
        with reading(page):
            paced("heavy pages are read", otlp, bodies[len(bodies) // 2 :])
    for calls_s in (3, 35, 350):
        with tempfile.TemporaryDirectory() as folder, service(folder, "a small load") as server:
            trickled(calls_s, *server)


def trickled(calls_s: int, pid: int, _page: str, otlp: str) -> None:
    """Send so few calls a second, in up to ten requests, and print what the service takes."""
    requests_s = min(10, calls_s)
    bodies = [body(calls_s // requests_s) for _ in range(TRICKLE_S * requests_s)]
    before, began = cpu_s(pid), time.perf_counter()
    for number, one in enumerate(bodies):
        time.sleep(max(0.0, began + number / requests_s - time.perf_counter()))
        post(otlp, one)
    used = (cpu_s(pid) - before) / (time.perf_counter() - began)
    print(f"at {calls_s} calls/s {used:.2f} of a core")


def paced(what: str, otlp: str, bodies: list[bytes]) -> None:
    """Send at an even pace and print how long answers took, from when they were due."""
    fresh = [again(one) for one in bodies]
    began = time.perf_counter()

    def when_due(numbered: tuple[int, bytes]) -> float:
        number, one = numbered
        due = began + number * A_REQUEST / PACE
        time.sleep(max(0.0, due - time.perf_counter()))
        post(otlp, one)
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(2 * SENDERS) as senders:
        waits = sorted(senders.map(when_due, enumerate(fresh)))
    p99 = waits[len(waits) * 99 // 100]
    print(
        f"at {PACE:,} spans/s, {what:22} {statistics.median(waits):6.1f} ms p50, {p99:.0f} ms p99"
    )


@contextmanager
def reading(page: str) -> Iterator[None]:
    """Ask for a year by user and by hour, again and again, beside what goes on."""
    ended = threading.Event()

    def ask(by: str) -> None:
        while not ended.is_set():
            year = {"from": "2026-01-01", "group_by": by}
            assert HTTP.request("GET", f"{page}/api/spend", fields=year).status == 200

    readers = [threading.Thread(target=ask, args=(by,)) for by in ("user", "hour,feature")]
    for one in readers:
        one.start()
    try:
        yield
    finally:
        ended.set()
        for one in readers:
            one.join()


def again(one: bytes) -> bytes:
    """Return the same spans as other calls."""
    return gzip.compress(with_ids(one, iter(lambda: DICE.randbytes(12).hex(), "")), 1)


def with_ids(one: bytes, ids: Iterator[str]) -> bytes:
    """Return the same spans with other ids, unpacked."""
    message = ExportTraceServiceRequest.FromString(gzip.decompress(one))
    for made in message.resource_spans[0].scope_spans[0].spans:
        made.span_id = DICE.randbytes(8)
        for pair in made.attributes:
            if pair.key == "gen_ai.response.id":
                pair.value.string_value = f"chatcmpl-{next(ids)}"
    return message.SerializeToString()


def timed(otlp: str, one: bytes) -> float:
    began = time.perf_counter()
    post(otlp, one)
    return (time.perf_counter() - began) * 1000


def body(calls: int = 0) -> bytes:
    """Return a request of so many calls; without a number a full one, a quarter of it no calls."""
    message = ExportTraceServiceRequest()
    of_resource = message.resource_spans.add()
    of_resource.resource.attributes.append(attribute("service.name", "webapp"))
    spans = of_resource.scope_spans.add()
    spans.scope.name = SCOPE
    spans.spans.extend(
        call() if calls or number % 4 else route() for number in range(calls or A_REQUEST)
    )
    return gzip.compress(message.SerializeToString(), 1)


def call() -> Span:
    model, tokens = DICE.choice(MODELS), DICE.randrange(100, 5_000)
    return span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model.rpartition("-20")[0],
            "gen_ai.response.model": model,
            "gen_ai.response.id": f"chatcmpl-{DICE.randbytes(12).hex()}",
            "gen_ai.response.finish_reasons": ["stop"],
            "taximeter.attempt.statuses": [200],
            "taximeter.attempt.waits": [0.0],
            "openai.api.type": "chat.completions",
            "openai.response.service_tier": "default",
            "server.address": "api.openai.com",
            "http.response.status_code": 200,
            "taximeter.feature": f"feature-{DICE.randrange(12)}",
            "taximeter.team": f"team-{DICE.randrange(4)}",
            "taximeter.api_key": "wxyz",
            "taximeter.attempts": 1,
            "taximeter.request.id": f"req_{DICE.randbytes(16).hex()}",
            "taximeter.usage.source": "reported",
            "user.id": f"user-{DICE.randrange(5_000)}",
            "gen_ai.usage.input_tokens": tokens,
            "gen_ai.usage.cache_read.input_tokens": tokens // 3,
            "gen_ai.usage.output_tokens": DICE.randrange(1_000),
        }
    )


def route() -> Span:
    return span(
        {f"http.attribute_{number}": f"value-{DICE.randrange(100)}" for number in range(12)}
    )


def span(attributes: dict[str, Any]) -> Span:
    start = time.time_ns() - DICE.randrange(1_200) * 10**9
    return Span(
        trace_id=DICE.randbytes(16),
        span_id=DICE.randbytes(8),
        parent_span_id=DICE.randbytes(8),
        name="chat",
        start_time_unix_nano=start,
        end_time_unix_nano=start + DICE.randrange(10**10),
        attributes=[attribute(name, value) for name, value in attributes.items()],
    )


def attribute(name: str, value: Any) -> KeyValue:
    return KeyValue(key=name, value=any_value(value))


def any_value(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return AnyValue(**{kinds[type(value)]: value})


if __name__ == "__main__":
    sys.exit(main())
