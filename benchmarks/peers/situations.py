"""What an app does with the SDK, and what a bill needs to know of it."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import openai
from fake import CACHED, INPUT, MODEL, OUTPUT, REASONING, SENTINEL, TIER
from pydantic import BaseModel


@dataclass(frozen=True, kw_only=True)
class Bill:
    """The truth of one call; None is "must be absent", "any" is not judged."""

    model: str = MODEL
    input: int | None = INPUT
    cached: int | None = CACHED
    output: int | None = OUTPUT
    reasoning: int | None = REASONING
    tier: str = TIER
    failed: bool | None = False


NO_USAGE: dict[str, Any] = {"input": None, "cached": None, "output": None, "reasoning": None}
FULL = Bill()
UNTIERED = Bill(tier="any")
LOST = Bill(**NO_USAGE)
DROPPED = Bill(**NO_USAGE, model="any", tier="any", failed=None)
REFUSED = Bill(**NO_USAGE, model="any", tier="any", failed=True)
EMBEDDED = Bill(
    model="text-embedding-3-small", cached=None, output=None, reasoning=None, tier="any"
)
IMAGE = Bill(model="gpt-image-1", cached=None, reasoning=None, tier="any")
HEARD = Bill(model="gpt-4o-transcribe", cached=None, reasoning=None, tier="any")
SPOKEN = Bill(**NO_USAGE, model="tts-1", tier="any")


class Clients:
    """The clients of one situation, all of the same scripted address."""

    def __init__(self, url: str) -> None:
        self._options = {"api_key": "sk-test", "max_retries": 2}
        self._url = url

    @property
    def sync(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self._url}/v1", **self._options)

    @property
    def asyncio(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self._url}/v1", **self._options)

    @property
    def azure(self) -> openai.AzureOpenAI:
        return openai.AzureOpenAI(
            base_url=f"{self._url}/v1", api_version="2026-01-01", **self._options
        )


@dataclass(frozen=True)
class Situation:
    name: str
    bill: Bill
    act: Callable[[Clients], Any]
    script: str = "200"


class City(BaseModel):
    city: str


MESSAGES = [{"role": "user", "content": SENTINEL}]
CHAT: dict[str, Any] = {"model": "gpt-5", "messages": MESSAGES}
COUNTED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
ASKED: dict[str, Any] = {"model": "gpt-5", "input": SENTINEL}
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": WEATHER}]}


def one_by_one() -> Iterator[dict[str, str]]:
    yield from MESSAGES


def drained(stream: Any) -> list[Any]:
    return [stream, *stream]


def with_async(use: Callable[[openai.AsyncOpenAI], Any]) -> Callable[[Clients], Any]:
    """Run a coroutine of the async client; a stream that it gives is read to its end."""

    async def run(client: openai.AsyncOpenAI) -> Any:
        async with client:
            result = use(client)
            if inspect.isawaitable(result):
                result = await result
            if hasattr(result, "__aiter__"):
                return [result, *[item async for item in result]]
            return result

    return lambda clients: asyncio.run(run(clients.asyncio))


def closed_early(clients: Clients) -> Any:
    stream = clients.sync.chat.completions.create(**CHAT, **COUNTED)
    first = next(iter(stream))
    stream.close()
    return first


def dropped(clients: Clients) -> Any:
    stream = clients.sync.chat.completions.create(**CHAT, **COUNTED)
    first = next(iter(stream))
    del stream
    gc.collect()
    return first


def stream_helper(clients: Clients) -> Any:
    options = {"include_usage": True}
    with clients.sync.chat.completions.stream(**CHAT, stream_options=options) as stream:
        return [*stream, stream.get_final_completion()]


def response_helper(clients: Clients) -> Any:
    with clients.sync.responses.stream(**ASKED) as stream:
        return [*stream, stream.get_final_response()]


def read_lazily(clients: Clients) -> Any:
    opened = clients.sync.chat.completions.with_streaming_response.create(**CHAT)
    with opened as response:
        return [response, response.parse()]


def read_by_line(clients: Clients) -> Any:
    opened = clients.sync.chat.completions.with_streaming_response.create(**CHAT, **COUNTED)
    with opened as response:
        return list(response.iter_lines())


def polled(clients: Clients) -> Any:
    client = clients.sync
    begun = client.responses.create(**ASKED, background=True)
    return [begun, client.responses.retrieve(begun.id), client.responses.retrieve(begun.id)]


def retrieved(clients: Clients) -> Any:
    client = clients.sync
    answer = client.responses.create(**ASKED)
    return [answer, client.responses.retrieve(answer.id)]


def raw(clients: Clients) -> Any:
    response = clients.sync.chat.completions.with_raw_response.create(**CHAT)
    return [response, response.parse()]


def raw_response(clients: Clients) -> Any:
    response = clients.sync.responses.with_raw_response.create(**ASKED)
    return [response, response.parse()]


def raw_stream(clients: Clients) -> Any:
    response = clients.sync.chat.completions.with_raw_response.create(**CHAT, **COUNTED)
    return [response, *drained(response.parse())]


def cancelled_midway(clients: Clients) -> Any:
    async def cancel() -> str:
        async with clients.asyncio as client:
            stream = await client.chat.completions.create(**CHAT, **COUNTED)

            async def rest() -> None:
                async for _ in stream:
                    began.set()

            began = asyncio.Event()
            reading = asyncio.ensure_future(rest())
            await began.wait()
            reading.cancel()
            return (await asyncio.wait([reading]))[0].pop().cancelled() and "cancelled"

    return asyncio.run(cancel())


def cancelled(clients: Clients) -> Any:
    async def cancel() -> str:
        async with clients.asyncio as client:
            call = asyncio.ensure_future(client.chat.completions.create(**CHAT))
            await asyncio.sleep(0.3)
            call.cancel()
            try:
                await call
            except asyncio.CancelledError:
                return "cancelled"
            return "not cancelled"

    return asyncio.run(cancel())


def speech(clients: Clients) -> Any:
    return clients.sync.audio.speech.create(model="tts-1", voice="alloy", input=SENTINEL)


def transcription(clients: Clients) -> Any:
    file = ("a.wav", b"RIFF", "audio/wav")
    return clients.sync.audio.transcriptions.create(model="gpt-4o-transcribe", file=file)


def image(clients: Clients) -> Any:
    return clients.sync.images.generate(model="gpt-image-1", prompt=SENTINEL)


EMBED: dict[str, Any] = {"model": "text-embedding-3-small", "input": SENTINEL}
PARSED: dict[str, Any] = {**CHAT, "response_format": City}

SITUATIONS = (
    Situation("chat", FULL, lambda c: c.sync.chat.completions.create(**CHAT)),
    Situation("chat, async", FULL, with_async(lambda c: c.chat.completions.create(**CHAT))),
    Situation("chat, tools", FULL, lambda c: c.sync.chat.completions.create(**CHAT, **TOOLS)),
    Situation("chat, n=2", FULL, lambda c: c.sync.chat.completions.create(**CHAT, n=2)),
    Situation(
        "chat, metadata and user",
        FULL,
        lambda c: c.sync.chat.completions.create(
            **CHAT, metadata={"team": "x"}, user="u-7", store=True
        ),
    ),
    Situation(
        "chat, generator as messages",
        FULL,
        lambda c: c.sync.chat.completions.create(model="gpt-5", messages=one_by_one()),
    ),
    Situation("chat, Azure", FULL, lambda c: c.azure.chat.completions.create(**CHAT)),
    Situation(
        "chat, by path",
        FULL,
        lambda c: c.sync.post("/chat/completions", body=CHAT, cast_to=object),
    ),
    Situation("chat.parse", FULL, lambda c: c.sync.chat.completions.parse(**PARSED)),
    Situation("chat.parse, async", FULL, with_async(lambda c: c.chat.completions.parse(**PARSED))),
    Situation("raw response", FULL, raw),
    Situation("streaming response", FULL, read_lazily),
    Situation(
        "stream with usage",
        FULL,
        lambda c: drained(c.sync.chat.completions.create(**CHAT, **COUNTED)),
    ),
    Situation(
        "stream with usage, async",
        FULL,
        with_async(lambda c: c.chat.completions.create(**CHAT, **COUNTED)),
    ),
    Situation(
        "stream of tools",
        FULL,
        lambda c: drained(c.sync.chat.completions.create(**CHAT, **TOOLS, **COUNTED)),
    ),
    Situation("stream helper", FULL, stream_helper),
    Situation("raw stream", FULL, raw_stream),
    Situation("stream, read by line", FULL, read_by_line),
    Situation(
        "stream without usage",
        LOST,
        lambda c: drained(c.sync.chat.completions.create(**CHAT, stream=True)),
    ),
    Situation(
        "stream without usage, async",
        LOST,
        with_async(lambda c: c.chat.completions.create(**CHAT, stream=True)),
    ),
    Situation("stream closed early", DROPPED, closed_early, "hold"),
    Situation("stream dropped", DROPPED, dropped, "hold"),
    Situation(
        "stream with an error in it",
        REFUSED,
        lambda c: drained(c.sync.chat.completions.create(**CHAT, **COUNTED)),
        "cut",
    ),
    Situation("cancelled, async", DROPPED, cancelled, "slow"),
    Situation("stream cancelled midway, async", DROPPED, cancelled_midway, "hold"),
    Situation(
        "429, then an answer", FULL, lambda c: c.sync.chat.completions.create(**CHAT), "429,200"
    ),
    Situation(
        "429, then an answer, async",
        FULL,
        with_async(lambda c: c.chat.completions.create(**CHAT)),
        "429,200",
    ),
    Situation("400", REFUSED, lambda c: c.sync.chat.completions.create(**CHAT), "400"),
    Situation("400, async", REFUSED, with_async(lambda c: c.responses.create(**ASKED)), "400"),
    Situation("429 to the end", REFUSED, lambda c: c.sync.chat.completions.create(**CHAT), "429"),
    Situation("response", FULL, lambda c: c.sync.responses.create(**ASKED)),
    Situation("response, async", FULL, with_async(lambda c: c.responses.create(**ASKED))),
    Situation("response.parse", FULL, lambda c: c.sync.responses.parse(**ASKED, text_format=City)),
    Situation("response, raw", FULL, raw_response),
    Situation(
        "response stream", FULL, lambda c: drained(c.sync.responses.create(**ASKED, stream=True))
    ),
    Situation(
        "response stream, async",
        FULL,
        with_async(lambda c: c.responses.create(**ASKED, stream=True)),
    ),
    Situation("response stream helper", FULL, response_helper),
    Situation("background response, polled twice", FULL, polled),
    Situation("response, retrieved once more", FULL, retrieved),
    Situation("embedding", EMBEDDED, lambda c: c.sync.embeddings.create(**EMBED)),
    Situation("embedding, async", EMBEDDED, with_async(lambda c: c.embeddings.create(**EMBED))),
    Situation(
        "legacy completion",
        UNTIERED,
        lambda c: c.sync.completions.create(model="gpt-5", prompt=SENTINEL),
    ),
    Situation("image", IMAGE, image),
    Situation("transcription", HEARD, transcription),
    Situation("speech", SPOKEN, speech),
)
