from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import taximeter
from taximeter_api.demo.fake_openai import Answer

API_KEY = "sk-proj-0123456789abcdefWXYZ"
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "the-secret-of-the-app"}]}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


class Plain:
    """Drives the clients of both libraries, sync and async, by the same words."""

    def __init__(self, client: Any, url: str) -> None:
        self.client = client
        self.url = url
        self.runner = asyncio.Runner()

    def run(self, result: Any) -> Any:
        async def awaited() -> Any:
            return await result

        return self.runner.run(awaited()) if hasattr(result, "__await__") else result

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return self.run(self.client.post(f"{self.url}{path}", json=body, **options))

    def stream(self, body: Any) -> list[str]:
        opened = self.client.stream("POST", f"{self.url}/chat/completions", json=body)

        async def read() -> list[str]:
            async with opened as response:
                return [line async for line in response.aiter_lines()]

        if hasattr(opened, "__aenter__"):
            return self.runner.run(read())
        with opened as response:
            return list(response.iter_lines())


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return {"httpx": httpx, "httpx2": httpx2}[request.param]


@pytest.fixture(params=["Client", "AsyncClient"])
def plain(
    request: pytest.FixtureRequest, library: Any, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Plain]:
    monkeypatch.setenv("TAXIMETER_HOSTS", "gateway.example, 127.0.0.1")
    plain = Plain(getattr(library, request.param)(), fake.url)
    yield plain
    plain.run(plain.client.aclose() if hasattr(plain.client, "aclose") else plain.client.close())
    plain.runner.close()


def test_what_a_transport_raises_reaches_the_app_as_it_is(library: Any, spans: Any) -> None:
    raised = StopIteration("answers of a test that are used up")

    def answer(_: Any) -> Any:
        raise raised

    client = library.Client(transport=library.MockTransport(answer))

    with pytest.raises(StopIteration) as caught:
        client.post("https://api.openai.com/v1/chat/completions", json=CHAT)

    assert caught.value is raised
    assert spans.only()["error.type"] == "StopIteration"
    client.close()


def test_a_call_without_the_sdk_is_metered_like_one_with_it(
    plain: Plain, fake: Any, spans: Any
) -> None:
    fake.answers = [Answer(input_tokens=90, cached_tokens=60, output_tokens=9)]

    answer = plain.post(
        "/chat/completions", CHAT, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=9
    )

    span = spans.only()
    assert answer.json()["id"] == span["gen_ai.response.id"]
    assert span["gen_ai.operation.name"] == "chat"
    assert span["gen_ai.request.model"] == "gpt-5"
    assert span["gen_ai.usage.input_tokens"] == 90
    assert span["gen_ai.usage.cache_read.input_tokens"] == 60
    assert span["taximeter.usage.source"] == "reported"
    assert span["taximeter.request.id"].startswith("req_")
    assert span["taximeter.request.timeout_set"] is True
    assert span["taximeter.api_key"] == "WXYZ"
    assert span["taximeter.attempt.statuses"] == (200,)


def test_a_stream_without_the_sdk_is_read_along(plain: Plain, spans: Any) -> None:
    lines = plain.stream(STREAM)

    span = spans.only()
    assert lines[-2] == "data: [DONE]"
    assert span["gen_ai.request.stream"] is True
    assert span["gen_ai.usage.output_tokens"] == 5
    assert span["gen_ai.response.time_to_first_chunk"] > 0


def test_events_that_were_read_at_once_are_counted(plain: Plain, spans: Any) -> None:
    plain.post("/chat/completions", STREAM)

    span = spans.only()
    assert span["gen_ai.usage.output_tokens"] == 5
    assert span["gen_ai.response.finish_reasons"] == ("stop",)


def test_a_refusal_without_the_sdk_is_an_error_that_bills_nothing(
    plain: Plain, fake: Any, spans: Any
) -> None:
    fake.answers = [Answer(status=429)]

    answer = plain.post("/chat/completions", CHAT)

    span = spans.only()
    assert answer.status_code == 429
    assert span["error.type"] == "429"
    assert "taximeter.usage.source" not in span


def test_an_exception_of_the_library_passes_through(plain: Plain, library: Any, spans: Any) -> None:
    with pytest.raises(library.UnsupportedProtocol):
        plain.run(plain.client.post("ftp://127.0.0.1/v1/embeddings", json={"model": "m"}))

    assert spans.only()["error.type"] == "UnsupportedProtocol"


def test_the_deployment_of_an_azure_url_is_the_model(plain: Plain, spans: Any) -> None:
    plain.post("/deployments/our-gpt/chat/completions", {"messages": []})  # a 404 of the fake

    assert spans.only()["gen_ai.request.model"] == "our-gpt"


def test_other_hosts_paths_and_methods_are_left_alone(plain: Plain, spans: Any) -> None:
    plain.post("/files", {})
    plain.run(plain.client.get(f"{plain.url}/chat/completions"))
    plain.post("/chat/completions", CHAT)
    other = plain.url.replace("127.0.0.1", "localhost")
    plain.run(plain.client.post(f"{other}/chat/completions", json=CHAT))

    assert [dict(span.attributes)["server.address"] for span in spans.all()] == ["127.0.0.1"]


def test_without_the_extra_the_libraries_are_left_alone(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.httpx", None)
    before = library.Client.send

    taximeter.instrument(TracerProvider())
    during = library.Client.send
    taximeter.uninstrument()

    assert during is before


@pytest.fixture
def metered_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXIMETER_HOSTS", "127.0.0.1")


@pytest.mark.usefixtures("metered_hosts")
def test_a_call_of_the_sdk_is_counted_once(sdk: Any, spans: Any) -> None:
    sdk.chat()
    sdk.read(sdk.chat(stream=True))

    assert len(spans.all()) == 2


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Set up an app's own provider with the official instrumentors of both libraries on it."""
    monkeypatch.setenv("TAXIMETER_HOSTS", "127.0.0.1")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    official = (HTTPXClientInstrumentor(), HTTPX2ClientInstrumentor())
    for instrumentor in official:
        instrumentor.instrument(tracer_provider=provider)
    taximeter.instrument(provider)
    yield exporter
    taximeter.uninstrument()
    for instrumentor in official:
        instrumentor.uninstrument()


def test_attempts_of_the_sdk_are_children_of_the_call(
    sdk: Any, fake: Any, exporter: InMemorySpanExporter
) -> None:
    fake.answers = [Answer(status=429, retry_after_ms=1)]

    sdk.call(
        lambda client: client.with_options(max_retries=1).embeddings.create(model="m", input="a")
    )

    first, second, call = exporter.get_finished_spans()
    assert call.name == "embeddings m"
    assert call.parent is None
    assert [span.parent for span in (first, second)] == [call.context, call.context]


def test_the_attempt_of_a_plain_call_is_its_child(
    plain: Plain, exporter: InMemorySpanExporter
) -> None:
    plain.post("/embeddings", {"model": "m", "input": "a"})

    attempt, call = exporter.get_finished_spans()
    assert call.name == "embeddings m"
    assert attempt.parent == call.context
