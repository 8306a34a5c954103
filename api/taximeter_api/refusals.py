"""What is raised for an asker's sake, in the terms of HTTP: as a page for people, else as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from taximeter_alerts.register import KeptElsewhere, Unknown
from taximeter_alerts.state import StateUnavailable
from taximeter_api.page import PAGE_HEADERS
from taximeter_api.page.environment import template
from taximeter_collector.store import StoreUnavailable

LONGEST = 2_000
SOON = {"Retry-After": "5"}
WORDS = {404: "There is no such page.", 422: "That was not understood.", 503: "Not now."}

Handler = Callable[[Request, Exception], Awaitable[Response]]


def refusals(app: FastAPI) -> None:
    """Answer what routes raise."""
    for unavailable in (StoreUnavailable, StateUnavailable):
        app.add_exception_handler(unavailable, _with(503))
    app.add_exception_handler(Unknown, _with(404))
    app.add_exception_handler(KeptElsewhere, _with(409))
    app.add_exception_handler(HTTPException, _refused)


def _with(status: int) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        return _told(request, status, str(error), SOON if status == 503 else {})

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 for the type checker
    return _told(request, error.status_code, error.detail, dict(error.headers or {}))


def _told(request: Request, status: int, detail: str, headers: dict[str, str]) -> Response:
    if len(detail) > LONGEST:
        # What was given is told first, and what to give instead last.
        detail = f"{detail[: LONGEST // 2]}…{detail[-LONGEST // 2 :]}"
    is_read = "text/html" in request.headers.get("accept", "")
    if not is_read or request.url.path.startswith("/api/"):
        return JSONResponse({"detail": detail}, status, headers)
    words = WORDS.get(status, "That does not work.")
    html = template("refusal.html").render(words=words, detail=detail, path="")
    return HTMLResponse(html, status, {**PAGE_HEADERS, **headers})
