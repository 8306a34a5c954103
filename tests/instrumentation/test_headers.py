"""Tags in headers: the provider never sees them, the app's own services do when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from opentelemetry import baggage, context
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

import taximeter
from taximeter.tags import current_tags
from taximeter_api.demo.fake_openai import fake_openai, serving

TAGGED = {
    "x-taximeter-feature": "tag-search",
    "X-Taximeter-User": "tag-u-1",
    "x-taximeter-prompt-name": "tag-rank",
    "x-taximeter-tag-plan": "tag-gold",
}


class Wire:
    """What the provider got: headers and body of each request, as bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.heads: list[list[tuple[bytes, bytes]]] = []
        self.bodies: list[bytes] = []

    def app(self) -> Any:
        inner = fake_openai()

        async def recording(scope: Any, receive: Any, send: Any) -> None:
            self.heads.append(scope["headers"])

            async def received() -> Any:
                message = await receive()
                self.bodies += filter(None, [message.get("body")])
                return message

            await inner(scope, received, send)

        return recording

    def text(self) -> bytes:
        pairs = [key + b": " + value for head in self.heads for key, value in head]
        return b"\n".join(pairs + self.bodies).lower()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    with serving(wire.app()) as url:
        wire.url = f"{url}/v1"
        yield wire


def client_of(wire: Wire, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=wire.url, **options)


def embed(client: openai.OpenAI, **parameters: Any) -> None:
    client.embeddings.create(model="m", input="x", **parameters)


def test_a_calls_own_headers_tag_it_and_win_over_the_tags_around_it(wire: Wire, spans: Any) -> None:
    with client_of(wire) as client, taximeter.tag(feature="around", team="growth"):
        embed(client, extra_headers=TAGGED, user="in-request")

    assert (
        spans.only().items()
        >= {
            "taximeter.feature": "tag-search",
            "user.id": "tag-u-1",
            "taximeter.prompt.name": "tag-rank",
            "taximeter.tag.plan": "tag-gold",
            "taximeter.team": "growth",
        }.items()
    )


def test_default_headers_tag_all_calls_of_a_client_and_a_calls_own_win(
    wire: Wire, spans: Any
) -> None:
    plain = httpx2.Client(headers={"x-taximeter-team": "tag-growth"})
    defaults = {"x-taximeter-feature": "tag-default", "x-taximeter-tag-plan": "tag-gold"}

    with client_of(wire, default_headers=defaults, http_client=plain) as client:
        embed(client)
        embed(client, extra_headers={"X-TAXIMETER-FEATURE": "tag-own"})
        embed(client, extra_headers={"x-taximeter-feature": openai.omit})

    features = [span.attributes["taximeter.feature"] for span in spans.all()]
    assert features == ["tag-default", "tag-own", f"{__name__}.embed"]
    assert {span.attributes["taximeter.team"] for span in spans.all()} == {"tag-growth"}
    assert b"taximeter" not in wire.text()
    assert b"tag-" not in wire.text()


@pytest.fixture
def metering() -> Iterator[Callable[[], None]]:
    """Switch the meter on in the middle of a test."""
    yield lambda: taximeter.instrument(TracerProvider())
    taximeter.uninstrument()


@pytest.mark.parametrize("streaming", [False, True])
def test_the_bytes_that_the_provider_gets_are_those_of_an_untagged_bare_client(
    wire: Wire, metering: Callable[[], None], streaming: bool
) -> None:
    question: Any = {"model": "m", "messages": [], "stream": streaming}
    with client_of(wire) as client:
        client.chat.completions.create(**question, extra_headers={"x-mine": "1"})
    metering()
    with client_of(wire) as client, taximeter.tag(feature="tag-around", plan="tag-gold"):
        client.chat.completions.create(**question, extra_headers={"x-mine": "1", **TAGGED})

    bare, metered = wire.heads
    assert metered == bare
    assert (b"x-mine", b"1") in metered
    assert wire.bodies == [wire.bodies[0]] * 2


def test_the_apps_own_mapping_of_headers_stays_as_it_is(wire: Wire, spans: Any) -> None:
    mine = {"x-mine": "1", **TAGGED}

    with client_of(wire) as client:
        embed(client, extra_headers=mine)
        embed(client, extra_headers=mine)

    assert mine == {"x-mine": "1", **TAGGED}
    assert [span.attributes["taximeter.feature"] for span in spans.all()] == ["tag-search"] * 2


@pytest.mark.usefixtures("spans")
def test_a_request_that_does_not_bill_takes_no_tags_along_either(wire: Wire) -> None:
    with client_of(wire, default_headers=TAGGED) as client, pytest.raises(openai.NotFoundError):
        client.models.list()

    assert wire.heads
    assert b"taximeter" not in wire.text()


def test_a_tag_in_a_header_may_be_in_any_script(wire: Wire, spans: Any) -> None:
    with client_of(wire) as client:
        embed(client, extra_headers={"x-taximeter-feature": "поиск"})

    assert spans.only()["taximeter.feature"] == "поиск"


def test_each_attempt_goes_without_the_tags(spans: Any) -> None:
    sent: list[httpx2.Headers] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers)
        return httpx2.Response(429, headers={"retry-after-ms": "1"})

    http = httpx2.Client(transport=httpx2.MockTransport(refuse))
    with (
        openai.OpenAI(api_key="k", http_client=http, max_retries=2) as client,
        pytest.raises(openai.RateLimitError),
    ):
        embed(client, extra_headers=TAGGED)

    assert len(sent) == 3
    assert not [key for headers in sent for key in headers if key.startswith("x-taximeter")]
    assert spans.only()["taximeter.feature"] == "tag-search"


def test_with_http_instrumentation_and_baggage_the_provider_still_sees_no_tag(
    wire: Wire, spans: Any
) -> None:
    provider = TracerProvider()
    HTTPX2ClientInstrumentor().instrument(tracer_provider=provider)
    token = context.attach(baggage.set_baggage("mine", "1"))
    try:
        with client_of(wire) as client, taximeter.tag(feature="tag-around", plan="tag-gold"):
            embed(client, extra_headers=TAGGED)
    finally:
        context.detach(token)
        HTTPX2ClientInstrumentor().uninstrument()

    assert dict(wire.heads[0])[b"baggage"] == b"mine=1"
    assert b"tag-" not in wire.text()
    assert b"taximeter" not in wire.text()
    assert spans.only()["taximeter.feature"] == "tag-search"


def test_tags_go_to_a_service_of_ones_own_when_asked_for() -> None:
    assert taximeter.headers() == {}
    with taximeter.tag(feature="поиск & more", user="ü@x", prompt_name="p", Plan_A="50%=half"):
        before, sent = dict(current_tags()), taximeter.headers()

    with taximeter.tags_from(sent):
        after = dict(current_tags())

    assert list(sent) == ["x-taximeter-tags"]
    assert sent["x-taximeter-tags"].isascii()
    assert after == before


def test_tags_are_read_from_headers_in_any_case_and_from_single_ones() -> None:
    came = {
        "Host": "x",
        "X-Taximeter-Tags": "feature=search&plan=gold",
        "X-Taximeter-User": "u-1",
        "X-Taximeter-Tag-Region": "eu",
    }

    with taximeter.tags_from(came):
        tags = dict(current_tags())

    assert tags == {
        "taximeter.feature": "search",
        "taximeter.tag.plan": "gold",
        "user.id": "u-1",
        "taximeter.tag.region": "eu",
    }


@pytest.mark.parametrize("text", ["", "&&==", "%ff%zz", "a", "=x"])
def test_headers_that_make_no_sense_give_no_error(text: str) -> None:
    with taximeter.tags_from({"x-taximeter-tags": text}):
        pass
