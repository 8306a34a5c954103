"""Pages that refresh themselves: each answer has a tag of what a reader sees of it."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from taximeter_api.page import PAGE_HEADERS
from taximeter_api.page.environment import SCRIPT

AGES: Final = re.compile(r"<time[^>]*data-taken[^>]*>[^<]*|(?<=>)[^<]*(?=</time>)")
"""What changes though nothing happened; the script counts it on."""
FOR_EVER: Final = "private, max-age=31536000, immutable"


def tag_of(html: str) -> str:
    content = AGES.sub("", html).encode()
    return f'W/"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def answered(request: Request, html: str) -> Response:
    """Return a page, or that the reader has it."""
    tag = tag_of(html)
    if is_known(request, tag):
        return unchanged(tag)
    return HTMLResponse(html, headers={**PAGE_HEADERS, "ETag": tag})


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
