"""A call without a tag is named by the request it serves: real frameworks, real spans."""

from __future__ import annotations

import contextlib
import types
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
import django.conf
import django.http
import django.test
import django.urls
import fastapi
import flask
import openai
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, Tracer

import taximeter
from taximeter.origin import _serving, request_served
from taximeter_api.demo.fake_openai import serving


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """Be the app's own provider; the real setter works once in a process."""
    provider = TracerProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("app")


@pytest.fixture
def client(provider: TracerProvider, fake: Any) -> Iterator[openai.OpenAI]:  # noqa: ARG001 - set before `spans`
    with openai.OpenAI(api_key="k", base_url=fake.url) as client:
        yield client


def ask(client: openai.OpenAI) -> None:
    client.embeddings.create(model="m", input="x")


def stream_of(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="m", messages=[], stream=True)


def features(spans: Any) -> set[str]:
    return {span.attributes["taximeter.feature"] for span in spans.all()}


def fastapi_app(client: openai.OpenAI, tracer: Tracer) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/plain/{item}")
    async def plain(item: str) -> str:
        async with openai.AsyncOpenAI(api_key="k", base_url=client.base_url) as own:
            await own.embeddings.create(model="m", input=item)
        return "ok"

    @app.get("/thread/{item}")
    def thread(item: str) -> str:
        with tracer.start_as_current_span("retrieve"), tracer.start_as_current_span("rank"):
            ask(client)
        return item

    @app.get("/body/{item}")
    def body(item: str) -> fastapi.responses.StreamingResponse:
        def pieces() -> Iterator[str]:
            for _ in stream_of(client):
                yield item

        return fastapi.responses.StreamingResponse(pieces())

    @app.get("/later/{item}")
    async def later(item: str) -> fastapi.responses.StreamingResponse:
        own = openai.AsyncOpenAI(api_key="k", base_url=client.base_url)
        stream = await own.chat.completions.create(model="m", messages=[], stream=True)

        async def pieces() -> AsyncIterator[str]:
            async for _ in stream:
                yield item
            await own.close()

        return fastapi.responses.StreamingResponse(pieces())

    return app


@pytest.mark.parametrize("path", ["plain", "thread", "body", "later"])
def test_a_call_in_fastapi_is_named_by_its_route(
    client: openai.OpenAI, provider: TracerProvider, spans: Any, path: str
) -> None:
    app = fastapi_app(client, provider.get_tracer("app"))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)

    with serving(app) as url, urllib.request.urlopen(f"{url}/{path}/7") as answer:
        answer.read()

    assert features(spans) == {f"/{path}/{{item}}"}


def flask_app(client: openai.OpenAI, tracer: Tracer) -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/plain/<int:item>")
    def plain(item: int) -> str:
        with tracer.start_as_current_span("retrieve"):
            ask(client)
        return str(item)

    @app.get("/later/<int:item>")
    def later(item: int) -> flask.Response:
        stream = stream_of(client)
        return flask.Response(str(item) for _ in stream)

    @app.get("/body/<int:item>")
    def body(item: int) -> flask.Response:
        def pieces() -> Iterator[str]:
            for _ in stream_of(client):
                yield str(item)

        return flask.Response(flask.stream_with_context(pieces()))

    @app.get("/pool/<int:item>")
    def pool(item: int) -> str:
        with taximeter.tagged_executor(ThreadPoolExecutor()) as executor:
            executor.submit(ask, client).result()
        return str(item)

    return app


@pytest.mark.parametrize("path", ["plain", "later", "pool"])
def test_a_call_in_flask_is_named_by_its_route(
    client: openai.OpenAI, provider: TracerProvider, spans: Any, path: str
) -> None:
    app = flask_app(client, provider.get_tracer("app"))
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)  # type: ignore[no-untyped-call]

    with app.test_client() as browser:
        assert browser.get(f"/{path}/7").data.startswith(b"7")

    assert features(spans) == {f"/{path}/<int:item>"}


def test_in_a_body_of_flask_whose_span_has_ended_the_function_names_the_call(
    client: openai.OpenAI, provider: TracerProvider, spans: Any
) -> None:
    app = flask_app(client, provider.get_tracer("app"))
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)  # type: ignore[no-untyped-call]

    with app.test_client() as browser:
        assert browser.get("/body/7").data.startswith(b"7")

    assert features(spans) == {f"{__name__}.stream_of"}


@pytest.fixture
def django_client(
    client: openai.OpenAI,
    provider: TracerProvider,
    spans: Any,  # noqa: ARG001
) -> Iterator[django.test.Client]:
    def plain(_: Any, item: int) -> django.http.HttpResponse:
        with provider.get_tracer("app").start_as_current_span("retrieve"):
            ask(client)
        return django.http.HttpResponse(str(item))

    def later(_: Any, item: int) -> django.http.StreamingHttpResponse:
        stream = stream_of(client)
        return django.http.StreamingHttpResponse(str(item) for _ in stream)

    if not django.conf.settings.configured:
        django.conf.settings.configure(ALLOWED_HOSTS=["*"], MIDDLEWARE=[], SECRET_KEY="s")
        django.setup()
    DjangoInstrumentor().instrument(tracer_provider=provider)
    urls: Any = types.ModuleType("urls")
    urls.urlpatterns = [
        django.urls.path("plain/<int:item>", plain),
        django.urls.path("later/<int:item>", later),
    ]
    with django.test.override_settings(ROOT_URLCONF=urls):
        yield django.test.Client()
    DjangoInstrumentor().uninstrument()


@pytest.mark.parametrize("path", ["plain", "later"])
def test_a_call_in_django_is_named_by_its_route(
    django_client: django.test.Client, spans: Any, path: str
) -> None:
    answer = django_client.get(f"/{path}/7")

    assert answer.getvalue().startswith(b"7")
    assert features(spans) == {f"{path}/<int:item>"}


def test_a_route_that_is_known_only_after_the_call_began_names_it(
    client: openai.OpenAI, tracer: Tracer, spans: Any
) -> None:
    with tracer.start_as_current_span("GET", kind=SpanKind.SERVER) as server:
        with tracer.start_as_current_span("middleware"):
            stream = stream_of(client)
        server.set_attribute("http.route", "/late/{id}")
    for _ in stream:
        pass

    assert features(spans) == {"/late/{id}"}


def test_requests_of_one_trace_that_run_at_once_keep_their_own_routes(
    client: openai.OpenAI, tracer: Tracer, spans: Any
) -> None:
    with contextlib.ExitStack() as both:
        inner = []
        for route in ("/a", "/b"):
            server = tracer.start_span(
                "GET", kind=SpanKind.SERVER, attributes={"http.route": route}
            )
            both.callback(server.end)
            inner.append(tracer.start_span("work", context=trace.set_span_in_context(server)))
        for span in inner:
            with trace.use_span(span, end_on_exit=True):
                ask(client)

    assert [span.attributes["taximeter.feature"] for span in spans.all()] == ["/a", "/b"]


def test_a_tag_wins_over_the_route(client: openai.OpenAI, tracer: Tracer, spans: Any) -> None:
    route = {"http.route": "/chat"}

    with (
        tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=route),
        taximeter.tag(feature="tagged"),
    ):
        ask(client)

    assert features(spans) == {"tagged"}


@pytest.mark.parametrize("spans", ["own"], indirect=True)
def test_in_a_request_that_the_app_does_not_sample_the_function_names_the_call(
    client: openai.OpenAI, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    attributes = {"http.route": "/chat"}

    with provider.get_tracer("app").start_as_current_span(
        "GET", kind=SpanKind.SERVER, attributes=attributes
    ):
        ask(client)

    assert features(spans) == {f"{__name__}.ask"}


def test_a_provider_that_appears_after_the_start_is_followed_from_the_next_call_on(
    client: openai.OpenAI, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = TracerProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", late)
    tracer = late.get_tracer("app")
    route = {"http.route": "/chat"}

    for _ in range(2):
        with (
            tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=route),
            tracer.start_as_current_span("inner"),
        ):
            ask(client)

    found = [span.attributes["taximeter.feature"] for span in spans.all()]
    assert found == [f"{__name__}.ask", "/chat"]


@pytest.mark.parametrize("provider_class", [object, type("Slots", (), {"__slots__": ()})])
def test_a_provider_that_nobody_can_follow_is_left_alone(
    client: openai.OpenAI, spans: Any, monkeypatch: pytest.MonkeyPatch, provider_class: type
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider_class())

    ask(client)

    assert features(spans) == {f"{__name__}.ask"}


def test_what_is_known_of_a_span_goes_with_the_span(
    client: openai.OpenAI, tracer: Tracer, spans: Any
) -> None:
    with (
        tracer.start_as_current_span("GET", kind=SpanKind.SERVER),
        tracer.start_as_current_span("inner"),
    ):
        ask(client)
        assert _serving

    assert spans.all()
    assert not _serving


def test_after_uninstrument_no_span_of_the_app_is_followed(
    client: openai.OpenAI, tracer: Tracer, spans: Any
) -> None:
    ask(client)
    taximeter.uninstrument()

    with (
        tracer.start_as_current_span("GET", kind=SpanKind.SERVER),
        tracer.start_as_current_span("inner"),
    ):
        assert not _serving
    assert len(spans.all()) == 1


def test_a_foreign_span_without_attributes_has_no_route() -> None:
    assert request_served(trace.INVALID_SPAN) is None
    assert request_served(None) is None
