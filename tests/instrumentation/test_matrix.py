"""Every situation, sync and async: billed once and right, and nothing of the app's is changed.

Each runs twice against the same script, bare and metered; what the app gets and what goes over
the wire must be the same.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import openai
import pytest
from openai._models import BaseModel as Model
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import taximeter
from fake_api import FakeApi, fake_api
from situations import SITUATIONS, Situation, Step
from taximeter import looks, units

Outcome = tuple[Any, ...]

BOUNDARY = re.compile(rb"boundary=(\w+)")


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with fake_api() as served:
        yield served


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests() -> None:
    for memory in (looks._reported, looks._tags_of, units._sessions):
        memory.clear()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's, of endpoints that go
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_a_situation_is_billed_once_and_unharmed(
    situation: Situation, kind: str, api: FakeApi, in_contract: Callable[[ReadableSpan], None]
) -> None:
    if not known(situation):
        pytest.skip(f"openai {openai.__version__} has no such method")
    bare, sent_bare = ran(situation, kind, api)
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    taximeter.instrument(provider)
    metered, sent = ran(situation, kind, api)
    taximeter.uninstrument()

    assert metered == bare
    assert sent == sent_bare
    spans = exporter.get_finished_spans()
    found = [dict(span.attributes or {}) for span in spans]
    assert [billed(attributes) for attributes in found] == [dict(one) for one in situation.billed]
    assert not found or found[0].items() >= situation.says.items()
    for span in spans:
        in_contract(span)


def billed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    prefixes = ("gen_ai.usage.", "taximeter.meter.", "taximeter.usage.")
    return {name: value for name, value in attributes.items() if name.startswith(prefixes)}


def known(situation: Situation) -> bool:
    """Tell whether this version of the SDK has the methods and their arguments."""
    client = openai.OpenAI(api_key="sk-test")
    for step in situation.steps:
        try:
            signature = inspect.signature(method_of(client, step.method))
        except AttributeError:
            return False
        names = signature.parameters
        if (
            "kwargs" not in names
            and "args" not in names
            and not step.arguments.keys() <= names.keys()
        ):
            return False
    return True


def method_of(client: Any, path: str) -> Any:
    return reduce(getattr, path.split("."), client)


def ran(situation: Situation, kind: str, api: FakeApi) -> tuple[list[Outcome], list[bytes]]:
    """Run the steps; give what the app saw and what the API received."""
    api.script[:] = situation.replies
    api.requests.clear()
    options = {"api_key": "sk-test", "base_url": api.url, "max_retries": 0, **situation.options}
    if kind == "async":
        seen = asyncio.run(run_async(situation, options))
    else:
        with openai.OpenAI(
            **options, http_client=openai.DefaultHttpxClient(verify=False)
        ) as client:
            seen = [sync_outcome(client, step) for step in situation.steps]
    assert not api.script
    return seen, [without_boundary(request) for request in api.requests]


def without_boundary(request: bytes) -> bytes:
    found = BOUNDARY.search(request)
    return request.replace(found[1], b"boundary") if found else request


async def run_async(situation: Situation, options: dict[str, Any]) -> list[Outcome]:
    http_client = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(**options, http_client=http_client) as client:
        return [await async_outcome(client, step) for step in situation.steps]


def arguments_of(step: Step) -> dict[str, Any]:
    return {
        name: value() if inspect.isfunction(value) else value
        for name, value in step.arguments.items()
    }


def sync_outcome(client: Any, step: Step) -> Outcome:
    try:
        return sync_seen(method_of(client, step.method)(**arguments_of(step)), step)
    except Exception as error:
        return (type(error), str(error))


def sync_seen(result: Any, step: Step) -> Outcome:
    if hasattr(result, "__enter__") and not hasattr(result, "__next__"):
        with result as entered:
            return (
                type(result),
                sync_seen(entered, Step(method="", arguments={}, reads=step.reads)),
            )
    if step.reads:
        read = getattr(result, step.reads)()
        return (type(result), seen(read if not hasattr(read, "__next__") else whole(list(read))))
    if not hasattr(result, "__next__"):
        return seen(result)
    items = []
    for item in result:
        items.append(seen(item))
        if len(items) == step.limit:
            result.close()
            break
    return (type(result), items)


def whole(items: list[Any]) -> Any:
    """Join bytes, which the network cuts anywhere."""
    return b"".join(items) if items and isinstance(items[0], bytes) else items


async def async_outcome(client: Any, step: Step) -> Outcome:
    try:
        result = method_of(client, step.method)(**arguments_of(step))
        return await async_seen(await result if inspect.isawaitable(result) else result, step)
    except Exception as error:
        return (type(error), str(error))


async def async_seen(result: Any, step: Step) -> Outcome:
    if hasattr(result, "__aenter__") and not hasattr(result, "__anext__"):
        async with result as entered:
            return (type(result), await async_seen(entered, step))
    if step.reads:
        read = getattr(result, step.reads)()
        if inspect.isawaitable(read):
            read = await read
        if hasattr(read, "__anext__"):
            read = whole([item async for item in read])
        return (type(result), seen(read))
    if not hasattr(result, "__anext__"):
        return seen(result)
    items = []
    async for item in result:
        items.append(seen(item))
        if len(items) == step.limit:
            await result.close()
            break
    return (type(result), items)


def seen(result: Any) -> Outcome:
    """Give the type and value of what the app got, which its own model must accept."""
    if isinstance(result, Model):
        dumped = result.model_dump(by_alias=True, warnings=False)
        return (type(result), dumped)
    if hasattr(result, "response") and hasattr(result, "content"):
        return (type(result), result.content)
    if hasattr(result, "model_dump"):
        return (type(result), result.model_dump(warnings=False))
    return (type(result), result)
