from __future__ import annotations

import json
from typing import Any

import pytest

from taximeter.answer import LARGE, Answer
from taximeter.streams import Body, Events

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
READ = {
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-5",
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.usage.output_tokens": 3,
}


def body(text: str = "hi", **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "model": "gpt-5", "choices": [choice], "usage": USAGE, **fields}


# Text that looks like the fields we search for, in every place where an answer holds text.
TRAP = '{"id": "no", "model": "no", "usage": {"prompt_tokens": 99}, "finish_reason": "no"} '


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("size", [1, LARGE // len(TRAP) + 1, 9 * LARGE // len(TRAP)])
def test_a_body_of_any_size_tells_the_same(size: int, separators: tuple[str, str]) -> None:
    answer = Answer()

    answer.read(json.dumps(body(TRAP * size), separators=separators).encode())

    assert answer.attributes == READ
    assert answer.finish_reasons == ("stop",)


def test_a_large_body_with_its_fields_in_the_middle_is_still_read() -> None:
    pad = "x" * 2 * LARGE
    answer = Answer()

    answer.read(json.dumps({"first": pad, **body(), "last": pad}).encode())

    assert answer.attributes == READ


def test_a_large_embedding_is_read_at_its_end() -> None:
    vectors = [{"object": "embedding", "index": 0, "embedding": [0.5] * 3 * LARGE}]
    listed = {"object": "list", "data": vectors, "model": "e-3", "usage": {"prompt_tokens": 8}}
    answer = Answer()

    answer.read(json.dumps(listed).encode())

    assert answer.attributes == {"gen_ai.response.model": "e-3", "gen_ai.usage.input_tokens": 8}


def test_a_large_body_read_in_pieces_needs_no_memory_of_its_size() -> None:
    answer = Answer()
    reader = Body(answer)
    content = json.dumps(body(TRAP * (20 * LARGE // len(TRAP)))).encode()

    for start in range(0, len(content), 1000):
        reader.feed(content[start : start + 1000])
    held = len(reader._body)
    reader.finish()

    assert held <= 8 * LARGE
    assert answer.attributes == READ


@pytest.mark.parametrize("content", [b"", b"<html>502</html>", b"[]", b"\xff\xfe", b'"text"'])
def test_what_is_no_json_object_tells_nothing(content: bytes) -> None:
    answer = Answer()

    answer.read(content)

    assert (answer.attributes, answer.has_usage) == ({}, False)


@pytest.mark.parametrize(
    "usage", [None, [], "many", {"prompt_tokens": None}, {"input_tokens": "7"}]
)
def test_odd_usage_is_not_taken_for_numbers(usage: object) -> None:
    answer = Answer()

    answer.read(json.dumps(body(usage=usage)).encode())

    assert not [name for name in answer.attributes if name.startswith("gen_ai.usage")]


def chunk(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": TRAP}, "finish_reason": None}
    return {"id": "chatcmpl-1", "model": "gpt-5", "choices": [choice], "usage": None, **fields}


def choice(index: int, reason: str) -> dict[str, Any]:
    return {"index": index, "delta": {}, "finish_reason": reason}


STREAM = [
    {"id": "", "model": "", "choices": [], "prompt_filter_results": []},  # as Azure begins
    *[chunk()] * 5,
    chunk(choices=[choice(1, "length")]),
    chunk(),
    chunk(choices=[choice(0, "stop")]),
    chunk(choices=[], usage=USAGE),
]


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("size", [1, 7, 100, 1000, 1_000_000])
def test_a_stream_cut_anywhere_tells_the_same(
    size: int, separators: tuple[str, str], end: str
) -> None:
    events = [f"data: {json.dumps(event, separators=separators)}{end}" for event in STREAM]
    content = "".join([": ping" + end, *events, f"data: [DONE]{end}"]).encode()
    answer = Answer()
    reader = Events(answer)

    for start in range(0, len(content), size):
        reader.feed(content[start : start + size])
    reader.finish()

    assert answer.attributes == READ
    assert answer.finish_reasons == ("stop", "length")


def test_a_large_last_event_of_a_response_is_read() -> None:
    output = [{"id": "msg_1", "status": "completed", "content": TRAP * (2 * LARGE // len(TRAP))}]
    usage = {
        "input_tokens": 7,
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    response = {"id": "resp_1", "status": "incomplete", "model": "gpt-5", "output": output}
    event = {"type": "response.incomplete", "response": {**response, "usage": usage}}
    answer = Answer()

    Events(answer).feed(f"data: {json.dumps(event)}\n\n".encode())

    assert answer.finish_reasons == ("incomplete",)
    assert answer.attributes == {
        **READ,
        "gen_ai.response.id": "resp_1",
        "gen_ai.usage.reasoning.output_tokens": 2,
    }


def test_the_model_of_a_tool_is_not_taken_for_the_answers() -> None:
    tools = [{"type": "image_generation", "model": "gpt-image-1"}]
    pad = "x" * 2 * LARGE
    response = {"id": "resp_1", "instructions": pad, "model": "gpt-5", "output": [], "tools": tools}
    answer = Answer()

    answer.read(json.dumps({**response, "usage": {"input_tokens": 7}}).encode())

    assert answer.attributes["gen_ai.response.model"] == "gpt-5"


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "overloaded"}},
        {"type": "error", "code": "server_error", "message": "overloaded"},
        {"type": "response.failed", "response": {"error": {"code": "x"}, "status": "failed"}},
    ],
)
def test_an_error_event_makes_the_call_a_failed_one(event: dict[str, Any]) -> None:
    answer = Answer()
    reader = Events(answer)

    reader.feed(f"data: {json.dumps(chunk())}\n\n".encode())
    reader.feed(f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode())

    assert answer.failed
