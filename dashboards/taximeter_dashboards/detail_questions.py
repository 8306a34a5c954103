"""The questions of the dashboards beside the overview."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from taximeter_dashboards.clickhouse import IN_DAYS, IN_HOURS, IN_MOMENTS, chosen, named
from taximeter_dashboards.questions import CHOSEN, ERROR_RATE, PER_1000_CALLS, SPEND

COST_BY_CLASS: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    sum(cost_input) as "Input",
    sum(cost_cached_input) as "Cached input",
    sum(cost_cache_write) as "Cache write",
    sum(cost_output) as "Output",
    sum(cost) - sum(cost_input) - sum(cost_cached_input) - sum(cost_cache_write)
        - sum(cost_output) as "Other units"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time
order by time
"""

TOKENS_A_CALL: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    sum(input_tokens) / nullIf(sum(calls) - sum(errors), 0) as "Input",
    sum(output_tokens) / nullIf(sum(calls) - sum(errors), 0) as "Output"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time
order by time
"""

PROMPT_VERSIONS: Final = f"""\
select
    {named("prompt_name")} as "Prompt",
    {named("prompt_version")} as "Version",
    {SPEND} as "Spend",
    sum(calls) as "Calls",
    {PER_1000_CALLS} as "Per 1k calls",
    sum(input_tokens) / nullIf(sum(calls), 0) as "Input a call",
    sum(output_tokens) / nullIf(sum(calls), 0) as "Output a call",
    {ERROR_RATE} as "Errors",
    sum(unpriced_calls) as "Unpriced"
from taximeter.spend_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by "Prompt", "Version"
order by "Spend" desc nulls last, "Prompt", "Version"
limit 100
"""

OUTPUT_LIMITS: Final = f"""\
select
    {named("feature")} as "Feature",
    count() as "Calls",
    countIf(max_output_tokens is null) / count() as "Without a limit",
    toUInt64(quantile(0.99)(output_tokens)) as "p99 output",
    max(output_tokens) as "Longest",
    toUInt64(quantileOrNull(0.5)(max_output_tokens)) as "Median limit"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and operation = 'chat' and output_tokens > 0
    and {CHOSEN}
group by "Feature"
order by "Longest" desc, "Feature"
limit 50
"""

DEAREST_CALLS: Final = f"""\
select
    formatDateTime(ts, '%Y-%m-%d %H:%i:%S', 'UTC') as "When",
    call_id as "Response id",
    {named("feature")} as "Feature",
    {named("user_id")} as "User",
    model as "Model",
    cost as "Spend",
    input_tokens as "Input",
    output_tokens as "Output",
    trace_id as "Trace id"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and cost > 0
    and {CHOSEN}
order by cost desc, ts, call_id
limit 20
"""

CACHED_SHARE: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    {named("model")} as series,
    sum(cached_input_tokens) / nullIf(sum(input_tokens), 0) as "Cached"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by time, series
order by time, series
"""

MODELS: Final = f"""\
select
    {named("model")} as "Model",
    {SPEND} as "Spend",
    sum(calls) as "Calls",
    {PER_1000_CALLS} as "Per 1k calls",
    sum(cost_input) as "Input",
    sum(cost_cached_input) as "Cached input",
    sum(cost_output) as "Output",
    sum(reasoning_tokens) / nullIf(sum(output_tokens), 0) as "Reasoning",
    {ERROR_RATE} as "Errors",
    sum(unpriced_calls) as "Unpriced"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by "Model"
order by "Spend" desc nulls last, "Model"
limit 100
"""

MATRIX: Final = f"""\
select
    {named("feature")} as "Feature",
    {named("model")} as "Model",
    {SPEND} as "Spend",
    sum(calls) as "Calls",
    {PER_1000_CALLS} as "Per 1k calls",
    sum(input_tokens) / nullIf(sum(calls), 0) as "Input a call",
    sum(output_tokens) / nullIf(sum(calls), 0) as "Output a call",
    sum(unpriced_calls) as "Unpriced"
from taximeter.spend_by_day
where {IN_DAYS}
    and {CHOSEN}
group by "Feature", "Model"
order by "Spend" desc nulls last, "Feature", "Model"
limit 200
"""

# The rollup of users knows environment and feature; the model is asked of the calls.
OF_USERS: Final = chosen("environment", "feature")

DISTINCT_USERS: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    uniqCombined64Merge(14)(users) as "Users"
from taximeter.distinct_users_by_day
where {IN_DAYS}
    and {OF_USERS}
group by time
order by time
"""

CONCENTRATION: Final = f"""\
select
    if(total > 0, toFloat64(arraySum(arraySlice(spends, 1, 10))) / toFloat64(total), null)
        as "Share of the ten dearest"
from (
    select
        arrayReverseSort(groupArray(spent.usd)) as spends,
        sum(spent.usd) as total
    from (
        select user_id, sum(cost) as usd
        from taximeter.users_by_day
        where {IN_DAYS}
            and user_id != ''
            and {OF_USERS}
        group by user_id
    ) as spent
)
"""

USERS_TODAY: Final = f"""\
select
    {named("user_id")} as "User",
    sumIf(cost, day = toDate($__toTime, 'UTC')) as "Last day",
    sumIf(cost, day < toDate($__toTime, 'UTC')) / greatest(
        1, dateDiff('day', toDate($__fromTime, 'UTC'), toDate($__toTime, 'UTC'))
    ) as "Usual day",
    {SPEND} as "Spend",
    sum(calls) as "Calls",
    {ERROR_RATE} as "Errors",
    sum(unpriced_calls) as "Unpriced"
from taximeter.users_by_day
where {IN_DAYS}
    and {OF_USERS}
group by "User"
order by "Spend" desc nulls last, "User"
limit 50
"""

OUTCOMES: Final = f"""\
select
    $__timeInterval(hour) as time,
    multiIf(http_status = 429, '429', error_type != '', error_type, 'succeeded') as series,
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by time, series
order by time, series
"""

RATE_LIMITED: Final = f"""\
select sumIf(calls, http_status = 429) / nullIf(sum(calls), 0) as "Rate limited"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

EXTRA_ATTEMPTS: Final = f"""\
select sum(extra_attempts) / nullIf(sum(calls), 0) as "Extra attempts a call"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

WASTED: Final = f"""\
select sum(cost) as "Spend"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and error_type != ''
    and {CHOSEN}
"""

NO_TIMEOUT: Final = f"""\
select countIf(timeout_set is null or not timeout_set) / nullIf(count(), 0) as "Without a timeout"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and {CHOSEN}
"""

HEADROOM: Final = f"""\
select
    $__timeInterval(ts) as time,
    {named("model")} as series,
    min(remaining_requests) as "Remaining requests"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and remaining_requests is not null
    and {CHOSEN}
group by time, series
order by time, series
"""

LATENCY: Final = f"""\
select
    {named("feature")} as "Feature",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[1] as "p50",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2] as "p95",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[3] as "p99"
from taximeter.latency_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by "Feature"
order by "p95" desc, "Feature"
limit 100
"""

WITHOUT_PRICE: Final = f"""\
select
    {named("model")} as "Model",
    cost_reason as "Reason",
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and cost_status = 'unpriced'
    and {CHOSEN}
group by "Model", "Reason"
order by "Calls" desc, "Model", "Reason"
limit 100
"""

BY_TRUST: Final = f"""\
select
    $__timeInterval(hour) as time,
    toString(cost_status) as series,
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by time, series
order by time, series
"""

ESTIMATED: Final = f"""\
select sumIf(calls, cost_status = 'estimated') / nullIf(sum(calls), 0) as "Estimated"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

ALTERED: Final = f"""\
select sum(altered_calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

LOST: Final = f"""\
select
    {named("service")} as "Service",
    sum(spans) as "Lost"
from taximeter.lost_spans final
where told_at >= toStartOfDay($__fromTime, 'UTC')
    and told_at < toStartOfDay($__toTime, 'UTC') + interval 1 day
    and {chosen("environment")}
group by "Service"
order by "Lost" desc, "Service"
limit 100
"""

BILL: Final = """\
select
    month as "Month",
    argMax(billed, taken_at) as "Billed",
    argMax(metered, taken_at) as "Metered",
    argMax(billed - metered, taken_at) as "Difference"
from taximeter.reconciliations
where month >= toStartOfMonth(toDate($__fromTime, 'UTC')) - interval 11 month
    and month <= toDate($__toTime, 'UTC')
group by month
order by month desc
limit 12
"""

BUDGETS: Final = """\
select
    concat(budget, if(value = '', '', concat(': ', value))) as "Budget",
    toFloat64(spent) / nullIf(toFloat64(amount), 0) as "Used",
    if(unpriced_calls > 0 and spent = 0, null, spent) as "Spend",
    amount as "Budgeted",
    forecast as "Forecast",
    period_end as "Ends",
    unpriced_calls as "Unpriced"
from taximeter.budget_lines final
where period_end > $__fromTime and period_start <= $__toTime
order by "Used" desc nulls last, "Budget"
limit 200
"""

BUDGETS_OVER: Final = """\
select count() as "Over their limit"
from taximeter.budget_lines final
where period_end > $__toTime and period_start <= $__toTime
    and spent > 0 and spent >= amount
"""

BUDGETS_ON_COURSE: Final = """\
select count() as "On course to pass it"
from taximeter.budget_lines final
where period_end > $__toTime and period_start <= $__toTime
    and spent < amount and forecast >= amount
"""

DAYS_LEFT: Final = """\
select
    budget as "Budget",
    dateDiff('second', $__toTime, period_end) / 86400 as "Days left",
    greatest(amount - spent, toDecimal128(0, 12)) as "Left",
    toFloat64(greatest(amount - spent, toDecimal128(0, 12)))
        / greatest(1, dateDiff('second', $__toTime, period_end) / 86400) as "Safe a day"
from taximeter.budget_lines final
where period_end > $__toTime and period_start <= $__toTime and value = ''
order by "Left", "Budget"
limit 100
"""

ALERT_LOG: Final = """\
select
    formatDateTime(at, '%Y-%m-%d %H:%i:%S', 'UTC') as "When",
    concat(budget, if(value = '', '', concat(': ', value))) as "Budget",
    kind as "Kind",
    percent as "Percent",
    spent as "Spend",
    amount as "Budgeted",
    channel as "Channel",
    state as "Delivery",
    attempts as "Attempts",
    error as "Error"
from taximeter.alert_log final
where at >= toStartOfDay($__fromTime, 'UTC')
    and at < toStartOfDay($__toTime, 'UTC') + interval 1 day
order by at desc, "Budget", "Channel"
limit 200
"""

NOT_DELIVERED: Final = """\
select countIf(state not in ('sent', 'inhibited', 'silenced')) as "Not delivered"
from taximeter.alert_log final
where at >= toStartOfDay($__fromTime, 'UTC')
    and at < toStartOfDay($__toTime, 'UTC') + interval 1 day
"""

FINDINGS: Final = f"""\
select
    kind as "Finding",
    {named("feature")} as "Feature",
    {named("model")} as "Model",
    advice as "Advice",
    evidence as "Evidence",
    usd_a_month as "A month",
    confidence as "Confidence"
from taximeter.finding_lines
where taken_at = (select max(taken_at) from taximeter.finding_lines)
    and {chosen("feature", "model")}
order by "A month" desc, "Finding", "Feature"
limit 100
"""

FINDINGS_TOTAL: Final = f"""\
select sum(usd_a_month) as "Could be saved a month"
from taximeter.finding_lines
where taken_at = (select max(taken_at) from taximeter.finding_lines)
    and {chosen("feature", "model")}
"""
