"""The real openai SDK against a loopback OpenAI, with every span held against the contract."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, SpanKind

import taximeter
from taximeter import guard
from taximeter.estimate import counter
from taximeter.spans import OwnTracer
from taximeter_api.demo.fake_openai import Answer, fake_openai, serving

SENTINEL = "the-secret-of-the-app"
CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "docs" / "wire.yaml").read_text())
TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "int": lambda value: type(value) is int,
    "double": lambda value: type(value) is float,
    "int[]": lambda value: all(type(item) is int for item in value),
    "double[]": lambda value: all(type(item) is float for item in value),
    "string[]": lambda value: all(type(item) is str for item in value),
}


class Fake:
    """The loopback OpenAI: answers are taken in turn, then the default repeats."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Answer] = []

    def decide(self, _path: str, _body: object) -> Answer:
        return self.answers.pop(0) if self.answers else Answer(text=f"Hello from {SENTINEL}.")


class Sdk:
    """Drives the sync and the async client by the same words."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.runner = asyncio.Runner()

    def call(self, request: Callable[[Any], Any]) -> Any:
        async def awaited() -> Any:
            return await request(self.client)

        if isinstance(self.client, openai.AsyncOpenAI):
            return self.runner.run(awaited())
        return request(self.client)

    def chat(self, **parameters: Any) -> Any:
        return self.call(lambda client: client.chat.completions.create(**chat(**parameters)))

    def read(self, stream: Any, limit: int | None = None) -> list[Any]:
        async def items() -> list[Any]:
            if limit is None:
                return [item async for item in stream]
            return [await anext(stream) for _ in range(limit)]

        if hasattr(stream, "__anext__"):
            return self.runner.run(items())
        return list(itertools.islice(stream, limit))

    def close(self, opened: Any) -> None:
        async def closed(result: Any) -> None:
            await result

        result = opened.close()
        if inspect.isawaitable(result):
            self.runner.run(closed(result))


def chat(**parameters: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": SENTINEL}]
    return {"model": "gpt-5", "messages": messages, **parameters}


@pytest.fixture(scope="session", autouse=True)
def _our_faults_fail_the_test() -> Iterator[None]:
    guard.reraise = True
    yield
    guard.reraise = False


@pytest.fixture(scope="session")
def served_fake() -> Iterator[Fake]:
    fake = Fake()
    with serving(fake_openai(fake.decide)) as url:
        fake.url = f"{url}/v1"
        yield fake


@pytest.fixture
def fake(served_fake: Fake) -> Fake:
    served_fake.answers.clear()
    return served_fake


class OwnProvider(NoOpTracerProvider):
    """What `instrument()` uses when it is given no provider, with an exporter of the test's."""

    def __init__(self, processor: Any) -> None:
        self.tracer = OwnTracer(processor, Resource({}))

    def get_tracer(self, *_: object) -> Any:
        return self.tracer


@pytest.fixture(params=["own", "given"])
def spans(request: pytest.FixtureRequest) -> Iterator[Spans]:
    """Give the spans of the test; at its end each is held against docs/wire.yaml."""
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    given = TracerProvider()
    given.add_span_processor(processor)
    taximeter.instrument(given if request.param == "given" else OwnProvider(processor))
    yield Spans(exporter)
    taximeter.uninstrument()
    for span in exporter.get_finished_spans():
        assert_in_contract(span)


class Spans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> tuple[ReadableSpan, ...]:
        counter.finish(timeout_s=10)
        return self._exporter.get_finished_spans()

    def only(self) -> dict[str, Any]:
        """Give the attributes of the one span there is."""
        (span,) = self.all()
        return dict(span.attributes or {})


def assert_in_contract(span: ReadableSpan) -> None:
    attributes = dict(span.attributes or {})
    assert span.kind is SpanKind.CLIENT
    named = ("gen_ai.operation.name", "gen_ai.request.model")
    assert span.name == " ".join(str(attributes[name]) for name in named if name in attributes)
    assert span.events == ()
    assert span.status.is_ok == ("error.type" not in attributes)
    for name, value in attributes.items():
        assert TYPES[contract_of(name)["type"]](value), (name, value)
    assert SENTINEL not in span.to_json()


def contract_of(name: str) -> dict[str, str]:
    for prefix in ("taximeter.tag.", "taximeter.meter."):
        if name.startswith(prefix):
            name = f"{prefix}*"
    entry: dict[str, str] = CONTRACT["attributes"][name]
    return entry


@pytest.fixture
def in_contract() -> Callable[[ReadableSpan], None]:
    """Give the check for tests that collect spans of their own."""
    return assert_in_contract


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest, fake: Fake) -> Iterator[Sdk]:
    sort = openai.OpenAI if request.param == "sync" else openai.AsyncOpenAI
    driver = Sdk(sort(api_key="sk-test", base_url=fake.url, max_retries=0))
    yield driver
    driver.close(driver.client)
    driver.runner.close()
