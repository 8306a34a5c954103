"""How features call their models: what findings about savings are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from taximeter_collector.store.connection import Connected
from taximeter_collector.store.question import calls_within
from taximeter_collector.store.scope import Period, Scope

MOST_ROWS: Final = 200

PATIENT: Final = """
    not stream and user_id = '' and not batch and service_tier in ('', 'default')
    and endpoint in ('chat.completions', 'responses', 'embeddings')
"""
SIMPLE: Final = """
    operation = 'chat' and not batch and reasoning_tokens = 0 and finish_reason != 'tool_calls'
    and input_tokens <= 2000 and output_tokens <= 150 and output_tokens > 0
    and audio_input_tokens + audio_output_tokens + image_input_tokens = 0
"""
UNCAPPED: Final = """
    operation = 'chat' and output_tokens > 0
    and ifNull(max_output_tokens > 4 * typical.p99, true)
"""

HABITS: Final = """
with
    priced as (
        select * from taximeter.calls final
        where cost > 0 and error_type = '' and WITHIN
    ),
    typical as (
        select feature, model, toUInt64(quantile(0.99)(output_tokens)) as p99
        from priced group by feature, model
    )
select
    priced.feature as feature,
    priced.model as model,
    count() as calls,
    countIf(PATIENT) as patient_calls,
    sumIf(assumeNotNull(cost), PATIENT) as patient_cost,
    countIf(SIMPLE) as simple_calls,
    sumIf(assumeNotNull(cost), SIMPLE) as simple_cost,
    sumIf(input_tokens, SIMPLE) as simple_input_tokens,
    sumIf(cached_input_tokens, SIMPLE) as simple_cached_input_tokens,
    sumIf(output_tokens, SIMPLE) as simple_output_tokens,
    countIf(UNCAPPED) as uncapped_calls,
    sumIf(
        toDecimal128(output_tokens - typical.p99, 0) * ifNull(price_output, toDecimal64(0, 12)),
        output_tokens > typical.p99 and (UNCAPPED)
    ) as tail_cost,
    any(typical.p99) as p99_output_tokens,
    max(output_tokens) as most_output_tokens
from priced inner join typical on typical.feature = priced.feature and typical.model = priced.model
group by priced.feature, priced.model
order by sum(cost) desc
limit {limit:UInt32}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """The priced calls of a feature with a model over some days; money in US dollars."""

    feature: str
    model: str
    days: Decimal
    calls: int
    patient_calls: int
    """Those that nobody seems to wait for: no user, not streamed."""
    patient_cost: Decimal
    simple_calls: int
    """Short in and out, without reasoning and tools."""
    simple_cost: Decimal
    simple_input_tokens: int
    simple_cached_input_tokens: int
    simple_output_tokens: int
    uncapped_calls: int
    """Without a limit of the output, or with one of over four times the 99th percentile."""
    tail_cost: Decimal
    """Of their output beyond the 99th percentile."""
    p99_output_tokens: int
    most_output_tokens: int


class HabitQuestions(Connected):
    def habits(self, period: Period, scope: Scope = Scope()) -> list[Habit]:  # noqa: B008
        """Return how the dearest features call their models."""
        condition, bound = calls_within(period, scope)
        sql = HABITS.replace("WITHIN", condition)
        for name, text in (("PATIENT", PATIENT), ("SIMPLE", SIMPLE), ("UNCAPPED", UNCAPPED)):
            sql = sql.replace(name, text)
        bound["limit"] = MOST_ROWS
        days = Decimal((period.end - period.start).total_seconds()) / 86400
        return [Habit(days=days, **row) for row in self._connection.rows(sql, bound)]
