from __future__ import annotations

import base64

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from taximeter_api.security import LOOPBACK_NAMES, Guard, token_check, who

TOKEN = "a-token-of-24-characters"
BASIC = base64.b64encode(f"me:{TOKEN}".encode()).decode()


def client(
    *,
    port: int = 8787,
    token: str | None = None,
    names: frozenset[str] = LOOPBACK_NAMES,
    only_these: bool = True,
) -> TestClient:
    async def answer(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret figures")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    may_read = token_check(SecretStr(token) if token else None)
    guard = Guard(app, names=names, only_these=only_these, may_read=may_read, otlp_port=4318)
    return TestClient(guard, base_url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8787", 200),
        ("localhost", 200),
        ("[::1]:8787", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_a_name_that_was_re_bound_to_this_machine_is_refused(host: str, status: int) -> None:
    assert client().get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8787", 200), ("https://evil.example", 403), ("null", 403)],
)
def test_a_page_of_another_site_is_refused(origin: str, status: int) -> None:
    assert client().post("/api/x", headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://meter.example", 200),
        ("https://public.example", 200),
        ("https://evil.example", 403),
        ("http://localhost:3000", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_any_name_is_answered_beyond_loopback_but_no_page_of_another(
    origin: str, status: int
) -> None:
    opened = client(names=frozenset({"public.example"}), only_these=False)

    answer = opened.post("/x", headers={"Host": "meter.example:8787", "Origin": origin})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("Bearer wrong", 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Basic {BASIC}", 200),
        ("Basic %%%", 401),
        ("Basic \u00e9", 401),
        (f"Digest {TOKEN}", 401),
    ],
)
def test_a_reader_shows_the_token_as_bearer_or_as_sign_in_password(
    authorization: str, status: int
) -> None:
    answer = client(token=TOKEN).get(
        "/api/spend", headers=[(b"Authorization", authorization.encode("latin-1"))]
    )

    assert answer.status_code == status
    assert ("secret figures" in answer.text) == (status == 200)


def test_the_probes_need_no_token() -> None:
    assert client(token=TOKEN).get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("port", "path", "status"),
    [(8787, "/", 200), (8787, "/v1/traces", 404), (4318, "/v1/traces", 200), (4318, "/", 404)],
)
def test_each_port_answers_for_its_own_paths(port: int, path: str, status: int) -> None:
    assert client(port=port).get(path).status_code == status


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Basic " + base64.b64encode(b"ada:secret").decode(), "ada"),
        ("Basic " + base64.b64encode(b":secret").decode(), "somebody"),
        ("Basic no-base64!", "somebody"),
        ("Bearer secret", "somebody"),
        ("", "somebody"),
    ],
)
def test_who_signed_in_is_named_and_nobody_breaks_it(header: str, name: str) -> None:
    assert who({"authorization": header}) == name
