"""Why is a feature dear?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.board import AT_LEAST, board_of
from taximeter_dashboards.clickhouse import IN_DAYS, IN_HOURS, IN_MOMENTS, named
from taximeter_dashboards.columns import (
    CALLS,
    ERRORS,
    INPUT_A_CALL,
    OUTPUT_A_CALL,
    PER_1000,
    SPENT,
    UNPRICED,
    counts,
    large,
    text,
)
from taximeter_dashboards.panels import Column, bars, row, rows
from taximeter_dashboards.questions import CHOSEN, ERROR_RATE, PER_1000_CALLS, SPEND, known

PARTS: Final = ("cost_input", "cost_cached_input", "cost_cache_write", "cost_output")
OTHER_COST: Final = " - ".join(f"sum({name})" for name in ("cost", *PARTS))

COST_BY_CLASS: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    {known("sum(cost_input)")} as "Input",
    {known("sum(cost_cached_input)")} as "Cached input",
    {known("sum(cost_cache_write)")} as "Cache write",
    {known("sum(cost_output)")} as "Output",
    {known(OTHER_COST)} as "Other units"
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


def feature() -> model.Dashboard:
    board = board_of("taximeter-feature", "feature", "Why is a feature dear?")
    board.with_row(row(100, "Why is it dear?"))
    board.with_panel(
        bars(
            large(101, "Cost per day by class", f"Is it input, output or other units? {AT_LEAST}"),
            COST_BY_CLASS,
            unit=Dollars,
            named_by=None,
        )
    )
    board.with_panel(
        bars(
            large(102, "Tokens a call", "Do its prompts or answers grow? Of calls that succeeded."),
            TOKENS_A_CALL,
            unit=Short,
            named_by=None,
        )
    )
    board.with_panel(
        rows(
            large(103, "Prompt versions", f"Did a new version make it dearer? {AT_LEAST}", 24),
            PROMPT_VERSIONS,
            [
                *(text("Prompt"), text("Version"), SPENT, CALLS, PER_1000),
                *(INPUT_A_CALL, OUTPUT_A_CALL, ERRORS, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    board.with_row(row(200, "Its calls"))
    board.with_panel(
        rows(
            large(201, "Output limits", "Is max_tokens missing, or far above what is used?"),
            OUTPUT_LIMITS,
            [
                *(text("Feature"), CALLS),
                Column(name="Without a limit", unit=PercentUnit, decimals=0),
                *(
                    Column(name=one, unit=Short)
                    for one in ("p99 output", "Longest", "Median limit")
                ),
            ],
            sorted_by="Longest",
        )
    )
    board.with_panel(
        rows(
            large(202, "Dearest calls", "Which single calls cost most? Those with a known price."),
            DEAREST_CALLS,
            [
                *(text("When"), text("Response id"), text("Feature"), text("User"), text("Model")),
                Column(name="Spend", unit=Dollars, decimals=4),
                *counts("Input", "Output"),
                text("Trace id"),
            ],
            sorted_by="Spend",
        )
    )
    return board.build()
