"""A plain answer is parsed once, and nothing of that stays on the app's response."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from taximeter.hooks import hand_over, take_back


@pytest.mark.usefixtures("spans")
def test_a_raw_response_is_as_the_sdk_made_it(sdk: Any) -> None:
    raw = sdk.call(
        lambda client: client.chat.completions.with_raw_response.create(model="gpt-5", messages=[])
    )

    assert "json" not in vars(raw.http_response)
    assert raw.http_response.json() == json.loads(raw.http_response.content)


@pytest.mark.usefixtures("spans")
def test_an_answer_is_parsed_once(sdk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    loads = json.loads

    def counted(content: Any, **options: Any) -> Any:
        parsed.append(content)
        return loads(content, **options)

    monkeypatch.setattr(json, "loads", counted)
    sdk.chat()

    answers = [content for content in parsed if b"chat.completion" in bytes(content)]
    assert len(answers) == 1


def test_options_of_its_own_parse_anew() -> None:
    response = httpx2.Response(200, content=b'{"price": 1.5}')

    hand_over(response, {"price": 1.5})

    assert response.json(parse_float=str) == {"price": "1.5"}
    take_back(response)
    assert response.json() == {"price": 1.5}
