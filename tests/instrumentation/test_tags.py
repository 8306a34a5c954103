from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import taximeter
from taximeter.attribution import stated_in
from taximeter.tags import current_tags


@pytest.fixture
def client(fake: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=fake.url) as client:
        yield client


def embed(client: openai.OpenAI, **parameters: Any) -> None:
    client.embeddings.create(model="text-embedding-3-small", input="x", **parameters)


def test_each_tag_has_its_place_on_the_span(client: openai.OpenAI, spans: Any) -> None:
    with taximeter.tag(
        feature="search",
        user="u-1",
        team="growth",
        session="s-1",
        prompt_name="rank",
        prompt_version=3,
        plan="gold",
    ):
        embed(client)

    assert (
        spans.only().items()
        >= {
            "taximeter.feature": "search",
            "user.id": "u-1",
            "taximeter.team": "growth",
            "session.id": "s-1",
            "taximeter.prompt.name": "rank",
            "taximeter.prompt.version": "3",
            "taximeter.tag.plan": "gold",
        }.items()
    )


def test_nested_tags_merge_and_the_inner_one_wins() -> None:
    with taximeter.tag(feature="outer", team="growth"):
        with taximeter.tag(feature="inner", user=None):
            inner = dict(current_tags())
        outer = dict(current_tags())

    assert inner == {"taximeter.feature": "inner", "taximeter.team": "growth"}
    assert outer == {"taximeter.feature": "outer", "taximeter.team": "growth"}
    assert current_tags() == {}


def test_the_users_tag_wins_over_the_requests_user(client: openai.OpenAI, spans: Any) -> None:
    with taximeter.tag(user="tagged"):
        embed(client, user="in-request")

    assert spans.only()["user.id"] == "tagged"


def test_the_requests_own_metadata_and_prompt_tag_it(client: openai.OpenAI, spans: Any) -> None:
    client.responses.create(
        model="gpt-5",
        input="x",
        metadata={"feature": "search", "team": "growth", "other": "x"},
        prompt={"id": "pmpt_1", "version": "2"},
        safety_identifier="u-1",
    )

    span = spans.only()
    assert (
        span.items()
        >= {
            "taximeter.feature": "search",
            "taximeter.team": "growth",
            "taximeter.prompt.name": "pmpt_1",
            "taximeter.prompt.version": "2",
            "user.id": "u-1",
        }.items()
    )
    assert not [key for key in span if key.startswith("taximeter.tag.")]


@pytest.mark.parametrize(
    "parameters",
    [
        {"metadata": None, "prompt": "a text", "user": 7},
        {"metadata": {"feature": 1, "team": ""}, "prompt": {"id": None}, "user": ""},
        {"metadata": ["feature"], "prompt": []},
    ],
)
def test_what_a_request_says_in_another_form_is_no_tag(parameters: dict[str, Any]) -> None:
    assert stated_in(parameters) == {}


def test_a_value_that_is_not_readable_is_made_so(client: openai.OpenAI, spans: Any) -> None:
    with taximeter.tag(feature='say "hi"\n', plan="x" * 300, user="\ud83d"):
        embed(client)

    span = spans.only()
    assert span["taximeter.feature"] == "say %22hi%22%0A"
    assert len(span["taximeter.tag.plan"]) == 256
    assert span["user.id"] == "?"
    assert span["taximeter.tags.altered"] == 3


def test_a_stream_has_the_tags_of_the_place_that_asked_for_it(
    client: openai.OpenAI, spans: Any
) -> None:
    with taximeter.tag(feature="asked"):
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
    with taximeter.tag(feature="read", user="reader"):
        list(stream)

    span = spans.only()
    assert span["taximeter.feature"] == "asked"
    assert "user.id" not in span


def test_blocks_of_generators_that_overlap_end_only_their_own_tags() -> None:
    def block(feature: str, **tags: str) -> Iterator[None]:
        with taximeter.tag(feature=feature, **tags):
            yield

    first, second = block("first", plan="gold"), block("second")
    next(first)
    next(second)
    list(first)
    during = dict(current_tags())
    list(second)

    assert during == {"taximeter.feature": "second"}
    assert current_tags() == {}


def test_a_block_that_ends_in_another_context_leaves_the_tags_there_alone() -> None:
    tagged = taximeter.tag(feature="begun elsewhere")
    copy_context().run(tagged.__enter__)

    with taximeter.tag(feature="here"):
        tagged.__exit__()
        assert current_tags() == {"taximeter.feature": "here"}


def test_one_object_may_be_entered_again_inside_of_itself() -> None:
    tagged = taximeter.tag(feature="f")

    @tagged
    def countdown(depth: int) -> list[str]:
        here = [current_tags()["taximeter.feature"]]
        return here + (countdown(depth - 1) if depth else [])

    with tagged:
        assert countdown(2) == ["f", "f", "f"]
        assert current_tags() == {"taximeter.feature": "f"}
    assert current_tags() == {}


def test_a_decorated_function_is_of_the_same_kind() -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[None]:
        yield

    async def async_generator() -> AsyncIterator[None]:
        yield

    tagged = taximeter.tag(feature="f")

    assert inspect.iscoroutinefunction(tagged(coroutine))
    assert inspect.isgeneratorfunction(tagged(generator))
    assert inspect.isasyncgenfunction(tagged(async_generator))
    assert tagged(coroutine).__name__ == "coroutine"


def test_tags_end_with_the_block_also_when_it_fails() -> None:
    with contextlib.suppress(ValueError), taximeter.tag(feature="a"):
        raise ValueError

    assert current_tags() == {}


def test_one_decorator_serves_functions_coroutines_and_generators() -> None:
    tagged = taximeter.tag(feature="f")

    @tagged
    def function() -> str:
        return current_tags()["taximeter.feature"]

    @tagged
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return current_tags()["taximeter.feature"]

    @tagged
    def generator() -> Iterator[str]:
        yield current_tags()["taximeter.feature"]
        yield current_tags()["taximeter.feature"]

    @tagged
    async def async_generator() -> AsyncIterator[str]:
        yield current_tags()["taximeter.feature"]
        await asyncio.sleep(0)
        yield current_tags()["taximeter.feature"]

    async def read() -> list[str]:
        return [item + str(len(current_tags())) async for item in async_generator()]

    assert function() == asyncio.run(coroutine()) == "f"
    assert [item + str(len(current_tags())) for item in generator()] == ["f0", "f0"]
    assert asyncio.run(read()) == ["f0", "f0"]


def test_a_tagged_context_manager_still_sees_the_exception_in_its_block() -> None:
    seen = []

    @contextlib.asynccontextmanager
    @taximeter.tag(feature="f")
    async def session() -> AsyncIterator[None]:
        try:
            yield
        except ValueError as error:
            seen.append((str(error), current_tags()["taximeter.feature"]))

    async def use() -> None:
        async with session():
            raise ValueError("inside")

    asyncio.run(use())

    assert seen == [("inside", "f")]


def test_gathered_tasks_keep_their_own_tags(fake: Any, spans: Any) -> None:
    async def embed_for(client: openai.AsyncOpenAI, user: str) -> None:
        with taximeter.tag(user=user):
            await asyncio.sleep(0)
            await client.embeddings.create(model="m", input="x")

    async def gathered() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=fake.url) as client:
            with taximeter.tag(feature="shared"):
                await asyncio.gather(*(embed_for(client, user) for user in "abc"))

    asyncio.run(gathered())

    pairs = {(s.attributes["user.id"], s.attributes["taximeter.feature"]) for s in spans.all()}
    assert pairs == {("a", "shared"), ("b", "shared"), ("c", "shared")}


def test_a_thread_that_runs_in_the_callers_context_has_its_tags(
    client: openai.OpenAI, spans: Any
) -> None:
    with taximeter.tag(feature="batch"):
        work = functools.partial(copy_context().run, embed, client)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert spans.only()["taximeter.feature"] == "batch"


def test_an_untagged_call_is_named_by_the_function_that_called(
    client: openai.OpenAI, spans: Any
) -> None:
    embed(client)

    assert spans.only()["taximeter.feature"] == f"{__name__}.embed"


def test_the_route_of_the_server_span_names_the_feature(client: openai.OpenAI, spans: Any) -> None:
    tracer = TracerProvider().get_tracer("app")

    with tracer.start_as_current_span("GET", attributes={"http.route": "/chat/{id}"}) as server:
        embed(client)

    (span,) = spans.all()
    assert span.attributes["taximeter.feature"] == "/chat/{id}"
    assert span.context.trace_id == server.get_span_context().trace_id
    assert span.parent == server.get_span_context()
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.fixture
def defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXIMETER_FEATURE", "from-env")
    monkeypatch.setenv("TAXIMETER_TEAM", "core")


def test_the_environment_gives_feature_and_team_where_no_tag_does(
    fake: Any,
    defaults: None,  # noqa: ARG001 - before `spans`, which reads the environment
    spans: Any,
) -> None:
    with openai.OpenAI(api_key="k", base_url=fake.url) as client:
        embed(client)
        with taximeter.tag(team="growth"):
            embed(client)

    teams = [span.attributes["taximeter.team"] for span in spans.all()]
    assert teams == ["core", "growth"]
    assert {span.attributes["taximeter.feature"] for span in spans.all()} == {"from-env"}


def test_importing_taximeter_loads_neither_openai_nor_an_sdk() -> None:
    code = (
        "import sys, taximeter; light = 'opentelemetry' not in sys.modules; "
        "taximeter.instrument(); loaded = [name for name in sys.modules if name == 'openai' "
        "or name.startswith(('opentelemetry.sdk', 'opentelemetry.instrumentation', 'requests'))]; "
        "print(light, loaded)"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("True []\n", "")
