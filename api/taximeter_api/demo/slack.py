"""A loopback stand-in for Slack's incoming webhooks, which keeps what it was sent."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def fake_slack(messages: list[dict[str, Any]]) -> Starlette:
    """Build the app; every message that arrives is appended to `messages`."""

    async def webhook(request: Request) -> PlainTextResponse:
        messages.append(await request.json())
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/services/{path:path}", webhook, methods=["POST"])])
