from __future__ import annotations

import asyncio
import gc
import inspect
from typing import Any

import openai
import pytest
from openai import _base_client
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import ResponseCompletedEvent

import taximeter
from taximeter_api.demo.fake_openai import Answer
from taximeter_api.demo.processes import free_port

USAGE = Answer(
    input_tokens=1000,
    cached_tokens=400,
    cache_write_tokens=100,
    audio_input_tokens=20,
    output_tokens=50,
    reasoning_tokens=30,
    audio_output_tokens=7,
    model="gpt-5-2025-08-07",
    service_tier="priority",
)
TOKENS = {
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.cache_read.input_tokens": 400,
    "gen_ai.usage.cache_write.input_tokens": 100,
    "gen_ai.usage.audio.input_tokens": 20,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.reasoning.output_tokens": 30,
    "gen_ai.usage.audio.output_tokens": 7,
    "taximeter.usage.source": "reported",
}
COUNTED = {"stream": True, "stream_options": {"include_usage": True}}


def test_a_plain_call_is_one_span_with_all_that_is_billed(sdk: Any, fake: Any, spans: Any) -> None:
    fake.answers = [USAGE]

    answer = sdk.chat(max_completion_tokens=64, service_tier="priority", user="u-7")

    assert type(answer) is ChatCompletion
    span = spans.only()
    assert span.pop("taximeter.feature").startswith("tests.instrumentation.conftest.Sdk.")
    assert span.pop("taximeter.request.id").startswith("req_")
    assert span.pop("gen_ai.response.id") == answer.id
    assert span.pop("server.port") == int(fake.url.split(":")[2].removesuffix("/v1"))
    assert span.pop("taximeter.ratelimit.remaining_requests") < 10_000
    assert span == {
        **TOKENS,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.response.model": "gpt-5-2025-08-07",
        "gen_ai.response.finish_reasons": ("stop",),
        "openai.api.type": "chat.completions",
        "openai.request.service_tier": "priority",
        "openai.response.service_tier": "priority",
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
        "taximeter.attempts": 1,
        "taximeter.attempt.statuses": (200,),
        "taximeter.attempt.waits": (0.0,),
        "taximeter.openai.organization": "org-demo",
        "taximeter.openai.project": "proj_demo",
        "taximeter.ratelimit.remaining_tokens": 1999000,
        "taximeter.request.timeout_set": False,
        "user.id": "u-7",
    }


def test_a_stream_that_was_asked_for_usage_reports_it(sdk: Any, fake: Any, spans: Any) -> None:
    fake.answers = [USAGE]

    chunks = sdk.read(sdk.chat(**COUNTED))

    assert {type(chunk) for chunk in chunks} == {ChatCompletionChunk}
    span = spans.only()
    assert span.items() >= TOKENS.items()
    assert span["gen_ai.request.stream"] is True
    assert span["gen_ai.response.id"] == chunks[0].id
    assert span["gen_ai.response.model"] == "gpt-5-2025-08-07"
    assert span["gen_ai.response.finish_reasons"] == ("stop",)
    assert span["openai.response.service_tier"] == "priority"
    assert span["gen_ai.response.time_to_first_chunk"] > 0


def test_a_stream_without_usage_is_lost_not_zero(sdk: Any, spans: Any) -> None:
    sdk.read(sdk.chat(stream=True))

    span = spans.only()
    assert span["taximeter.usage.source"] == "lost"
    assert "gen_ai.usage.input_tokens" not in span
    assert "error.type" not in span


def test_a_stream_closed_early_is_lost_but_no_error(sdk: Any, spans: Any) -> None:
    stream = sdk.chat(**COUNTED)
    sdk.read(stream, limit=1)

    sdk.close(stream)

    span = spans.only()
    assert span["taximeter.usage.source"] == "lost"
    assert span["gen_ai.response.model"] == "gpt-5"
    assert "error.type" not in span


def test_a_stream_dropped_unread_ends_with_the_next_call(sdk: Any, spans: Any) -> None:
    stream = sdk.chat(stream=True)

    del stream
    gc.collect()
    sdk.chat()

    # A lost one is looked at by the thread that counts tokens, and may end after the next call.
    first, second = sorted(spans.all(), key=lambda span: span.start_time)
    assert first.attributes["taximeter.usage.source"] == "lost"
    assert second.attributes["taximeter.usage.source"] == "reported"


def test_an_exception_in_the_apps_loop_passes_through_and_ends_the_span(
    sdk: Any, spans: Any
) -> None:
    fault = ValueError("the app's own")

    def consume(client: Any) -> Any:
        async def consume_async() -> None:
            async with await client.chat.completions.create(**chat()) as stream:
                async for _ in stream:
                    raise fault

        if isinstance(client, openai.AsyncOpenAI):
            return consume_async()
        with client.chat.completions.create(**chat()) as stream:
            for _ in stream:
                raise fault
        return None

    with pytest.raises(ValueError, match="the app's own") as caught:
        sdk.call(consume)

    assert caught.value is fault
    assert spans.only()["taximeter.usage.source"] == "lost"


def chat() -> dict[str, Any]:
    return {"model": "gpt-5", "messages": [], **COUNTED}


def test_a_cancelled_call_is_lost_and_says_so(fake: Any, spans: Any) -> None:
    fake.answers = [Answer(delay_s=0.5)]

    async def cancelled() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=fake.url) as client:
            call = asyncio.ensure_future(client.chat.completions.create(model="gpt-5", messages=[]))
            while fake.answers:  # until the request has arrived
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(cancelled())

    span = spans.only()
    assert span["error.type"] == "CancelledError"
    assert span["taximeter.usage.source"] == "lost"
    assert "http.response.status_code" not in span


def test_a_refused_request_names_the_exception_and_bills_nothing(
    sdk: Any, fake: Any, spans: Any
) -> None:
    fake.answers = [Answer(status=400)]

    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat()

    span = spans.only()
    assert span["error.type"] == type(caught.value).__name__ == "BadRequestError"
    assert span["http.response.status_code"] == 400
    assert span["taximeter.request.id"] == caught.value.request_id
    assert span["taximeter.attempts"] == 1
    assert "taximeter.usage.source" not in span


def test_retries_are_one_call_with_its_attempts(sdk: Any, fake: Any, spans: Any) -> None:
    fake.answers = [Answer(status=429, retry_after_ms=1), Answer(status=429, retry_after_ms=1)]

    sdk.call(lambda client: client.with_options(max_retries=2).embeddings.create(**EMBEDDING))

    span = spans.only()
    assert span["taximeter.attempts"] == 3
    assert span["http.response.status_code"] == 200
    assert "error.type" not in span


def test_exhausted_retries_are_counted_too(sdk: Any, fake: Any, spans: Any) -> None:
    fake.answers = [Answer(status=429, retry_after_ms=1), Answer(status=429, retry_after_ms=1)]

    with pytest.raises(openai.RateLimitError):
        sdk.call(lambda client: client.with_options(max_retries=1).embeddings.create(**EMBEDDING))

    assert spans.only()["taximeter.attempts"] == 2


EMBEDDING = {"model": "text-embedding-3-small", "input": ["a", "b"]}


def test_a_refused_connection_has_sent_nothing(sdk: Any, spans: Any) -> None:
    port = free_port()
    nowhere = f"http://127.0.0.1:{port}/v1"

    with pytest.raises(openai.APIConnectionError):
        sdk.call(
            lambda client: client.with_options(base_url=nowhere).embeddings.create(**EMBEDDING)
        )

    span = spans.only()
    assert span["error.type"] == "APIConnectionError"
    assert span["server.port"] == port
    assert span["taximeter.usage.source"] == "none"


def test_a_raw_response_stays_raw(sdk: Any, fake: Any, spans: Any) -> None:
    fake.answers = [USAGE]

    raw = sdk.call(
        lambda client: client.chat.completions.with_raw_response.create(model="m", messages=[])
    )

    assert type(raw).__name__ == "LegacyAPIResponse"
    assert type(raw.parse()) is ChatCompletion
    assert spans.only().items() >= TOKENS.items()


@pytest.mark.parametrize(
    ("reading", "chunk_size"),
    [
        ("parse", ()),
        ("read", ()),
        ("json", ()),
        ("iter_lines", ()),
        ("iter_bytes", ()),
        ("iter_bytes", (100,)),
        ("iter_bytes", (1_000_000,)),
    ],
)
def test_a_streaming_response_is_counted_however_it_is_read(
    sdk: Any, fake: Any, spans: Any, reading: str, chunk_size: tuple[int, ...]
) -> None:
    fake.answers = [USAGE]

    def read(client: Any) -> Any:
        opened = client.chat.completions.with_streaming_response.create(model="m", messages=[])

        async def read_async() -> None:
            async with opened as response:
                result = getattr(response, reading)(*chunk_size)
                if inspect.isawaitable(result):
                    await result
                    return
                async for _ in result:
                    pass

        if isinstance(client, openai.AsyncOpenAI):
            return read_async()
        with opened as response:
            list(getattr(response, reading)(*chunk_size))
        return None

    sdk.call(read)

    assert spans.only().items() >= TOKENS.items()


def test_responses_report_their_own_names_of_the_same_usage(
    sdk: Any, fake: Any, spans: Any
) -> None:
    fake.answers = [Answer(input_tokens=90, cached_tokens=60, output_tokens=9, reasoning_tokens=4)]

    sdk.call(lambda client: client.responses.create(model="gpt-5", input="", max_output_tokens=99))

    span = spans.only()
    assert span["openai.api.type"] == "responses"
    assert span["gen_ai.operation.name"] == "chat"
    assert span["gen_ai.request.max_tokens"] == 99
    assert span["gen_ai.response.finish_reasons"] == ("completed",)
    assert span["gen_ai.usage.input_tokens"] == 90
    assert span["gen_ai.usage.cache_read.input_tokens"] == 60
    assert span["gen_ai.usage.output_tokens"] == 9
    assert span["gen_ai.usage.reasoning.output_tokens"] == 4


def test_a_stream_of_response_events_reports_at_its_end(sdk: Any, fake: Any, spans: Any) -> None:
    fake.answers = [Answer(input_tokens=90, output_tokens=9, service_tier="flex")]

    events = sdk.read(
        sdk.call(lambda client: client.responses.create(model="gpt-5", input="", stream=True))
    )

    assert type(events[-1]) is ResponseCompletedEvent
    span = spans.only()
    assert span["gen_ai.response.id"] == events[-1].response.id
    assert span["gen_ai.usage.input_tokens"] == 90
    assert span["openai.response.service_tier"] == "flex"


def test_the_tier_asked_for_is_not_taken_for_the_tier_served(sdk: Any, spans: Any) -> None:
    stream = sdk.call(lambda client: client.responses.create(model="m", input="", stream=True))

    sdk.read(stream, limit=1)
    sdk.close(stream)

    assert "openai.response.service_tier" not in spans.only()


def test_embeddings_are_counted_without_an_output(sdk: Any, spans: Any) -> None:
    answer = sdk.call(lambda client: client.embeddings.create(**EMBEDDING, dimensions=2000))

    assert len(answer.data[1].embedding) == 2000
    span = spans.only()
    assert span["gen_ai.operation.name"] == "embeddings"
    assert span["gen_ai.usage.input_tokens"] == 12
    assert "gen_ai.usage.output_tokens" not in span


def test_azure_is_named_and_its_deployment_is_the_model(sdk: Any, fake: Any, spans: Any) -> None:
    async_client = isinstance(sdk.client, openai.AsyncOpenAI)
    azure = openai.AsyncAzureOpenAI if async_client else openai.AzureOpenAI
    client = azure(api_key="k", api_version="2026-01-01", base_url=fake.url, max_retries=0)

    with pytest.raises(openai.NotFoundError):  # the fake has no deployments
        sdk.call(lambda _: client.chat.completions.create(model="our-gpt", messages=[]))
    sdk.close(client)

    span = spans.only()
    assert span["gen_ai.provider.name"] == "azure.ai.openai"
    assert span["gen_ai.request.model"] == "our-gpt"


def test_a_request_by_path_is_counted_and_a_free_one_is_not(sdk: Any, spans: Any) -> None:
    sdk.call(lambda client: client.post("/embeddings", body=EMBEDDING, cast_to=object))
    with pytest.raises(openai.NotFoundError):
        sdk.call(lambda client: client.models.list() if is_sync(client) else first_page(client))

    assert spans.only()["openai.api.type"] == "embeddings"


def is_sync(client: Any) -> bool:
    return isinstance(client, openai.OpenAI)


async def first_page(client: Any) -> Any:
    return await client.models.list()


def test_uninstrument_restores_the_very_same_functions() -> None:
    before = hooked_functions()

    taximeter.instrument()
    taximeter.instrument()
    during = hooked_functions()
    taximeter.uninstrument()
    taximeter.uninstrument()

    assert all(now is not then for now, then in zip(during, before, strict=True))
    assert all(now is then for now, then in zip(hooked_functions(), before, strict=True))


def hooked_functions() -> list[Any]:
    return [
        vars(owner)[name]
        for owner in (_base_client.SyncAPIClient, _base_client.AsyncAPIClient)
        for name in ("request", "_process_response")
    ]
