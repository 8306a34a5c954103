"""Weeks of believable calls, as OTLP requests with past timestamps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from taximeter_api.imports.spans import attribute

DAYS: Final = 62
"""The month before this one is whole, and there are past forecasts to tell how far one errs."""
SPANS_A_REQUEST: Final = 500
WEEKEND: Final = 0.45
WORKING_HOURS: Final = [1, 1, 1, 1, 1, 1, 2, 4, 8, 10, 10, 9, 7, 9, 10, 10, 9, 7, 5, 4, 3, 3, 2, 1]
ERROR_SHARE: Final = 0.02
BROKEN_SHARE: Final = 0.2
"""Of the failed calls that were streamed: they broke off, and what had come is paid for."""
LOST_REQUEST: Final = 3
"""The app says with this request that it could not deliver some spans before."""
LOST_SPANS: Final = 40
PILOT_DAYS: Final = range(26, 29)
REQUESTS_A_MINUTE: Final = 500
RUNAWAY_SHARE: Final = 0.008
RUNAWAY: Final = 9
"""Some answers without a limit are so many times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How one feature of the sample company calls OpenAI."""

    feature: str
    team: str
    model: str
    calls_a_day: int
    input_tokens: int
    output_tokens: int
    cached_share: float = 0.0
    seconds: float = 3.0
    users: int = 40
    operation: str = "chat"
    nightly: bool = False
    surge: float = 1.0
    """Factor of the last five days."""
    limit: int | None = None
    """Of the output."""
    has_timeout: bool = False
    thinks: bool = False
    prompt: str = ""
    version: int = 1
    newer_for: int = 0
    """For how many days the version after it has been in use."""
    growth: float = 1.0
    """Of the input with the newer version."""


TRAFFIC: Final = [
    Traffic(feature="support-chat", team="support", model="gpt-4o", calls_a_day=140,
            input_tokens=4200, output_tokens=420, cached_share=0.35, seconds=5.5, users=60,
            limit=1024, has_timeout=True, prompt="support-answer", version=6, newer_for=12,
            growth=1.28),
    Traffic(feature="code-review-bot", team="platform", model="gpt-5", calls_a_day=22,
            input_tokens=21000, output_tokens=3600, cached_share=0.05, seconds=48, users=9,
            surge=3.4, thinks=True, prompt="review", version=3, newer_for=5, growth=1.05),
    Traffic(feature="nightly-reports", team="finance", model="o4-mini", calls_a_day=16,
            input_tokens=34000, output_tokens=5200, cached_share=0.08, seconds=31, users=1,
            nightly=True, limit=16000, thinks=True, prompt="report", version=2),
    Traffic(feature="contract-summary", team="legal", model="gpt-5.5", calls_a_day=7,
            input_tokens=38000, output_tokens=1500, seconds=27, users=6, limit=4000,
            has_timeout=True, thinks=True, prompt="summary", version=11),
    Traffic(feature="email-drafting", team="sales", model="gpt-5-mini", calls_a_day=60,
            input_tokens=5200, output_tokens=2400, cached_share=0.1, seconds=8.2, users=25,
            thinks=True, prompt="draft", version=4, newer_for=19, growth=0.9),
    Traffic(feature="ticket-triage", team="support", model="gpt-4o-mini", calls_a_day=150,
            input_tokens=9800, output_tokens=60, cached_share=0.4, seconds=0.4, users=60,
            prompt="triage", version=9),
    Traffic(feature="intent-routing", team="support", model="gpt-4o", calls_a_day=210,
            input_tokens=900, output_tokens=9, seconds=0.6, users=60, limit=16,
            has_timeout=True, prompt="route", version=2),
    Traffic(feature="invoice-extract", team="finance", model="gpt-4.1-mini", calls_a_day=35,
            input_tokens=7600, output_tokens=900, cached_share=0.03, seconds=4.4, users=4,
            limit=8000, has_timeout=True, prompt="extract", version=1),
    Traffic(feature="doc-search", team="support", model="text-embedding-3-small", calls_a_day=190,
            input_tokens=240, output_tokens=0, seconds=0.18, users=80, operation="embeddings"),
]  # fmt: skip
PILOT: Final = replace(TRAFFIC[0], model="gpt-6-pilot", calls_a_day=5)
"""A model whose price the book does not know, tried for a few days."""


def requests(now: datetime, days: int = DAYS) -> Iterator[tuple[bytes, int]]:
    """Yield OTLP bodies with their number of spans; the same for the same `now` and days."""
    chance = random.Random(f"taximeter {now:%Y-%m-%d}")  # noqa: S311 a sample is no secret
    calls = [
        _span(moment, _as_of(now - moment, traffic), chance)
        for moment, traffic in _calls(now, days, chance)
    ]
    for number, start in enumerate(range(0, len(calls), SPANS_A_REQUEST)):
        spans = calls[start : start + SPANS_A_REQUEST]
        yield _body(spans, lost=LOST_SPANS if number == LOST_REQUEST else 0), len(spans)


def too_old(now: datetime) -> bytes:
    """Return a request of calls that no retention takes."""
    chance = random.Random("taximeter")  # noqa: S311 a sample is no secret
    moment = now - timedelta(days=3650)
    return _body([_span(moment, traffic, chance) for traffic in TRAFFIC[:3]], lost=0)


def _calls(now: datetime, days: int, chance: random.Random) -> Iterator[tuple[datetime, Traffic]]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days_ago in range(days, -1, -1):
        day = midnight - timedelta(days=days_ago)
        for traffic in [*TRAFFIC, *([PILOT] if days_ago in PILOT_DAYS else [])]:
            for _ in range(_calls_on(day, days_ago, traffic, chance)):
                moment = day + timedelta(seconds=_second_of_day(traffic, chance))
                if moment < now - timedelta(minutes=5):
                    yield moment, traffic


def _as_of(age: timedelta, traffic: Traffic) -> Traffic:
    """Return the traffic with the prompt that was in use so long ago."""
    if age >= timedelta(days=traffic.newer_for):
        return traffic
    tokens = round(traffic.input_tokens * traffic.growth)
    return replace(traffic, version=traffic.version + 1, input_tokens=tokens)


def _calls_on(day: datetime, days_ago: int, traffic: Traffic, chance: random.Random) -> int:
    calls = traffic.calls_a_day * (1.15 - days_ago * 0.008) * chance.uniform(0.92, 1.08)
    if day.weekday() >= 5 and not traffic.nightly:
        calls *= WEEKEND
    if days_ago < 5:
        calls *= traffic.surge
    return round(calls)


def _second_of_day(traffic: Traffic, chance: random.Random) -> float:
    if traffic.nightly:
        return chance.uniform(2 * 3600, 3.5 * 3600)
    hour = chance.choices(range(24), WORKING_HOURS)[0]
    return hour * 3600 + chance.uniform(0, 3600)


def _span(moment: datetime, traffic: Traffic, chance: random.Random) -> Span:
    tokens = chance.lognormvariate(0, 0.35)
    seconds = traffic.seconds * chance.lognormvariate(0, 0.4)
    start = round(moment.timestamp() * 1e9)
    failed = chance.random() < ERROR_SHARE
    is_streamed = traffic.feature == "support-chat"
    broke_off = failed and is_streamed and chance.random() < BROKEN_SHARE
    attempts = 1 + (chance.random() < 0.03)
    user = min(int(chance.expovariate(5 / traffic.users)), traffic.users - 1)
    values: dict[str, str | int | float | bool] = {
        "gen_ai.operation.name": traffic.operation,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": traffic.model,
        "openai.api.type": "embeddings"
        if traffic.operation == "embeddings"
        else "chat.completions",
        "server.address": "api.openai.com",
        "taximeter.feature": traffic.feature,
        "taximeter.team": traffic.team,
        "taximeter.attempts": attempts,
        "taximeter.request.timeout_set": traffic.has_timeout,
        "taximeter.api_key": "demo",
        "taximeter.openai.project": "proj_demo",
    }
    if not traffic.nightly:
        values["user.id"] = f"u{user:04d}"
    if traffic.limit:
        values["gen_ai.request.max_tokens"] = traffic.limit
    if traffic.prompt:
        values["taximeter.prompt.name"] = traffic.prompt
        values["taximeter.prompt.version"] = f"v{traffic.version}"
    if chance.random() < 0.001:
        values["taximeter.tags.altered"] = 1
    if failed and not broke_off:
        status = chance.choice([429, 429, 500, 400])
        error = {429: "RateLimitError", 500: "InternalServerError", 400: "BadRequestError"}[status]
        values |= {"http.response.status_code": status, "error.type": error}
        values["taximeter.attempts"] = 1 if status == 400 else 3
    else:
        values |= _answer(traffic, tokens, seconds, chance)
        used = chance.uniform(0.5, 8) * WORKING_HOURS[moment.hour]
        values["taximeter.ratelimit.remaining_requests"] = round(REQUESTS_A_MINUTE - 5 * used)
    if is_streamed:
        values["gen_ai.request.stream"] = True
    if broke_off:
        values |= {"error.type": "APIConnectionError", "taximeter.usage.source": "estimated"}
    return Span(
        trace_id=chance.randbytes(16),
        span_id=chance.randbytes(8),
        name=f"{traffic.operation} {traffic.model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + round(seconds * 1e9),
        attributes=[attribute(key, value) for key, value in values.items()],
    )


def _answer(
    traffic: Traffic, size: float, seconds: float, chance: random.Random
) -> dict[str, str | int | float | bool]:
    input_tokens = round(traffic.input_tokens * size)
    is_cached = chance.random() < traffic.cached_share * 1.6
    cached = input_tokens * 5 // 8 // 128 * 128 if is_cached else 0
    values: dict[str, str | int | float | bool] = {
        "http.response.status_code": 200,
        "gen_ai.response.model": traffic.model,
        "gen_ai.response.id": f"chatcmpl-{chance.randbytes(12).hex()}",
        "gen_ai.usage.input_tokens": input_tokens,
        "taximeter.usage.source": "reported",
    }
    output_tokens = round(traffic.output_tokens * size)
    if traffic.limit is None and chance.random() < RUNAWAY_SHARE:
        output_tokens *= RUNAWAY
    if output_tokens:
        values |= {
            "gen_ai.usage.cache_read.input_tokens": cached,
            "gen_ai.usage.output_tokens": output_tokens,
            "openai.response.service_tier": "default",
        }
    if traffic.thinks:
        thought = round(output_tokens * chance.uniform(0.4, 0.7))
        values["gen_ai.usage.reasoning.output_tokens"] = thought
    if traffic.feature == "support-chat":
        first_chunk = min(seconds, chance.lognormvariate(-0.9, 0.4))
        values["gen_ai.response.time_to_first_chunk"] = first_chunk
    return values


def _body(spans: list[Span], *, lost: int) -> bytes:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    for key, value in (("service.name", "webapp"), ("deployment.environment.name", "production")):
        of_resource.resource.attributes.append(attribute(key, value))
    if lost:
        of_resource.resource.attributes.append(attribute("taximeter.dropped_spans", lost))
    of_resource.scope_spans.add().spans.extend(spans)
    return request.SerializeToString()
