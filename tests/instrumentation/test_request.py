from __future__ import annotations

from typing import Any

import openai
import pytest

from taximeter.request import hashes, key_name
from taximeter.settings import settings_in

KEY = "an-hmac-key-of-the-team"
API_KEY = "sk-proj-0123456789abcdefWXYZ"
SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


@pytest.fixture
def hash_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXIMETER_HASH_KEY", KEY)


def hashed(**parameters: Any) -> tuple[Any, Any]:
    facts = hashes(KEY, {"model": "gpt-5", **parameters})
    return facts.get("taximeter.request.hash"), facts.get("taximeter.request.prefix_hash")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_the_same_content_has_the_same_hash_however_it_is_written() -> None:
    one = hashed(messages=[user("hi")], temperature=0, tools=[TOOL])
    same = hashed(tools=[dict(reversed(TOOL.items()))], temperature=0, messages=[user("hi")])

    assert one == same
    assert len(one[0]) == 32


@pytest.mark.parametrize(
    "aside",
    [{"user": "u-7"}, {"stream": True}, {"metadata": {"a": "b"}}, {"service_tier": "flex"}],
)
def test_what_the_provider_does_not_answer_by_is_not_hashed(aside: dict[str, Any]) -> None:
    assert hashed(messages=[user("hi")], **aside) == hashed(messages=[user("hi")])


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [user("ho")]},
        {"messages": [user("hi")], "temperature": 1},
        {"messages": [user("hi")], "model": "gpt-5-mini"},
        {"messages": [SYSTEM, user("hi")]},
        {"input": [user("hi")]},
    ],
)
def test_other_content_has_another_hash(other: dict[str, Any]) -> None:
    assert hashed(**other)[0] != hashed(messages=[user("hi")])[0]


def test_turns_of_one_prompt_share_the_hash_of_their_prefix() -> None:
    first = hashed(messages=[SYSTEM, user("hi")], tools=[TOOL])
    later = hashed(messages=[SYSTEM, user("hi"), user("and?")], tools=[TOOL])
    other = hashed(messages=[SYSTEM, user("hi")])

    assert first[1] == later[1] != other[1]
    assert first[0] != later[0]


def test_instructions_of_a_response_are_its_prefix() -> None:
    first, later = (hashed(instructions="Be brief.", input=text)[1] for text in ("hi", "ho"))

    assert first == later is not None


def test_a_request_without_a_stable_part_has_no_hash_of_one() -> None:
    assert hashed(messages=[user("hi")])[1] is None
    assert hashed(prompt="Once upon")[1] is None


def test_another_key_gives_other_hashes() -> None:
    assert hashes("k" * 16, {"input": "a"}) != hashes("l" * 16, {"input": "a"})


def test_content_that_json_cannot_say_has_no_hash() -> None:
    assert hashes(KEY, {"input": object()}) == {}


@pytest.mark.usefixtures("hash_key")
def test_a_call_carries_its_hashes_and_no_text(sdk: Any, spans: Any) -> None:
    sdk.chat(tools=[TOOL])
    sdk.chat(tools=[TOOL], user="u-7")

    one, two = (dict(span.attributes) for span in spans.all())
    assert one["taximeter.request.hash"] == two["taximeter.request.hash"]
    assert one["taximeter.request.prefix_hash"] == two["taximeter.request.prefix_hash"]


def test_without_a_key_there_is_no_hash(sdk: Any, spans: Any) -> None:
    sdk.chat()

    assert not [name for name in spans.only() if "hash" in name]


@pytest.mark.usefixtures("hash_key")
def test_an_upload_has_no_hash(sdk: Any, spans: Any) -> None:
    with pytest.raises(openai.APIStatusError):  # the fake reads JSON alone
        sdk.call(
            lambda client: client.post(
                "/embeddings", body={"model": "m"}, files={"file": b"a"}, cast_to=object
            )
        )

    assert "taximeter.request.hash" not in spans.only()


@pytest.mark.parametrize(
    ("options", "of_call", "chosen"),
    [({}, {}, False), ({"timeout": 5}, {}, True), ({}, {"timeout": 5}, True)],
)
def test_a_timeout_of_the_app_is_told_from_the_sdks(
    sdk: Any, spans: Any, options: dict[str, Any], of_call: dict[str, Any], chosen: bool
) -> None:
    sdk.call(
        lambda client: client.with_options(**options).embeddings.create(
            model="m", input="a", **of_call
        )
    )

    assert spans.only()["taximeter.request.timeout_set"] is chosen


def test_the_api_key_is_named_by_its_end(sdk: Any, spans: Any) -> None:
    sdk.call(lambda client: client.with_options(api_key=API_KEY).embeddings.create(**EMBEDDING))

    assert spans.only()["taximeter.api_key"] == "WXYZ"


EMBEDDING: dict[str, Any] = {"model": "m", "input": "a"}


def test_the_api_key_of_one_call_is_the_one_that_is_named(sdk: Any, spans: Any) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}

    sdk.call(lambda client: client.embeddings.create(**EMBEDDING, extra_headers=headers))

    assert spans.only()["taximeter.api_key"] == "WXYZ"


@pytest.mark.parametrize("key", ["sk-short", "EMPTY", "header.payload.signature-of-a-token"])
def test_a_short_key_or_a_passing_token_is_not_named(sdk: Any, spans: Any, key: str) -> None:
    sdk.call(lambda client: client.with_options(api_key=key).embeddings.create(**EMBEDDING))

    assert "taximeter.api_key" not in spans.only()


def test_keys_with_the_same_end_are_told_apart_by_a_keyed_hash() -> None:
    one, two = key_name(API_KEY, KEY), key_name(f"sk-other{API_KEY}", KEY)

    assert one != two
    assert {one[:5], two[:5]} == {"WXYZ-"}
    assert len(one) == len("WXYZ-01234567")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("HASH_KEY", "too-short", "at least 16 characters"),
        ("HOSTS", "http://a", "names of hosts, without ports, separated by commas"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(name: str, value: str, expected: str) -> None:
    _, complaints = settings_in({f"TAXIMETER_{name}": value})

    assert complaints == [f"TAXIMETER_{name} is ignored: expected {expected}"]


def test_the_hash_key_is_never_shown() -> None:
    settings, _ = settings_in({"TAXIMETER_HASH_KEY": KEY})

    assert KEY not in repr(settings)
