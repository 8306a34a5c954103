"""The questions that dashboards ask of the store, with Grafana's macros in them."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from taximeter_dashboards.clickhouse import IN_DAYS, IN_HOURS, IN_MOMENTS, chosen, named

VARIABLES: Final = ("environment", "feature", "model")
CHOSEN: Final = chosen(*VARIABLES)


def known(dollars: str, where: str = "") -> str:
    """Give dollars, or null where no call of a group has a price; `@` stands for the condition."""
    calls, unpriced = (
        (f"sumIf({name}, {where})" if where else f"sum({name})")
        for name in ("calls", "unpriced_calls")
    )
    return f"if({calls} > 0 and {unpriced} = {calls}, null, {dollars.replace('@', where)})"


SPEND: Final = known("sum(cost)")
PER_1000_CALLS: Final = "sum(cost) * 1000 / nullIf(sum(calls) - sum(unpriced_calls), 0)"
ERROR_RATE: Final = "sum(errors) / nullIf(sum(calls), 0)"

SPEND_THIS_MONTH: Final = f"""\
select {SPEND} as "Spend"
from taximeter.spend_by_day
where day >= toStartOfMonth(toDate($__toTime, 'UTC'))
    and day <= toDate($__toTime, 'UTC')
    and {CHOSEN}
"""

SPEND_PER_DAY: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    {SPEND} as "Spend"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time
order by time
"""

COST_PER_1000_CALLS: Final = f"""\
select {PER_1000_CALLS} as "Cost per 1,000 calls"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
"""

CALLS_PER_DAY: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    sum(calls) as "Calls"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time
order by time
"""

FAILED_CALLS: Final = f"""\
select {ERROR_RATE} as "Error rate"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
"""

UNPRICED_CALLS: Final = f"""\
select sum(unpriced_calls) as "Unpriced calls"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
"""

FEATURES: Final = f"""\
select
    spent.name as "Feature",
    spent.spend as "Spend",
    toFloat64(spent.spend) / nullIf(toFloat64(sum(spent.spend) over ()), 0) as "Share",
    spent.all_calls as "Calls",
    spent.per_1000_calls as "Per 1k calls",
    spent.cached_share as "Cached input",
    spent.error_rate as "Errors",
    latency.p95_ms as "p95",
    spent.without_price as "Unpriced"
from (
    select
        {named("feature")} as name,
        {SPEND} as spend,
        sum(calls) as all_calls,
        {PER_1000_CALLS} as per_1000_calls,
        sum(cached_input_tokens) / nullIf(sum(input_tokens), 0) as cached_share,
        {ERROR_RATE} as error_rate,
        sum(unpriced_calls) as without_price
    from taximeter.spend_by_day
    where {IN_DAYS}
        and {CHOSEN}
    group by name
) as spent
left join (
    select
        {named("feature")} as name,
        toNullable(quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2]) as p95_ms
    from taximeter.latency_by_hour
    where {IN_HOURS}
        and {CHOSEN}
    group by name
) as latency on latency.name = spent.name
order by "Spend" desc nulls last, "Feature"
limit 200
"""

# No rollup has the user: from the calls, each once. The hour finds the rows in the table's order,
# the moment leaves whole weeks out.
USERS: Final = f"""\
select
    {named("user_id")} as "User",
    {SPEND} as "Spend",
    sum(calls) as "Calls",
    {PER_1000_CALLS} as "Per 1k calls",
    {ERROR_RATE} as "Errors",
    sum(unpriced_calls) as "Unpriced"
from taximeter.spend_of_calls
where {IN_HOURS}
    and {IN_MOMENTS}
    and {CHOSEN}
group by "User"
order by "Spend" desc nulls last, "User"
limit 20
"""

TOKENS_PER_DAY: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    sum(input_tokens) - sum(cached_input_tokens) - sum(cache_write_tokens) as "Input",
    sum(cached_input_tokens) as "Cached input",
    sum(cache_write_tokens) as "Cache write",
    sum(output_tokens) - sum(reasoning_tokens) as "Output",
    sum(reasoning_tokens) as "Reasoning"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time
order by time
"""


def spend_per_day_by(column: str) -> str:
    return f"""\
select
    toDateTime(day, 'UTC') as time,
    {named(column)} as series,
    {SPEND} as "Spend"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time, series
order by time, series
"""


def p95_by_model(state: str) -> str:
    """Ask for the 95th percentile of a latency state; hours that have none are left out."""
    return f"""\
select
    $__timeInterval(hour) as time,
    {named("model")} as series,
    quantilesBFloat16Merge(0.5, 0.95, 0.99)({state})[2] as p95_ms
from taximeter.latency_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by time, series
having not isNaN(p95_ms)
order by time, series
"""


def values_of(column: str) -> str:
    return f"""\
select {named(column)} as value
from taximeter.spend_by_day
where {IN_DAYS}
group by value
order by value
"""
