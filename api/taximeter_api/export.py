"""Spend as a file for other tools, in the columns of FOCUS 1.2."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette import types as asgi

from taximeter_api.questions import Refused, moment_of, scope_of, tomorrow
from taximeter_api.routes import filters_of
from taximeter_collector.store import Format, Period, Scope, Store

UNPRICED_HEADER: Final = "X-Taximeter-Unpriced-Calls"
MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
CHUNK_BYTES: Final = 1 << 18
IN_MEMORY_BYTES: Final = 32 << 20


def days_of(start: str, end: str) -> Period:
    """Read a period of whole UTC days; without an end it goes to the end of today."""
    first = moment_of("from", start)
    last = moment_of("to", end) if end else tomorrow(datetime.now(UTC))
    for field, moment in (("from", first), ("to", last)):
        if moment != moment.replace(hour=0, minute=0, second=0, microsecond=0):
            raise Refused(f"{field}={moment.isoformat()}: give a UTC day like 2026-11-01")
    if first >= last:
        raise Refused(f"from={start}: give a day before to={end or 'tomorrow'}")
    return Period(first, last)


def write_focus(store: Store, period: Period, scope: Scope, form: Format, out: IO[bytes]) -> int:
    """Write the file; return how many calls are not in it, because they have no price."""
    with store.focus(period, scope, form) as lines:
        shutil.copyfileobj(lines, out, CHUNK_BYTES)
    return store.spend(period, [], scope)[0].unpriced_calls


class _FileResponse(StreamingResponse):
    """An open file, which is closed however its sending ends."""

    def __init__(self, file: IO[bytes], *, media_type: str, headers: Mapping[str, str]) -> None:
        file.seek(0)
        chunks = iter(partial(file.read, CHUNK_BYTES), b"")
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def export_api(store: Store) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/export/focus")
    def focus(
        request: Request,
        *,
        from_: Annotated[str, Query(alias="from", description="UTC day")],
        to: Annotated[str, Query(description="UTC day, exclusive")] = "",
        form: Annotated[Format, Query(alias="format")] = "csv",
    ) -> _FileResponse:
        """Spend of whole days in FOCUS 1.2; any dimension narrows it. Unpriced calls are left out
        and counted in a header.
        """
        period = days_of(from_, to)
        scope = scope_of(filters_of(request, ("format",)))
        # Written before it is sent: a reader of the store waits for no client.
        with ExitStack() as failing:
            file = failing.enter_context(SpooledTemporaryFile(IN_MEMORY_BYTES))
            unpriced_calls = write_focus(store, period, scope, form, file)
            failing.pop_all()
        name = f"taximeter-{period.start:%Y-%m-%d}-{period.end:%Y-%m-%d}.{form}"
        return _FileResponse(
            file,
            media_type=MEDIA_TYPES[form],
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                UNPRICED_HEADER: str(unpriced_calls),
            },
        )

    return router
