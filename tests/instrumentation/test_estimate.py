"""Tokens of streams whose usage was lost: counted truly, in time, or not at all."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
import toktok

from taximeter import estimate
from taximeter.answer import Answer
from taximeter.estimate import BLOCKS, Counter, Kept
from taximeter.meter import meter_on
from taximeter.settings import Settings
from taximeter.tokens import Counts, counted, encoding_of, prompt_parts

# OpenAI's own example and its counts, as the API reported them:
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
JARGON = [
    (
        "system",
        None,
        "You are a helpful, pattern-following assistant that translates corporate jargon into "
        "plain English.",
    ),
    ("system", "example_user", "New synergies will help drive top-line growth."),
    ("system", "example_assistant", "Things working well together will increase revenue."),
    (
        "system",
        "example_user",
        "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
    ),
    (
        "system",
        "example_assistant",
        "Let's talk later when we're less busy about how to do better.",
    ),
    (
        "user",
        None,
        "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    ),
]
MESSAGES = [
    {"role": role, "content": content} | ({"name": name} if name else {})
    for role, name, content in JARGON
]
HELLO = [{"role": "user", "content": "hello world"}]


def events(*deltas: dict[str, Any], model: str = "gpt-4o-2024-08-06") -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    bodies = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [f"data: {json.dumps(body, separators=(',', ':'))}\n\n".encode() for body in bodies]


GREETING = events({"role": "assistant", "content": ""}, {"content": "hello wor"}, {"content": "ld"})


def count(
    request: dict[str, Any],
    answer: list[bytes] = GREETING,
    api_type: str = "chat.completions",
    model: str = "gpt-4o-2024-08-06",
) -> Counts | None:
    return counted(api_type, model, json.dumps(request).encode(), b"".join(answer))


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4o", 124), ("gpt-4-0613", 129)])
def test_openais_own_example_has_the_tokens_that_the_api_reported(model: str, tokens: int) -> None:
    counts = count({"model": model, "messages": MESSAGES, "temperature": 0}, model=model)

    assert counts == Counts(input=tokens, output=2)


def test_texts_in_parts_count_as_texts() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "hello world"}]}]

    assert count({"messages": parts}) == count({"messages": HELLO}) == Counts(9, 2)


def test_each_choice_counts_as_output() -> None:
    second = [event.replace(b'"index":0', b'"index":1') for event in GREETING]

    assert count({"messages": HELLO, "n": 2}, [*GREETING, *second]) == Counts(9, 4)


def test_an_event_that_was_cut_off_counts_up_to_the_last_whole_one() -> None:
    assert count({"messages": HELLO}, [*GREETING, b'data: {"choices":[{"ind']) == Counts(9, 2)


def test_legacy_completions_have_no_framing() -> None:
    event = b'data: {"choices":[{"text":"hello world","index":0,"logprobs":null}]}\n\n'

    counts = count({"prompt": "hello world"}, [event], "completions", "gpt-3.5-turbo-instruct")

    assert counts == Counts(2, 2)


def test_response_events_count_as_the_same_chat_would() -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0}
    event = f"data: {json.dumps({**delta, 'delta': 'hello world'})}\n\n".encode()

    counts = count({"instructions": "hello", "input": "hello world"}, [event], "responses")

    assert counts == Counts(input=9 + 5, output=2)


@pytest.mark.parametrize(
    "extra",
    [
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_schema"}},
        {"a_parameter_of_tomorrow": 1},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "tool", "content": "4"}]},
    ],
)
def test_a_request_with_tokens_beside_its_texts_is_not_counted(extra: dict[str, Any]) -> None:
    assert count({"messages": HELLO, **extra}) is None


@pytest.mark.parametrize("delta", [{"tool_calls": [{"index": 0}]}, {"reasoning_content": "hm"}])
def test_an_answer_with_tokens_beside_its_texts_is_not_counted(delta: dict[str, Any]) -> None:
    assert count({"messages": HELLO}, events({"content": "a"}, delta)) is None


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::8aBc", "o200k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "cl100k_base"),
        ("gpt-5", None),
        ("gpt-5.1", None),
        ("o4-mini", None),
        ("gpt-4o-audio-preview", None),
        ("gpt-4o-search-preview", None),
        ("llama-3.3-70b", None),
        ("our-deployment", None),
    ],
)
def test_only_models_with_a_known_tokenizer_and_no_hidden_reasoning_are_counted(
    model: str, encoding: str | None
) -> None:
    assert encoding_of(model) == encoding


class Silent(httpx2.SyncByteStream):
    """A server without usage, which may break off."""

    def __init__(self, *chunks: bytes, breaks: bool = False) -> None:
        self.chunks = chunks
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.breaks:
            raise httpx2.ReadError("broken")


def opened(*chunks: bytes, breaks: bool = False) -> Any:
    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=Silent(*chunks, breaks=breaks))

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key="k", http_client=http, max_retries=0)
    messages: Any = HELLO
    return client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)


ESTIMATED = {
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 2,
    "taximeter.usage.source": "estimated",
}


def test_a_server_without_usage_is_estimated(spans: Any) -> None:
    list(opened(*GREETING, b"data: [DONE]\n\n"))

    assert spans.only().items() >= ESTIMATED.items()


def test_a_stream_that_was_closed_early_is_estimated_by_what_came(spans: Any) -> None:
    stream = opened(*GREETING[:2], *GREETING[2:])

    next(stream), next(stream)
    stream.close()

    span = spans.only()
    assert span["taximeter.usage.source"] == "estimated"
    assert span["gen_ai.usage.output_tokens"] == 2
    assert "error.type" not in span


def test_a_broken_stream_is_estimated_and_says_what_broke_it(spans: Any) -> None:
    with pytest.raises(openai.APIConnectionError):
        list(opened(*GREETING, breaks=True))

    span = spans.only()
    assert span.items() >= ESTIMATED.items()
    assert span["error.type"] == "ReadError"


def test_a_stream_of_which_nothing_was_read_stays_lost(spans: Any) -> None:
    stream = opened(*GREETING)
    del stream
    gc.collect()
    list(opened(*GREETING))

    sources = [span.attributes["taximeter.usage.source"] for span in spans.all()]
    assert sorted(sources) == ["estimated", "lost"]


def test_an_estimated_span_ends_when_the_stream_ended_not_when_it_was_counted(spans: Any) -> None:
    counting, counted_on = busy(estimate.counter)
    list(opened(*GREETING))
    ended = time.time_ns()
    assert counting.wait(60)
    counted_on.set()

    (span,) = spans.all()
    assert span.end_time <= ended


def busy(counter: Counter) -> tuple[threading.Event, threading.Event]:
    """Occupy the counter; gives what tells that it is, and what frees it again."""
    counting, free = threading.Event(), threading.Event()

    def occupied(_: object) -> None:
        counting.set()
        assert free.wait(60)

    counter.start()
    counter.take(Kept("chat.completions", b"", Answer()), occupied)
    return counting, free


def test_a_reasoning_model_stays_lost_and_its_stream_is_not_kept(spans: Any) -> None:
    long = events({"content": "x" * estimate.BLOCK})
    stream = opened(*(event.replace(b"gpt-4o", b"gpt-5") for event in [*GREETING, *long]))
    next(stream)

    assert len(estimate._free) == BLOCKS
    list(stream)
    assert len(estimate._free) == BLOCKS
    assert spans.only()["taximeter.usage.source"] == "lost"


def test_without_the_extra_nothing_is_kept_and_usage_stays_lost(
    spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "toktok", None)
    estimate.has_tokenizer.cache_clear()

    list(opened(*GREETING))

    estimate.has_tokenizer.cache_clear()
    assert spans.only()["taximeter.usage.source"] == "lost"


def test_what_was_kept_is_dropped_when_the_stream_ends(spans: Any) -> None:
    stream = opened(*GREETING)
    next(stream)
    kept = len(estimate._free)
    list(stream)

    spans.all()

    assert kept == BLOCKS - 1
    assert len(estimate._free) == BLOCKS


def test_all_streams_together_keep_no_more_than_the_store_has() -> None:
    streams = [Kept("chat.completions", b"", Answer()) for _ in range(3)]

    for kept in streams:
        for _ in range(BLOCKS // 2):
            kept.add(b"x" * estimate.BLOCK)

    assert [kept.wanted for kept in streams] == [True, True, False]
    assert len(estimate._free) == 0
    for kept in streams:
        kept.drop()
    assert len(estimate._free) == BLOCKS


def test_at_the_end_what_waits_is_counted() -> None:
    counter, results = Counter(), list[object]()
    counter.start()
    counter.take(kept_greeting(), results.append)

    counter.finish(timeout_s=10)

    assert results == [ESTIMATED]


def test_at_the_end_what_can_not_be_counted_in_time_is_given_up() -> None:
    counter, results = Counter(), list[object]()
    counting, free = busy(counter)
    assert counting.wait(60)
    counter.take(kept_greeting(), results.append)

    counter.finish(timeout_s=0.01)
    free.set()
    counter.finish(timeout_s=10)

    assert results == [{}]
    assert len(estimate._free) == BLOCKS


def test_a_full_queue_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "QUEUED", 1)
    counter, kept = Counter(), kept_greeting()

    taken = [counter.take(kept, lambda _: None) for _ in range(2)]

    assert taken == [True, False]
    kept.drop()


def kept_greeting() -> Kept:
    answer = Answer()
    answer.attributes["gen_ai.response.model"] = "gpt-4o"
    kept = Kept("chat.completions", json.dumps({"messages": HELLO}).encode(), answer)
    for event in GREETING:
        kept.add(event)
    return kept


@pytest.mark.usefixtures("spans")
def test_counting_is_not_done_by_the_thread_that_reads() -> None:
    counting = threading.Event()
    threads = []

    def finish(_: object) -> None:
        threads.append(threading.current_thread().name)
        counting.set()

    list(opened(*GREETING))
    estimate.counter.take(kept_greeting(), finish)

    assert counting.wait(60)
    assert threads == ["taximeter-counter"]


TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
TURNS = [
    {"role": "developer", "content": "hello world"},
    {"role": "user", "content": [{"type": "text", "text": "hello world"}, {"type": "image_url"}]},
    {"role": "assistant", "content": "hello world hello world"},
    {"role": "user", "content": "hello world, and this is not counted"},
]
PARTS = {"system": 2, "history": 6}


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5.1-2026-01-01", "gpt-4-turbo", "o3"])
def test_the_parts_of_a_prompt_are_counted_apart(model: str) -> None:
    chat = json.dumps({"model": model, "messages": TURNS}).encode()
    response = {"model": model, "instructions": "hello world", "input": TURNS[1:]}

    assert prompt_parts("chat.completions", model, chat) == PARTS
    assert prompt_parts("responses", "", json.dumps(response).encode()) == PARTS


def test_tools_are_counted_as_their_json() -> None:
    request = {"model": "gpt-4o", "input": "hello", "tools": TOOLS}
    text = '[{"type":"function","function":{"name":"look_up","parameters":{}}}]'

    parts = prompt_parts("responses", "gpt-4o", json.dumps(request).encode())

    assert parts == {"tools": toktok.batch_count([text], "o200k_base")[0]}


def test_a_prompt_for_an_unknown_model_is_not_counted() -> None:
    assert prompt_parts("chat.completions", "llama-4", b'{"messages": []}') == {}


@pytest.mark.parametrize("streamed", [False, True])
def test_the_sizes_of_a_prompt_are_told_when_asked_for(
    sdk: Any, spans: Any, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    meter = meter_on()
    monkeypatch.setattr(meter, "settings", Settings(prompt_sizes=True))
    usage = {"stream_options": {"include_usage": True}} if streamed else {}
    chat = {"model": "gpt-4o", "messages": TURNS, "stream": streamed, **usage}

    answer = sdk.call(lambda client: client.chat.completions.create(**chat))
    if streamed:
        sdk.read(answer)

    span = spans.only()
    assert span["taximeter.request.system_tokens"] == 2
    assert span["taximeter.request.history_tokens"] == 6
    assert "taximeter.request.tools_tokens" not in span
    assert span["taximeter.usage.source"] == "reported"
    assert len(estimate._free) == BLOCKS


def test_sizes_are_not_told_unasked(sdk: Any, spans: Any) -> None:
    sdk.chat()

    assert not [name for name in spans.only() if name.startswith("taximeter.request.system")]
