"""Pages that refresh themselves: each answer has a tag of what a reader sees of it."""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from taximeter_api.page import PAGE_HEADERS
from taximeter_api.page.environment import SCRIPT

AGES: Final = re.compile(r'<time[^>]*data-taken[^>]*>[^<]*|(?<=>)[^<]*(?=</time>)|data-now="[^"]*"')
"""What changes though nothing happened; the script counts it on."""
FOR_EVER: Final = "private, max-age=31536000, immutable"


class Heads:
    """Answers HEAD as GET; the server sends the head alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A copy: by its own scope the server knows that no body is wanted.
        scope = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        await self._app(scope, receive, send)


def tag_of(html: str) -> str:
    content = AGES.sub("", html).encode()
    return f'W/"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def answered(request: Request, html: str) -> Response:
    """Return a page, or that the reader has it."""
    tag = tag_of(html)
    if is_known(request, tag):
        return unchanged(tag)
    headers = {**PAGE_HEADERS, "ETag": tag, "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(html, headers=headers)
    # Here and not in a middleware: this is a reader's thread, and the receiver never waits for it.
    packed = gzip.compress(html.encode(), 6)
    return HTMLResponse(packed, headers={**headers, "Content-Encoding": "gzip"})


def is_known(request: Request, tag: str) -> bool:
    return tag in request.headers.get("if-none-match", "")


def unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={**PAGE_HEADERS, "ETag": tag})


def script() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/live.js")
    def live() -> Response:
        headers = {"Cache-Control": FOR_EVER, "X-Content-Type-Options": "nosniff"}
        return Response(SCRIPT, media_type="text/javascript", headers=headers)

    return router
