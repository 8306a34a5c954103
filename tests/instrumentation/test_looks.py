"""Work that goes on after its answer: one span, with the tags of the one who began it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import openai_bodies as bodies
import taximeter
from fake_api import FakeApi, Reply, events_reply, fake_api, json_reply
from situations import BACKGROUND, COMPLETED_BATCH, DONE, EVAL_RUN, NEW_BATCH, QUEUED, TURN
from taximeter import call, looks
from taximeter.bounded import Bounded


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests() -> Iterator[None]:
    yield
    for memory in (looks._reported, looks._tags_of):
        memory.clear()


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with fake_api() as served:
        yield served


@pytest.fixture
def client(api: FakeApi) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=api.url, max_retries=0) as opened:
        yield opened


def test_a_background_response_keeps_the_tags_of_its_creation(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    api.script[:] = [QUEUED, DONE]

    with taximeter.tag(feature="reports", user="u-7"):
        client.responses.create(**BACKGROUND)
    with taximeter.tag(feature="poller"):
        client.responses.retrieve("resp_1")

    span = spans.only()
    assert span["taximeter.feature"] == "reports"
    assert span["user.id"] == "u-7"
    assert span["taximeter.usage.source"] == "reported"


def test_a_stream_that_is_let_go_of_late_takes_no_other_call_with_it(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    events = bodies.response_events(background=True)
    api.script[:] = [QUEUED, events_reply(*events, named="type"), QUEUED, DONE]
    client.responses.create(**BACKGROUND)
    stream = client.responses.retrieve("resp_1", stream=True)
    list(stream)
    with taximeter.tag(feature="second"):
        client.responses.create(**BACKGROUND)

    del stream
    gc.collect()
    taximeter.flush(1)
    client.responses.retrieve("resp_1")

    found = [span.attributes["taximeter.usage.source"] for span in spans.all()]
    assert found == ["reported", "reported"]


def test_a_server_that_gives_all_answers_one_id_loses_no_call(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    api.script[:] = [QUEUED, QUEUED, DONE]

    with taximeter.tag(feature="first"):
        client.responses.create(**BACKGROUND)
    with taximeter.tag(feature="second"):
        client.responses.create(**BACKGROUND)
    client.responses.retrieve("resp_1")

    found = {
        (span.attributes["taximeter.feature"], span.attributes["taximeter.usage.source"])
        for span in spans.all()
    }
    assert found == {("first", "lost"), ("second", "reported")}


def test_a_batch_keeps_the_tags_of_its_creation(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    api.script[:] = [json_reply(bodies.batch("validating")), COMPLETED_BATCH]

    with taximeter.tag(feature="nightly"):
        client.batches.create(**NEW_BATCH.arguments)
    with taximeter.tag(feature="poller"):
        client.batches.retrieve("batch_1")

    assert spans.only()["taximeter.feature"] == "nightly"


def test_a_batch_of_another_process_has_its_place_in_time_and_the_tags_of_the_one_who_looks(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    api.script[:] = [COMPLETED_BATCH]

    with taximeter.tag(feature="poller"):
        client.batches.retrieve("batch_1")

    (span,) = spans.all()
    assert span.attributes["taximeter.feature"] == "poller"
    assert span.start_time == bodies.CREATED * 1_000_000_000
    assert span.end_time == (bodies.CREATED + 600) * 1_000_000_000


def test_an_evaluation_is_a_span_for_each_model(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    usages = [{**bodies.MODEL_USAGE, "model_name": model} for model in ("gpt-5", "gpt-4o")]
    ended = json_reply(bodies.evaluation("completed", *usages))
    api.script[:] = [json_reply(bodies.evaluation("queued")), ended, ended]

    client.evals.runs.create(**EVAL_RUN)
    for _ in range(2):
        client.evals.runs.retrieve("evalrun_1", eval_id="eval_1")

    ids = [span.attributes["gen_ai.response.id"] for span in spans.all()]
    assert ids == ["evalrun_1/gpt-5", "evalrun_1/gpt-4o"]


def test_a_turn_of_an_agent_has_the_model_and_tags_of_its_session(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    session = {
        "id": "session_1",
        "object": "agent.session",
        "status": "in_progress",
        "agent": {"id": "agent_1", "model": "gpt-6-astra"},
    }
    api.script[:] = [json_reply(session), json_reply(TURN)]

    with taximeter.tag(feature="research"):
        client.beta.agents.sessions.create(agent_id="agent_1", environment={"type": "none"})
    client.beta.agents.sessions.turns.retrieve("turn_1", session_id="session_1")

    span = spans.only()
    assert span["taximeter.feature"] == "research"
    assert span["gen_ai.request.model"] == "gpt-6-astra"


def test_work_that_nobody_asks_for_is_lost_when_too_much_of_it_waits(
    api: FakeApi, client: openai.OpenAI, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "going_on", Bounded(2))
    api.script[:] = [
        json_reply(bodies.response("queued", id=id_)) for id_ in ("resp_1", "resp_2", "resp_3")
    ]

    for _ in range(3):
        client.responses.create(**BACKGROUND)

    span = spans.only()
    assert span["gen_ai.response.id"] == "resp_1"
    assert span["taximeter.usage.source"] == "lost"


def test_a_forked_child_leaves_the_work_to_its_parent(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    api.script[:] = [QUEUED]
    client.responses.create(**BACKGROUND)

    call.forget_calls_of_parent()
    call.end_open_streams()

    assert spans.all() == ()


def test_a_stream_of_the_background_that_broke_is_billed_when_it_is_taken_up(
    api: FakeApi, client: openai.OpenAI, spans: Any
) -> None:
    events = bodies.response_events(background=True)
    api.script[:] = [events_reply(*events[:2], named="type", cut=True), DONE]
    stream = client.responses.create(**BACKGROUND, stream=True)

    with pytest.raises(openai.APIConnectionError):
        list(stream)
    client.responses.retrieve("resp_1")

    span = spans.only()
    assert span["taximeter.usage.source"] == "reported"
    assert span["gen_ai.usage.input_tokens"] == 90


def test_a_stream_cancelled_between_two_chunks_is_lost(api: FakeApi, spans: Any) -> None:
    api.script[:] = [events_reply(*bodies.chunks()[:1], silent=True)]

    async def cancelled() -> None:
        async with openai.AsyncOpenAI(api_key="sk-test", base_url=api.url) as client:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            await anext(stream)
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    asyncio.run(cancelled())

    span = spans.only()
    assert span["error.type"] == "CancelledError"
    assert span["taximeter.usage.source"] == "lost"


@pytest.mark.parametrize("media", ["application/json", "text/html", "audio/mpeg", ""])
def test_an_answer_of_any_media_type_reaches_the_app(
    api: FakeApi, client: openai.OpenAI, spans: Any, media: str
) -> None:
    api.script[:] = [Reply(body=b"\x00\xff{", media=media)]

    raw = client.audio.speech.create(model="tts-1", voice="alloy", input="hello")

    assert raw.content == b"\x00\xff{"
    assert spans.only()["taximeter.meter.characters"] == 5.0
