from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from builders import NOON
from taximeter_alerts.heartbeat import Heartbeat
from taximeter_api.demo.fake_openai import serving


@pytest.fixture
def beats() -> list[str]:
    return []


@pytest.fixture
def url(beats: list[str]) -> Iterator[str]:
    async def take(request: Request) -> Response:
        beats.append(request.url.path)
        return Response(status_code=404 if request.url.path == "/gone" else 200)

    with serving(Starlette(routes=[Route("/{path}", take)])) as address:
        yield address


def test_it_beats_while_all_is_well_and_only_then(url: str, beats: list[str]) -> None:
    trouble = [""]
    heartbeat = Heartbeat(f"{url}/secret", lambda: trouble[0])

    heartbeat.beat(NOON)
    trouble[0] = "the disk is full"
    heartbeat.beat(NOON)
    trouble[0] = ""
    heartbeat.beat(NOON)

    assert beats == ["/secret", "/secret"]


@pytest.mark.parametrize(("path", "reason"), [("/gone", "404"), ("", "NewConnectionError")])
def test_a_heartbeat_that_is_not_taken_is_logged_without_its_address(
    url: str, caplog: pytest.LogCaptureFixture, path: str, reason: str
) -> None:
    address = f"{url}{path}" if path else "http://127.0.0.1:9/secret"

    Heartbeat(address, lambda: "").beat(NOON)

    (record,) = caplog.records
    assert vars(record)["reason"] == reason
    assert "secret" not in str(vars(record))
