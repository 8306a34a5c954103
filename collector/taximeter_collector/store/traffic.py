"""How calls went: how many, how fast, when the last one was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.spend import Period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

P95_BY_FEATURE = """
select feature, quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2]
from taximeter.latency_by_hour
where hour >= {start:DateTime('UTC')} and hour < {end:DateTime('UTC')}
group by feature
"""

TRAFFIC = """
select
    count(),
    countIf(error_type != ''),
    countIf(http_status = 429),
    if(count() = 0, null, quantileBFloat16(0.95)(duration_ms)),
    if(countIf(isNotNull(ttft_ms)) = 0, null,
       quantileBFloat16If(0.5)(assumeNotNull(ttft_ms), isNotNull(ttft_ms))),
    sum(input_tokens),
    sum(cached_input_tokens)
from taximeter.calls final
where toStartOfHour(ts) >= {first_hour:DateTime('UTC')}
    and ts >= {start:DateTime64(3, 'UTC')}
    and ts < {end:DateTime64(3, 'UTC')}
"""

LAST_CALL = """
select max(ts)
from taximeter.calls
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How the calls of a period went."""

    calls: int
    errors: int
    rate_limited: int
    p95_ms: float | None
    median_ttft_ms: float | None
    input_tokens: int
    cached_input_tokens: int


def p95_ms_by_feature(connection: Connection, period: Period) -> dict[str, float]:
    bound = {"start": period.start, "end": period.end}
    rows = connection.read(P95_BY_FEATURE, bound).result_rows
    return {feature: float(milliseconds) for feature, milliseconds in rows}


def traffic(connection: Connection, period: Period) -> Traffic:
    first_hour = period.start.replace(minute=0, second=0, microsecond=0)
    bound = {"first_hour": first_hour, "start": period.start, "end": period.end}
    values = connection.read(TRAFFIC, bound).result_rows[0]
    calls, errors, rate_limited, p95_ms, ttft_ms, input_tokens, cached = values
    return Traffic(
        calls=calls,
        errors=errors,
        rate_limited=rate_limited,
        p95_ms=p95_ms,
        median_ttft_ms=ttft_ms,
        input_tokens=input_tokens,
        cached_input_tokens=cached,
    )


def last_call_at(connection: Connection) -> datetime | None:
    last: datetime = connection.read(LAST_CALL).result_rows[0][0]
    moment = last.replace(tzinfo=UTC)
    return moment if moment > EPOCH else None
