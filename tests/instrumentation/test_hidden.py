"""The app reads what it would have read, had the meter not asked for usage."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai._models import FinalRequestOptions

import taximeter
from taximeter import inject
from taximeter.answer import Answer
from taximeter.hidden import Hidden

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
NASTY = [
    "plain",
    "",
    '"usage":null}\n\n',
    ',"usage":null}',
    '{"choices":[],"usage":{"prompt_tokens":1}}',
    "\\",
    '\\"',
    "}]}{[",
    "é日本\u2028\U0001f9e0",
    "data: [DONE]\n\n",
]


def written(rng: random.Random, *, asked: bool) -> bytes:
    """Write a stream as a server does, with all the freedom that JSON and SSE leave it."""
    newline = rng.choice(["\n", "\n", "\r\n"])
    separators = rng.choice([(",", ":"), (",", ":"), (", ", ": ")])
    first, obfuscated = rng.random() < 0.2, rng.random() < 0.3

    def event(choices: list[Any], usage: Any) -> str:
        head: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk"}
        counted = {"usage": usage} if asked else {}
        padding = {"obfuscation": rng.choice(["aZ3", "{}", '"'])} if obfuscated else {}
        body = {"choices": choices}
        members = {**counted, **head, **body} if first else {**head, **body, **counted}
        data = json.dumps(
            {**members, **padding}, separators=separators, ensure_ascii=rng.random() < 0.5
        )
        return f"data: {data}{newline}{newline}"

    events = []
    for index in range(rng.randrange(1, 9)):
        delta: dict[str, Any] = {"content": rng.choice(NASTY)}
        if rng.random() < 0.2:
            delta["moderation"] = {"usage": None}
        if rng.random() < 0.1:
            events.append(f": keep-alive{newline}{newline}")
        if rng.random() < 0.1:
            events.append(event([], None))
        events.append(event([{"index": index % 2, "delta": delta}], None))
    last = event([], USAGE)
    return "".join([*events, last if asked else "", f"data: [DONE]{newline}{newline}"]).encode()


def cut(rng: random.Random, content: bytes) -> list[bytes]:
    places = sorted(rng.choices(range(len(content)), k=rng.randrange(0, 40)))
    ends = [*places, len(content)]
    return [content[start:end] for start, end in zip([0, *places], ends, strict=True)]


@pytest.mark.parametrize("seed", range(0, 2000, 100))
def test_the_bytes_are_those_of_a_stream_that_was_not_asked_wherever_it_is_cut(seed: int) -> None:
    for number in range(seed, seed + 100):
        asked = written(random.Random(number), asked=True)
        unasked = written(random.Random(number), asked=False)
        answer = Answer()
        hidden = Hidden(answer)

        shown = [hidden.shown(chunk) for chunk in cut(random.Random(-number), asked)]

        assert b"".join([*shown, hidden.rest()]) == unasked, number
        assert answer.attributes["gen_ai.usage.input_tokens"] == 9
        assert answer.attributes["gen_ai.usage.output_tokens"] == 4


def test_every_single_cut_of_a_stream_is_the_same() -> None:
    asked = written(random.Random(5), asked=True)
    unasked = written(random.Random(5), asked=False)

    for place in range(len(asked)):
        hidden = Hidden(Answer())
        shown = hidden.shown(asked[:place]) + hidden.shown(asked[place:]) + hidden.rest()
        assert shown == unasked


def test_whole_events_are_not_held_back() -> None:
    hidden = Hidden(Answer())

    assert hidden.shown(b'data: {"a":1}\n\ndata: {"b') == b'data: {"a":1}\n\n'
    assert hidden.shown(b'":2}\n\n') == b'data: {"b":2}\n\n'


def test_what_never_ends_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taximeter.hidden.LONGEST_EVENT", 10)
    hidden = Hidden(Answer())

    assert hidden.shown(b"no event, but a page") == b"no event, but a page"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"usage":[1]}\n\n',
        b'data: ["usage"]\n\n',
        b'data: not json "usage"\n\n',
        b'data: {"choices":[{"usage":null}]}\n\n',
    ],
)
def test_what_is_not_the_effect_of_the_option_is_shown(event: bytes) -> None:
    assert Hidden(Answer()).shown(event) == event


class Server(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers in cut chunks, with usage when asked for it; optionally breaks off."""

    def __init__(self, *, compressed: bool = False, breaks: bool = False) -> None:
        self.compressed = compressed
        self.breaks = breaks
        self.bodies: list[dict[str, Any]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        asked = (body.get("stream_options") or {}).get("include_usage", False)
        content = chat_stream(asked=asked)
        headers = {"content-type": "text/event-stream"}
        if self.compressed:
            content, headers["content-encoding"] = gzip.compress(content), "gzip"
        chunks = cut(random.Random(len(content)), content)
        return httpx2.Response(200, headers=headers, stream=Chunks(chunks, breaks=self.breaks))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, chunks: list[bytes], *, breaks: bool) -> None:
        self.chunks = chunks
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.breaks:
            raise httpx2.ReadError("broken")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def chat_stream(*, asked: bool) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
    deltas = [{"role": "assistant", "content": ""}, *({"content": text} for text in NASTY)]
    counted = {"usage": None} if asked else {}
    bodies: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **counted}
        for delta in deltas
    ]
    bodies.append(
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **counted}
    )
    if asked:
        bodies.append({**head, "choices": [], "usage": USAGE})
    texts = [json.dumps(body, separators=(",", ":")) for body in bodies]
    return "".join(f"data: {text}\n\n" for text in [*texts, "[DONE]"]).encode()


CHAT: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}
STREAMED = {**CHAT, "stream": True}


def of_stream(client: Any) -> Any:
    return [chunk.model_dump() for chunk in client.chat.completions.create(**STREAMED)]


def of_helper(client: Any) -> Any:
    with client.chat.completions.stream(**CHAT) as stream:
        return [event.model_dump() for event in stream]


def of_raw(client: Any) -> Any:
    raw = client.chat.completions.with_raw_response.create(**STREAMED)
    return [chunk.model_dump() for chunk in raw.parse()]


def of_opened(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def opened(client: Any) -> Any:
        with client.chat.completions.with_streaming_response.create(**STREAMED) as response:
            return read(response)

    return opened


async def async_of_stream(client: Any) -> Any:
    stream = await client.chat.completions.create(**STREAMED)
    return [chunk.model_dump() async for chunk in stream]


async def async_of_helper(client: Any) -> Any:
    async with client.chat.completions.stream(**CHAT) as stream:
        return [event.model_dump() async for event in stream]


def async_of_opened(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def opened(client: Any) -> Any:
        manager = client.chat.completions.with_streaming_response.create(**STREAMED)
        async with manager as response:
            result = read(response)
            if hasattr(result, "__aiter__"):
                return [piece async for piece in result]
            return await result

    return opened


READINGS = {
    "stream": (of_stream, async_of_stream),
    "helper": (of_helper, async_of_helper),
    "raw": (of_raw, async_of_stream),
    "bytes": (
        of_opened(lambda response: b"".join(response.iter_bytes())),
        async_of_opened(lambda response: response.read()),
    ),
    "bytes of 7": (
        of_opened(lambda response: list(response.iter_bytes(7))),
        async_of_opened(lambda response: response.iter_bytes(7)),
    ),
    "bytes of a million": (
        of_opened(lambda response: list(response.iter_bytes(1_000_000))),
        async_of_opened(lambda response: response.iter_bytes(1_000_000)),
    ),
    "lines": (
        of_opened(lambda response: list(response.iter_lines())),
        async_of_opened(lambda response: response.iter_lines()),
    ),
    "text": (
        of_opened(lambda response: response.text()),
        async_of_opened(lambda response: response.text()),
    ),
    "read twice": (
        of_opened(lambda response: [response.read(), response.read()]),
        async_of_opened(lambda response: response.read()),
    ),
}
RAW = (
    of_opened(lambda response: list(response.http_response.iter_raw(7))),
    async_of_opened(lambda response: response.http_response.aiter_raw(7)),
)


def results(readings: tuple[Any, Any], server: Server) -> list[Any]:
    async def read_async() -> Any:
        async with openai.AsyncOpenAI(
            api_key="k", http_client=httpx2.AsyncClient(transport=server), max_retries=0
        ) as client:
            return await readings[1](client)

    with openai.OpenAI(
        api_key="k", http_client=httpx2.Client(transport=server), max_retries=0
    ) as client:
        return [readings[0](client), asyncio.run(read_async())]


async def async_of_broken(client: Any) -> Any:
    manager = client.chat.completions.with_streaming_response.create(**STREAMED)
    came = []
    async with manager as response:
        try:
            async for chunk in response.iter_bytes():
                came.append(chunk)  # noqa: PERF401 - what came before the error counts
        except httpx2.ReadError:
            return b"".join(came)
    raise AssertionError("not broken")


def of_broken(client: Any) -> Any:
    came: list[bytes] = []
    with client.chat.completions.with_streaming_response.create(**STREAMED) as response:
        try:
            came.extend(response.iter_bytes())
        except httpx2.ReadError:
            return b"".join(came)
    raise AssertionError("not broken")


SERVERS: dict[str, dict[str, bool]] = {"plain": {}, "compressed": {"compressed": True}}
CASES = [
    *((server, reading) for server in SERVERS for reading in READINGS),
    ("plain", "raw bytes"),
    ("broken", "broken"),
]
SERVERS["broken"] = {"breaks": True}
READINGS |= {"raw bytes": RAW, "broken": (of_broken, async_of_broken)}


@pytest.fixture(scope="module")
def unmetered() -> dict[tuple[str, str], list[Any]]:
    """Give what is read, and what was sent, before the meter is there."""
    found = {}
    for server, reading in CASES:
        bare = Server(**SERVERS[server])
        found[server, reading] = [results(READINGS[reading], bare), bare.bodies]
    return found


@pytest.mark.parametrize(("server", "reading"), CASES)
def test_the_app_reads_the_same_however_it_reads(
    unmetered: dict[tuple[str, str], list[Any]], spans: Any, server: str, reading: str
) -> None:
    metered = Server(**SERVERS[server])

    read = results(READINGS[reading], metered)

    asked = [body.pop("stream_options") for body in metered.bodies]
    assert [read, metered.bodies] == unmetered[server, reading]
    assert asked == [{"include_usage": True}] * 2
    sources = [span.attributes["taximeter.usage.source"] for span in spans.all()]
    assert sources == ["reported", "reported"]


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        (
            {"stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
        ),
        (
            {"extra_body": {"stream_options": {"include_obfuscation": False}}},
            {"include_obfuscation": False, "include_usage": True},
        ),
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
        ({"extra_body": {"stream_options": {"include_usage": False}}}, {"include_usage": False}),
    ],
)
@pytest.mark.usefixtures("spans")
def test_the_option_joins_what_the_app_set_and_never_overrules_it(
    parameters: dict[str, Any], options: dict[str, Any]
) -> None:
    server, before = Server(), json.dumps(parameters)

    with client_of(server) as client:
        list(client.chat.completions.create(**STREAMED, **parameters))

    assert server.bodies[0]["stream_options"] == options
    assert json.dumps(parameters) == before


@pytest.mark.usefixtures("spans")
def test_an_app_that_asked_sees_its_usage() -> None:
    with client_of(Server()) as client:
        chunks = list(
            client.chat.completions.create(**STREAMED, stream_options={"include_usage": True})
        )

    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None


@pytest.mark.usefixtures("spans")
def test_the_apps_own_objects_stay_as_they_were() -> None:
    server, body = Server(), dict(STREAMED)
    options = FinalRequestOptions.construct(method="post", url="/chat/completions", json_data=body)

    with client_of(server) as client:
        list(client.request(object, options, stream=True, stream_cls=openai.Stream[object]))

    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert options.json_data == body == STREAMED


@pytest.fixture
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in request.param.items():
        monkeypatch.setenv(f"TAXIMETER_{name}", value)


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        ({}, "https://llm.example.com/v1"),
        ({"INJECT_USAGE_HOSTS": "example.com"}, "https://api.openai.com.example.com/v1"),
        ({"INJECT_USAGE": "false", "INJECT_USAGE_HOSTS": "*"}, "https://api.openai.com/v1"),
    ],
    indirect=["environment"],
)
@pytest.mark.usefixtures("environment", "spans")
def test_a_server_that_is_not_known_to_take_the_option_is_not_asked(base_url: str) -> None:
    server = Server()

    with client_of(server, base_url) as client:
        list(client.chat.completions.create(**STREAMED))

    assert server.bodies == [STREAMED]


@pytest.mark.parametrize(
    "environment",
    [{"INJECT_USAGE_HOSTS": "*"}, {"INJECT_USAGE_HOSTS": "a.example.com, LLM.example.com"}],
    indirect=True,
)
@pytest.mark.usefixtures("environment", "spans")
def test_a_server_that_the_user_lists_is_asked() -> None:
    server = Server()

    with client_of(server, "https://llm.example.com/v1") as client:
        list(client.chat.completions.create(**STREAMED))

    assert server.bodies[0]["stream_options"] == {"include_usage": True}


@pytest.mark.usefixtures("spans")
def test_calls_that_have_no_such_option_are_left_alone() -> None:
    server = Server()

    with client_of(server) as client:
        list(client.responses.create(model="gpt-5", input="x", stream=True))
        client.post("/chat/completions", body=dict(CHAT), cast_to=object, stream=True)

    assert server.bodies == [{"model": "gpt-5", "input": "x", "stream": True}, CHAT]


def test_a_server_that_refuses_the_option_is_asked_only_once(
    spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inject, "_refusing", set())
    bodies = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.content))
        error = {"message": "Unknown parameter: 'stream_options'."}
        return httpx2.Response(400, json={"error": error})

    with client_of(httpx2.MockTransport(refuse)) as client:
        for _ in range(2):
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(**STREAMED)

    assert [body.get("stream_options") for body in bodies] == [{"include_usage": True}, None]
    assert len(spans.all()) == 2


def client_of(transport: Any, base_url: str = "https://api.openai.com/v1") -> openai.OpenAI:
    client = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="k", base_url=base_url, http_client=client, max_retries=0)


def test_uninstrumented_nothing_is_asked() -> None:
    taximeter.instrument()
    taximeter.uninstrument()
    server = Server()

    with client_of(server) as client:
        list(client.chat.completions.create(**STREAMED))

    assert server.bodies == [STREAMED]
