from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import openai_bodies as bodies
from fake_api import compact
from taximeter import units
from taximeter.answer import Answer
from taximeter.endpoints import endpoint_at
from taximeter.jobs import works_of
from taximeter.units import units_asked, units_told

IMAGE_GEN = {
    "input_tokens": 50,
    "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
    "output_tokens": 1056,
    "total_tokens": 1106,
}
DRAWN = {"type": "image_generation_call", "quality": "high", "size": "1024x1024", "result": "eA=="}
WRITTEN = {"cache_write_tokens": 9, "cache_write_tokens_details": {"ttl_12h_tokens": 4}}


@pytest.fixture(autouse=True)
def _no_containers() -> Iterator[None]:
    yield
    units._sessions.clear()


@pytest.mark.parametrize(
    ("api_type", "parameters", "units"),
    [
        ("chat.completions", {"model": "gpt-5"}, {}),
        ("chat.completions", {"model": "gpt-5-search-api"}, {"web_searches": 1.0}),
        ("audio.speech", {"model": "tts-1", "input": "héllo"}, {"characters": 5.0}),
        ("audio.speech", {"model": "gpt-4o-mini-tts", "input": "hello"}, {}),
        ("audio.speech", {"model": "tts-1", "input": None}, {}),
        ("images.generations", {"model": "gpt-image-1", "n": 2}, {}),
        ("images.generations", {"model": "dall-e-2"}, {"images.standard.1024x1024": 1.0}),
        ("images.edits", {"model": "dall-e-2", "n": 2}, {"images.standard.1024x1024": 2.0}),
        ("videos", {"model": "sora-2", "seconds": "8"}, {}),
    ],
)
def test_a_request_says_which_units_it_asks_for(
    api_type: str, parameters: dict[str, Any], units: dict[str, float]
) -> None:
    assert units_asked(api_type, parameters) == units


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({}, {}),
        ({"output": bodies.SEARCHES}, {"web_searches": 2.0}),
        (
            {"output": bodies.SEARCHES, "tool_usage": {"web_search": {"num_requests": 0}}},
            {},
        ),
        (
            {"output": bodies.SEARCHES, "tools": [{"type": "web_search_preview_2025_03_11"}]},
            {"web_searches.preview": 2.0},
        ),
        ({"output": [bodies.FILE_SEARCH] * 2}, {"file_searches": 2.0}),
        (
            {"output": [bodies.INTERPRETER] * 2, "tools": []},
            {"container_sessions": 1.0},
        ),
        (
            {
                "output": [bodies.INTERPRETER],
                "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}],
            },
            {"container_sessions.1g": 1.0},
        ),
        (
            {"output": [DRAWN, DRAWN]},
            {"images.high.1024x1024": 2.0},
        ),
        (
            {"output": [DRAWN], "tool_usage": {"image_gen": IMAGE_GEN}},
            {
                "image_tool.input.unknown": 10.0,
                "image_tool.image_input.unknown": 40.0,
                "image_tool.image_output.unknown": 1056.0,
            },
        ),
        (
            {
                "output": [DRAWN],
                "tool_usage": {"image_gen": {"output_tokens": 272}},
                "tools": [{"type": "image_generation", "model": "gpt-image-1.5"}],
            },
            {"image_tool.image_output.gpt-image-1.5": 272.0},
        ),
        (
            {"output": [{**DRAWN, "svg_usage": {"input_tokens": 3, "output_tokens": 4}}]},
            {"svg.input_tokens": 3.0, "svg.output_tokens": 4.0, "images.high.1024x1024": 1.0},
        ),
        (
            {"usage": {**bodies.USAGE, "input_tokens_details": WRITTEN}},
            {"cache_write_12h_tokens": 4.0},
        ),
    ],
)
def test_a_response_says_which_tools_it_used(
    fields: dict[str, Any], units: dict[str, float]
) -> None:
    assert units_told("responses", bodies.response(**fields), {}) == units


def test_a_container_is_paid_for_again_when_its_session_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = bodies.response(output=[bodies.INTERPRETER])
    clock = iter([1000.0, 1000.0 + units.SESSION_S - 1, 1000.0 + units.SESSION_S])
    monkeypatch.setattr("taximeter.units.time.monotonic", lambda: next(clock))

    counted = [units_told("responses", body, {}) for _ in range(3)]

    assert counted == [{"container_sessions": 1.0}, {}, {"container_sessions": 1.0}]


def test_tools_in_the_middle_of_a_large_response_are_counted() -> None:
    output = [{**bodies.message(), "pad": "x" * 50_000}, *bodies.SEARCHES, bodies.message()]
    answer = Answer("responses")

    body = bodies.response(output=output, metadata={"pad": "x" * 50_000})
    answer.read(compact(body).encode())

    assert answer.attributes["taximeter.meter.web_searches"] == 2.0
    assert answer.attributes["gen_ai.usage.input_tokens"] == 90


@pytest.mark.parametrize("status", ["queued", "in_progress", "failed"])
def test_a_video_that_is_not_there_is_not_billed(status: str) -> None:
    assert units_told("videos", bodies.video(status), {}) == {}


@pytest.mark.parametrize(
    ("path", "api_type"),
    [
        ("/chat/completions", "chat.completions"),
        ("/openai/deployments/our-gpt/chat/completions?api-version=1", "chat.completions"),
        ("https://api.openai.com/v1/responses?beta=true", "responses"),
        ("/responses/compact", "responses.compact"),
        ("/threads/thread_1/runs", "threads.runs"),
        ("/threads/runs", "threads.runs"),
        ("/videos/video_1/remix", "videos"),
        ("/responses/input_tokens", None),
        ("/chat/completions/chatcmpl-1", None),
        ("/threads/thread_1/runs/run_1", None),
        ("/evals/eval_1/runs", None),
        ("/files", None),
    ],
)
def test_the_path_names_the_endpoint(path: str, api_type: str | None) -> None:
    endpoint = endpoint_at(path)

    assert (endpoint.api_type if endpoint else None) == api_type


@pytest.mark.parametrize(
    "job",
    [
        bodies.batch("in_progress", usage=bodies.USAGE),
        bodies.batch("failed", usage={"input_tokens": 0, "output_tokens": 0}),
        bodies.tuning("ftjob-1", "cancelled", trained_tokens=None),
        {"object": "list", "status": "completed"},
        {},
    ],
)
def test_a_job_that_did_nothing_is_no_work(job: dict[str, Any]) -> None:
    assert list(works_of(job)) == []
