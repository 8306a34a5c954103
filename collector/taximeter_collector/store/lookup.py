"""Single calls, found by what a person has of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from taximeter_collector.store.connection import Connection

NOT_MERGED = 20
"""So many earlier revisions may be among the newest rows."""


class Clue(StrEnum):
    """What a call can be found by; the value is the column."""

    RESPONSE_ID = "call_id"
    REQUEST_ID = "request_id"
    TRACE_ID = "trace_id"
    USER = "user_id"

    @property
    def outside_name(self) -> str:
        """What people call it, like `response_id`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FoundCall:
    """What is said of a call in a list; names and units are those of `Call` and `Priced`."""

    ts: datetime
    call_id: str
    trace_id: str
    span_id: str
    request_id: str
    environment: str
    service: str
    feature: str
    team: str
    user_id: str
    operation: str
    model: str
    service_tier: str
    finish_reason: str
    error_type: str
    http_status: int | None
    attempts: int | None
    duration_ms: int
    ttft_ms: int | None
    usage_source: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost: Decimal | None
    cost_status: str
    cost_reason: str
    tags: Mapping[str, str]


COLUMNS = [field.name for field in fields(FoundCall)]


def find(connection: Connection, clue: Clue, value: str, limit: int) -> list[FoundCall]:
    """Return the calls, the newest first, at most `limit`."""
    # Read backwards as the table is sorted, and not merged, which would read whole hours.
    rows = connection.read(
        f"""
        select revision, {", ".join(COLUMNS)}
        from taximeter.calls
        where {clue} = {{value:String}}
        order by toStartOfHour(ts) desc, ts desc
        limit {{rows:UInt32}}
        """,  # noqa: S608 names of ours
        {"value": value, "rows": limit + NOT_MERGED},
    ).result_rows
    return newest_revisions(rows)[:limit]


def newest_revisions(rows: Iterable[Sequence[Any]]) -> list[FoundCall]:
    """Return each call once, from rows of a revision and the columns."""
    newest: dict[str, tuple[int, FoundCall]] = {}
    for revision, ts, *others in rows:
        call = FoundCall(ts.replace(tzinfo=UTC), *others)
        if revision >= newest.get(call.call_id, (0, call))[0]:
            newest[call.call_id] = revision, call
    return [call for _, call in newest.values()]
