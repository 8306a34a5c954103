from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import _base_client

from taximeter.attempts import Attempts
from taximeter_api.demo.fake_openai import Answer
from taximeter_api.demo.processes import free_port

EMBEDDING = {"model": "text-embedding-3-small", "input": "a"}


def embed(sdk: Any, **options: Any) -> Any:
    return sdk.call(lambda client: client.with_options(**options).embeddings.create(**EMBEDDING))


def attempts_of(span: dict[str, Any]) -> tuple[Any, ...]:
    return (
        span["taximeter.attempts"],
        span["taximeter.attempt.statuses"],
        span["taximeter.attempt.waits"],
    )


def test_each_attempt_has_its_status_and_the_wait_before_it(
    sdk: Any, fake: Any, spans: Any
) -> None:
    fake.answers = [Answer(status=429, retry_after_ms=3), Answer(status=503, retry_after_ms=1)]

    embed(sdk, max_retries=2)

    assert attempts_of(spans.only()) == (3, (429, 503, 200), (0.0, 0.003, 0.001))


def test_a_call_that_fails_in_the_end_tells_all_its_attempts(
    sdk: Any, fake: Any, spans: Any
) -> None:
    fake.answers = [Answer(status=500, retry_after_ms=1), Answer(status=400)]

    with pytest.raises(openai.BadRequestError):
        embed(sdk, max_retries=5)

    span = spans.only()
    assert attempts_of(span) == (2, (500, 400), (0.0, 0.001))
    assert span["http.response.status_code"] == 400


def test_an_attempt_without_an_answer_has_the_status_zero(
    sdk: Any, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_base_client, "INITIAL_RETRY_DELAY", 0.001)
    nowhere = f"http://127.0.0.1:{free_port()}/v1"

    with pytest.raises(openai.APIConnectionError):
        embed(sdk, max_retries=1, base_url=nowhere)

    count, statuses, (first, second) = attempts_of(spans.only())
    assert (count, statuses, first) == (2, (0, 0), 0.0)
    assert 0 < second <= 0.001


def test_a_client_that_decides_on_retries_itself_has_only_a_count(
    sdk: Any, fake: Any, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [Answer(status=418, retry_after_ms=1)]
    monkeypatch.setattr(type(sdk.client), "_should_retry", lambda *_: True, raising=False)

    embed(sdk, max_retries=1)

    span = spans.only()
    assert span["taximeter.attempts"] == 2
    assert "taximeter.attempt.statuses" not in span


def test_a_call_cancelled_while_it_waits_was_answered_by_a_refusal() -> None:
    attempts = Attempts()

    attempts.refused(429)
    attempts.waiting(60.0, answered=True)

    attributes: dict[str, Any] = {"error.type": "CancelledError"}
    attempts.tell(attributes)
    assert attributes == {
        "error.type": "CancelledError",
        "taximeter.attempts": 1,
        "taximeter.attempt.statuses": (429,),
        "taximeter.attempt.waits": (0.0,),
        "http.response.status_code": 429,
    }


def test_a_count_of_the_sdk_that_differs_stands_alone() -> None:
    attributes: dict[str, Any] = {"taximeter.attempts": 3}

    Attempts().tell(attributes)

    assert attributes == {"taximeter.attempts": 3}
