"""Who may ask: tokens, and no web page that happens to run on the same laptop."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

OPEN_FOLDERS: Final = ("/a/", "/clickhouse")
"""Links in messages, which are signed: who has one may answer it; SQL, which has its own token."""
NOBODY: Final = "somebody"
LONGEST_NAME: Final = 80

Authorised = Callable[[str], bool]


def token_check(token: SecretStr | None) -> Authorised:
    """Return the judge of an Authorization header; without a token set, everyone passes."""
    if token is None:
        return lambda _header: True
    expected = token.get_secret_value().encode()

    def authorised(header: str) -> bool:
        return hmac.compare_digest(_presented(header), expected)

    return authorised


def who(headers: Mapping[str, str]) -> str:
    """Return the name that a reader signed in with; the token is the same for all."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return NOBODY
    return _signed_in(value)[0].decode(errors="replace")[:LONGEST_NAME] or NOBODY


def _presented(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    return _signed_in(value)[1] if scheme.lower() == "basic" else b""


def _signed_in(value: str) -> tuple[bytes, bytes]:
    """Return name and password of a browser's sign-in; empty when it is none."""
    try:
        name, _, password = base64.b64decode(value, validate=True).partition(b":")
    except ValueError:
        return b"", b""
    return name, password


class Guard:
    """Refuses foreign hosts and origins, and readers without the token.

    A browser can be made to send a request to a laptop's service, by a page of any site or by a
    name that is re-bound to 127.0.0.1; it can't be made to lie about Host and Origin.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: Collection[str],
        only_these: bool,
        may_read: Authorised,
        otlp_port: int,
    ) -> None:
        """Answer to `names`; to any other as well, unless `only_these`."""
        self._app = app
        self._names = frozenset(names)
        self._only_these = only_these
        self._may_read = may_read
        self._otlp_port = otlp_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name_in(f"//{host}")
        if self._only_these and name not in self._names:
            return PlainTextResponse(f"host {host!r} is not one of this service's names\n", 421)
        origin = headers.get("origin")
        if origin is not None and _name_in(origin) not in (self._names | {name}) - {""}:
            return PlainTextResponse(f"origin {origin!r} may not ask this service\n", 403)
        path = scope["path"]
        if path in OPEN_PATHS:
            return None
        is_ingest = path.startswith("/v1/")
        if (scope["server"][1] == self._otlp_port) != is_ingest:
            return PlainTextResponse("not found on this port\n", 404)
        is_open = path.startswith(OPEN_FOLDERS)
        if not (is_ingest or is_open) and not self._may_read(headers.get("authorization", "")):
            return PlainTextResponse(
                "send the read token: Authorization: Bearer <token>, or as the sign-in password\n",
                401,
                {"WWW-Authenticate": 'Basic realm="Taximeter"'},
            )
        return None


def _name_in(address: str) -> str:
    """Return the host's name; "" where there is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
