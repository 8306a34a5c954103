"""How calls went: how many, how fast, when the last one was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taximeter_collector.store.connection import Connected
from taximeter_collector.store.scope import EPOCH, Period

P95_BY_FEATURE = """
select feature, quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2]
from taximeter.latency_by_day
where day >= toDate({start:DateTime('UTC')}) and day < {end:DateTime('UTC')}
group by feature
"""

OUTCOMES = """
select
    sum(part.calls) as calls,
    sumIf(part.calls, error_type != '') as errors,
    sumIf(part.calls, http_status = 429) as rate_limited
from taximeter.outcomes_by_hour as part
where hour >= {start:DateTime('UTC')} and hour < {end:DateTime('UTC')}
"""

TOKENS = """
select
    sum(part.input_tokens) as input_tokens,
    sum(part.cached_input_tokens) as cached_input_tokens
from taximeter.spend_by_hour as part
where hour >= {start:DateTime('UTC')} and hour < {end:DateTime('UTC')}
"""

LATENCY = """
select
    ifNotFinite(toNullable(quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2]), null) as p95_ms,
    ifNotFinite(toNullable(quantilesBFloat16Merge(0.5, 0.95, 0.99)(ttft)[1]), null)
        as median_ttft_ms
from taximeter.latency_by_hour
where hour >= {start:DateTime('UTC')} and hour < {end:DateTime('UTC')}
"""

LAST_CALL = "select max(ts) from taximeter.calls"
# Sums are kept longer than calls, and made a little later.
FIRST_HOUR = """
select min(first)
from (
    select min(hour) as first from taximeter.spend_hourly
    union all
    select toStartOfHour(min(ts)) as first from taximeter.calls
)
where first > 0
"""


# Of the table and not of the view, for a fifth of the time: older versions name no others.
ENVIRONMENTS = """
select environment
from taximeter.spend_hourly
where hour >= {since:DateTime('UTC')}
group by environment
order by sum(calls) desc, environment
limit {limit:UInt32}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How the calls went in the hours that begin in a period."""

    calls: int
    errors: int
    rate_limited: int
    p95_ms: float | None
    median_ttft_ms: float | None
    input_tokens: int
    cached_input_tokens: int


class TrafficQuestions(Connected):
    def p95_ms_by_feature(self, period: Period) -> dict[str, float]:
        """Return it over the UTC days that a period touches."""
        bound = {"start": period.start, "end": period.end}
        rows = self._connection.read_sums(P95_BY_FEATURE, bound, period).result_rows
        return {feature: float(milliseconds) for feature, milliseconds in rows}

    def traffic(self, period: Period) -> Traffic:
        bound = {"start": period.start, "end": period.end}
        outcomes, tokens, latency = (
            next(self._connection.read_sums(question, bound, period).named_results())
            for question in (OUTCOMES, TOKENS, LATENCY)
        )
        return Traffic(**outcomes, **tokens, **latency)

    def environments(self, since: datetime, limit: int) -> list[str]:
        """Return those of hours that are summed, with the most calls first."""
        rows = self._connection.read(ENVIRONMENTS, {"since": since, "limit": limit}).result_rows
        return [environment for (environment,) in rows]

    def first_hour(self) -> datetime | None:
        """Return the first hour that any call is known of, by the sums too."""
        return self._moment(FIRST_HOUR)

    def last_call_at(self) -> datetime | None:
        return self._moment(LAST_CALL)

    def _moment(self, question: str) -> datetime | None:
        moment: datetime = self._connection.read(question).result_rows[0][0]
        return moment if moment > EPOCH else None
