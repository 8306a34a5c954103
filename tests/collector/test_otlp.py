from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from builders import NOON
from spans import request, span
from taximeter_collector import otlp
from taximeter_collector.calls import Call, Usage, UsageSource
from taximeter_collector.envelope import envelopes, starts

WINDOW = otlp.Window.at(NOON, timedelta(days=400))


def calls(message: ExportTraceServiceRequest, window: otlp.Window = WINDOW) -> list[Call]:
    found = map(otlp.call_of, envelopes(message.SerializeToString(), window))
    return [call for call in found if call is not None]


def decoded(attributes: dict[str, Any] | None = None, **more: Any) -> Call:
    (call,) = calls(request(span(attributes, **more)))
    return call


def test_a_span_becomes_a_call_with_its_time_tokens_and_models() -> None:
    call = decoded()

    assert call.ts == NOON
    assert call.duration_ms == 800
    assert (call.request_model, call.model) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert call.usage == Usage(input_tokens=1000, output_tokens=100)
    assert call.trace_id == "0" * 31 + "7"
    assert call.service == "webapp"


def test_a_span_that_calls_no_model_is_none_of_ours() -> None:
    message = request(span({"gen_ai.operation.name": None, "http.route": "/"}))

    assert calls(message) == []


@pytest.mark.parametrize(
    ("server", "identity"),
    [
        ("api.openai.com", "chatcmpl-1"),
        ("eu.api.openai.com", "chatcmpl-1"),
        ("acme.openai.azure.com", "chatcmpl-1"),
        ("myopenai.com", "00000000000000000000000000000007/0000000000000001"),
        ("localhost", "00000000000000000000000000000007/0000000000000001"),
        ("openai.com.evil.example", "00000000000000000000000000000007/0000000000000001"),
    ],
)
def test_only_answers_of_openai_and_azure_are_known_by_their_id(server: str, identity: str) -> None:
    assert decoded({"server.address": server}).call_id == identity


def test_a_call_without_an_answer_is_known_by_its_span_and_its_asked_for_model() -> None:
    call = decoded({"gen_ai.response.id": None, "gen_ai.response.model": None})

    assert call.call_id == "00000000000000000000000000000007/0000000000000001"
    assert call.model == "gpt-4o"


def test_units_of_the_contract_become_units_of_the_columns() -> None:
    call = decoded(
        {
            "gen_ai.response.time_to_first_chunk": 0.4321,
            "taximeter.attempt.statuses": [429, 200],
            "taximeter.attempt.waits": [0.0, 1.5],
            "taximeter.meter.seconds": 8.47,
            "taximeter.tag.tenant": "acme",
            "gen_ai.response.finish_reasons": ["stop", "stop", "length"],
        }
    )

    assert call.ttft_ms == 432
    assert call.attempt_statuses == (429, 200)
    assert call.attempt_waits_ms == (0, 1500)
    assert call.usage.meters == {"seconds": Decimal("8.470000")}
    assert call.tags == {"tenant": "acme"}
    assert call.finish_reason == "length,stop"


@pytest.mark.parametrize("count", [-5, 2**32, 1.5, "many", True])
def test_an_impossible_count_makes_the_usage_invalid_and_never_zero(count: Any) -> None:
    call = decoded({"gen_ai.usage.output_tokens": count})

    assert call.usage.source is UsageSource.INVALID


def test_a_call_that_was_never_sent_says_so() -> None:
    usage = {"gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None}
    call = decoded({**usage, "taximeter.usage.source": "none"})

    assert call.usage.source is UsageSource.NONE


def test_a_call_without_usage_has_lost_it() -> None:
    call = decoded({"gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None})

    assert call.usage.source is UsageSource.LOST


@pytest.mark.parametrize(
    "attributes",
    [
        {"http.response.status_code": "200"},
        {"taximeter.attempts": -1},
        {"gen_ai.request.max_tokens": 2**40},
        {"gen_ai.response.time_to_first_chunk": float("nan")},
        {"gen_ai.request.stream": "yes"},
        {"taximeter.feature": ["search"]},
        {"taximeter.attempt.waits": ["soon"]},
        {"taximeter.attempt.statuses": [0.5]},
        {"taximeter.usage.source": ["reported"]},
        {"taximeter.usage.source": 7},
    ],
)
def test_an_attribute_of_another_type_than_the_contract_is_absent(
    attributes: dict[str, Any],
) -> None:
    assert decoded(attributes) == decoded()


@pytest.mark.parametrize(
    ("value", "text"),
    [(4711, "4711"), (0, "0"), (0.5, "0.5"), (1, "1"), (True, "True"), (1.0, "1.0")],
    ids=str,
)
def test_a_number_or_boolean_as_a_label_is_kept_as_its_text(value: Any, text: str) -> None:
    message = request(
        span({"user.id": value, "taximeter.tag.order": value}), resource={"service.name": value}
    )

    (call,) = calls(message)

    assert (call.user_id, call.tags, call.service) == (text, {"order": text}, text)


def test_spans_without_any_id_stay_apart() -> None:
    first, second = span({"gen_ai.response.id": None}), span({"gen_ai.response.id": None})
    second.end_time_unix_nano += 1_000_000
    for one in (first, second):
        one.trace_id = one.span_id = b""

    assert len({call.call_id for call in calls(request(first, second))}) == 2


def test_the_accepted_time_is_retention_back_to_one_hour_ahead() -> None:
    moments = [
        NOON - timedelta(days=400, seconds=1),
        NOON - timedelta(days=400),
        NOON + timedelta(minutes=59, seconds=59),
        NOON + timedelta(hours=1),
    ]
    message = request(*(span(start=moment) for moment in moments))

    assert [call.ts for call in calls(message)] == moments[1:3]
    assert otlp.refusals(starts(message.SerializeToString()), WINDOW) == {
        "older than the retention, which begins 2025-10-12": 1,
        "more than an hour ahead of the collector's clock": 1,
    }


def test_a_span_from_the_end_of_time_is_refused_and_harms_nothing() -> None:
    far = span()
    far.start_time_unix_nano = 2**64 - 1
    message = request(far, span())

    assert [call.ts for call in calls(message)] == [NOON]


def test_a_moment_keeps_its_milliseconds() -> None:
    late = span()
    late.start_time_unix_nano = 1_794_000_000_123_999_999
    (call,) = calls(request(late))

    assert call.ts == datetime(2026, 11, 6, 21, 20, 0, 123_000, UTC)
