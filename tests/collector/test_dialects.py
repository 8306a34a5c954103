"""Spans as other packages send them, recorded from those packages (benchmarks/peers/record.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from builders import NOON
from spans import request, value
from taximeter_collector import dialects, otlp
from taximeter_collector.calls import Call, CostStatus, UsageSource
from taximeter_collector.envelope import envelopes
from taximeter_collector.prices import PriceBook, shipped_text
from taximeter_collector.prices.overrides import parse_overrides

RECORDED = sorted((Path(__file__).parents[1] / "data/dialects").glob("*.json"))
WINDOW = otlp.Window.at(NOON, timedelta(days=400))
BOOK = PriceBook.shipped()

# What a dialect does not say, so that no collector can know it.
NO_TIER = {
    ("langfuse", "*"),
    ("logfire", "*"),
    ("openinference", "*"),
    ("traceloop", "stream with usage"),
    ("traceloop", "stream without usage"),
    ("traceloop", "response stream"),
}
NO_CACHED = {("openai-v2", "*"), ("openlit", "stream without usage")}
NO_REASONING = {
    ("openai-v2", "*"),
    ("openlit", "chat"),
    ("openlit", "chat, tools"),
    ("openlit", "chat, Azure"),
    ("openlit", "stream with usage"),
    ("traceloop", "stream with usage"),
}
ASKED_MODEL = {
    ("logfire", "stream with usage"),
    ("logfire", "stream without usage"),
    ("logfire", "response stream"),
}
"""Only the model that was asked for, where the answer named a dated one."""
WRONG_TIER = {("openlit", "response stream")}
# It counts the tokens of such a stream itself, by the letter.
GUESSED = {("openlit", "stream without usage")}


def recorded() -> Iterator[Any]:
    for path in RECORDED:
        for one in json.loads(path.read_text())["calls"]:
            if one["spans"]:
                yield pytest.param(path.stem, one, id=f"{path.stem}: {one['situation']}")


def sent(spans: list[dict[str, Any]]) -> Iterator[otlp.Envelope]:
    for number, one in enumerate(spans, 1):
        code, message = one["status"]
        span = Span(
            trace_id=bytes(15) + bytes([number]),
            span_id=bytes(7) + bytes([number]),
            name=one["name"],
            start_time_unix_nano=round(NOON.timestamp()) * 10**9,
            end_time_unix_nano=round(NOON.timestamp()) * 10**9 + 10**9,
            status=Status(
                code=Status.StatusCode.Value(f"STATUS_CODE_{code}"), message=message or ""
            ),
            attributes=[KeyValue(key=k, value=value(v)) for k, v in one["attributes"].items()],
        )
        yield from envelopes(request(span, scope=one["scope"]).SerializeToString(), WINDOW)


def calls_of(recording: dict[str, Any]) -> list[Call]:
    found = [otlp.call_of(one) for one in sent(recording["spans"])]
    return [call for call in found if call is not None]


def is_in(peer: str, recording: dict[str, Any], known: set[tuple[str, str]]) -> bool:
    return bool({(peer, "*"), (peer, recording["situation"])} & known)


@pytest.mark.parametrize(("peer", "recording"), list(recorded()))
def test_a_call_that_another_package_recorded_is_one_call_with_its_usage(
    peer: str, recording: dict[str, Any]
) -> None:
    bill = recording["bill"]

    (call,) = calls_of(recording)

    assert call.provider == "openai"
    assert call.operation == ("embeddings" if "embedding" in bill["model"] else "chat")
    if bill["failed"]:
        assert call.http_status == 400
        assert BOOK.priced(call).status is CostStatus.FREE
        return
    model = "gpt-5" if is_in(peer, recording, ASKED_MODEL) else bill["model"]
    assert call.model == model
    if bill["tier"] != "any" and not is_in(peer, recording, NO_TIER):
        tier = "default" if is_in(peer, recording, WRONG_TIER) else bill["tier"]
        assert call.service_tier == tier
    if is_in(peer, recording, GUESSED):
        assert call.usage.source is UsageSource.ESTIMATED
    elif bill["input"] is None:
        assert call.usage.source is UsageSource.LOST
    else:
        assert_usage(peer, recording, call)


def assert_usage(peer: str, recording: dict[str, Any], call: Call) -> None:
    bill, usage = recording["bill"], call.usage
    assert (usage.input_tokens, usage.output_tokens) == (bill["input"], bill["output"] or 0)
    if is_in(peer, recording, NO_CACHED):
        assert usage.source is UsageSource.ESTIMATED
    else:
        assert usage.source is UsageSource.REPORTED
        assert usage.cached_input_tokens == (bill["cached"] or 0)
    if not is_in(peer, recording, NO_REASONING):
        assert usage.reasoning_tokens == (bill["reasoning"] or 0)


def test_what_is_written_down_as_missing_is_missing() -> None:
    """An upgrade of a package that mends something shows here."""
    by_name = {
        (path.stem, one["situation"]): one
        for path in RECORDED
        for one in json.loads(path.read_text())["calls"]
    }
    for peer, situation in NO_TIER | ASKED_MODEL:
        for (name, what), one in by_name.items():
            if name == peer and what == (what if situation == "*" else situation):
                for call in calls_of(one) if one["bill"]["tier"] != "any" else ():
                    if (peer, situation) in ASKED_MODEL:
                        assert call.model == "gpt-5"
                    else:
                        assert call.service_tier == ""


def test_agents_and_tools_repeat_the_tokens_of_their_calls_and_are_none() -> None:
    for operation in ("invoke_agent", "execute_tool"):
        attributes = {"gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 9}
        spans = [_plain(attributes, scope="pydantic-ai")]
        assert calls_of({"spans": spans}) == []
    assert calls_of({"spans": [_plain({"openinference.span.kind": "CHAIN"})]}) == []


def test_our_own_agent_runs_are_calls() -> None:
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9}

    (call,) = calls_of({"spans": [_plain(attributes, scope="taximeter")]})

    assert call.usage.input_tokens == 9


def test_our_names_win_over_others() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 9,
        "llm.token_count.prompt": 10,
    }

    (call,) = calls_of({"spans": [_plain(attributes)]})

    assert call.usage.input_tokens == 9


@pytest.mark.parametrize(
    ("told", "provider"),
    [
        ({"gen_ai.system": "az.ai.openai"}, "azure.ai.openai"),
        ({"llm.provider": "azure"}, "azure.ai.openai"),
        ({"ai.model.provider": "openai.responses"}, "openai"),
        ({"gen_ai.system": "OpenAI"}, "openai"),
        ({"gen_ai.system": "anthropic"}, "anthropic"),
    ],
)
def test_a_provider_has_one_name(told: dict[str, str], provider: str) -> None:
    (call,) = calls_of({"spans": [_plain({"gen_ai.operation.name": "chat", **told})]})

    assert call.provider == provider


def test_users_sessions_and_workflows_of_others_are_ours() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "traceloop.association.properties.user_id": "ada",
        "gen_ai.conversation.id": "c1",
        "traceloop.workflow.name": "search",
    }

    (call,) = calls_of({"spans": [_plain(attributes)]})

    assert (call.user_id, call.session_id, call.feature) == ("ada", "c1", "search")


@pytest.mark.parametrize("raw", ["{", "[]", '{"prompt_tokens": "7"}', '"text"', "null", "7"])
def test_a_raw_usage_that_is_none_leaves_the_call_without_usage(raw: str) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.raw": raw}

    (call,) = calls_of({"spans": [_plain(attributes)]})

    assert call.usage.source is UsageSource.LOST


def test_a_raw_usage_tells_images_from_text() -> None:
    details = {
        "input_tokens_details": {"image_tokens": 30},
        "output_tokens_details": {"image_tokens": 40},
    }
    raw = json.dumps({"input_tokens": 50, "output_tokens": 40, **details})
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.raw": raw}

    (call,) = calls_of({"spans": [_plain(attributes)]})

    usage = call.usage
    assert (usage.input_tokens, usage.image_input_tokens) == (50, 30)
    assert (usage.output_tokens, usage.image_output_tokens) == (40, 40)


def test_a_call_through_a_proxy_is_priced_like_one_of_ours_once_it_is_known() -> None:
    """The recordings were made against a server that stands where a gateway would."""
    by_name = {path.stem: json.loads(path.read_text())["calls"] for path in RECORDED}
    (call,) = calls_of(by_name["genai-openai"][0])

    assert BOOK.priced(call).status is CostStatus.UNPRICED
    known = PriceBook(shipped_text(), parse_overrides("hosts: {127.0.0.1: openai}", "prices.yaml"))
    # Priority: 600 x 2.50 + 400 x 0.25 + 50 x 20
    assert known.priced(call).usd == Decimal("0.0026")


def test_the_receiver_keeps_what_may_be_a_call() -> None:
    for path in RECORDED:
        for one in json.loads(path.read_text())["calls"]:
            for span in one["spans"]:
                body = next(sent([span])).raw
                is_call = bool(calls_of({"spans": [span]}))
                assert not is_call or any(marker in body for marker in dialects.MARKERS)


def _plain(attributes: dict[str, Any], scope: str = "some.package") -> dict[str, Any]:
    return {"name": "x", "scope": scope, "status": ["UNSET", None], "attributes": attributes}
