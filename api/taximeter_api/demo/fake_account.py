"""The admin side of the fake OpenAI: usage and costs, page by page, as the account's books say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from taximeter_analysis.bill import Key

WIDTHS = {"1h": 3600, "1d": 86400}
RESULTS = {"file_search_calls": "file_searches", "web_search_calls": "web_searches"}

Entry = tuple[datetime, Mapping[str, Any]]
"""A moment and the fields of a result."""


class Books(Protocol):
    """What the account tells; asked anew for every page."""

    keys: Sequence[Key]

    def usage(self, kind: str) -> Sequence[Entry]: ...

    def costs(self) -> Sequence[Entry]: ...


def admin_routes(books: Books) -> list[Route]:
    async def usage(request: Request) -> Response:
        kind = request.path_params["kind"]
        return _page(request, RESULTS.get(kind, kind), books.usage(kind), "usage.")

    async def costs(request: Request) -> Response:
        return _page(request, "costs", books.costs())

    async def projects(request: Request) -> Response:
        names = sorted({key.project for key in books.keys})
        return _list(
            request,
            [
                {"id": name, "object": "organization.project", "name": name, "created_at": 0}
                for name in names
            ],
        )

    async def keys(request: Request) -> Response:
        project = request.path_params["project"]
        return _list(request, [_key(key) for key in books.keys if key.project == project])

    return [
        Route("/v1/organization/usage/{kind}", usage),
        Route("/v1/organization/costs", costs),
        Route("/v1/organization/projects", projects),
        Route("/v1/organization/projects/{project}/api_keys", keys),
    ]


def _page(request: Request, kind: str, entries: Sequence[Entry], of: str = "") -> Response:
    """Answer one page of buckets, the empty ones, too; the cursor is the next bucket's start."""
    asked = request.query_params
    width = WIDTHS[asked["bucket_width"]]
    start, end = int(asked.get("page", asked["start_time"])), int(asked["end_time"])
    stop = min(end, start + int(asked["limit"]) * width)
    buckets: dict[int, list[Mapping[str, Any]]] = {at: [] for at in range(start, stop, width)}
    for moment, fields in entries:
        at = int(moment.timestamp()) // width * width
        if at in buckets:
            buckets[at].append({"object": f"organization.{of}{kind}.result", **fields})
    data = [
        {"object": "bucket", "start_time": at, "end_time": at + width, "results": results}
        for at, results in buckets.items()
    ]
    following = str(stop) if stop < end else None
    page = {"object": "page", "data": data, "has_more": stop < end, "next_page": following}
    return _answer(request, page)


def _list(request: Request, data: list[dict[str, Any]]) -> Response:
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return _answer(request, {"object": "list", "data": data, "has_more": False, **ends})


def _key(key: Key) -> dict[str, Any]:
    return {
        "object": "organization.project.api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": 0,
        "last_used_at": None,
        "owner": {"type": "service_account"},
        "owner_project_access": "active",
    }


def _answer(request: Request, body: Mapping[str, Any]) -> Response:
    if not request.headers.get("authorization", "").startswith("Bearer sk-admin-"):
        error = {"message": "not an admin key", "type": "invalid_request_error"}
        return JSONResponse({"error": error}, 401)
    return JSONResponse(body)
