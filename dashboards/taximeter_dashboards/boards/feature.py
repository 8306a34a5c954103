"""Why is a feature dear?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, TextBoxVariable
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import AT_LEAST, FROM_CALLS, WHOLE_DAYS, board_of
from taximeter_dashboards.clickhouse import (
    END,
    IN_HOURS,
    IN_LAST_WEEK,
    START,
    chosen,
    named,
    or_else,
    values_of,
)
from taximeter_dashboards.columns import (
    BLUE,
    CALLS,
    ERRORS,
    GOOD_AT_NONE,
    INPUT_A_CALL,
    OUTPUT_A_CALL,
    PER_1000,
    SPENT,
    UNPRICED,
    WHOLE,
    counts,
    large,
    linked,
    small,
    text,
)
from taximeter_dashboards.looks import PLAIN, Column
from taximeter_dashboards.panels import bars, figure, lines, row, rows
from taximeter_dashboards.questions import (
    CHOSEN,
    ERROR_RATE,
    OTHER_COST,
    PER_1000_CALLS,
    SPEND,
    WITH_USER,
)

# Without the days of which no price is known: where that is all of them, a total would be $0.
COST_BY_CLASS: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    sum(cost_input) as "Input",
    sum(cost_cached_input) as "Cached input",
    sum(cost_cache_write) as "Cache write",
    sum(cost_output) as "Output",
    {OTHER_COST} as "Other units"
from {questions.spend_of()}
where {CHOSEN}
group by time
having sum(calls) > sum(unpriced_calls)
order by time
"""

TOKENS_A_CALL: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    sum(input_tokens) / nullIf(sum(calls) - sum(errors), 0) as "Input",
    sum(output_tokens) / nullIf(sum(calls) - sum(errors), 0) as "Output"
from {questions.spend_of()}
where {CHOSEN}
group by time
order by time
"""

OF_PROMPTS: Final = """environment, team, feature, model, prompt_name, prompt_version, calls,
        errors, unpriced_calls, cost, input_tokens, output_tokens"""

# The index of users finds their calls by `has`, not by `in` a computed array.
PROMPTS_OF_USERS: Final = f"""
    select {OF_PROMPTS}
    from taximeter.spend_of_calls
    where {IN_HOURS}
        and ts >= {START} and ts < {END}
        and has(arrayMap(name -> if(name = '(none)', '', name), {values_of("user")}), user_id)
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
from (
    select {OF_PROMPTS}
    from taximeter.spend_by_hour
    where {IN_HOURS}
        and {or_else("user", PROMPTS_OF_USERS)}
)
where {CHOSEN}
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
    toUInt64(quantileOrNull(0.5)(max_output_tokens)) as "Median limit",
    "p99 output" / "Median limit" as "Limit used"
from taximeter.calls final
where {IN_LAST_WEEK}
    and operation = 'chat' and output_tokens > 0
    and {chosen(*WITH_USER)}
group by "Feature"
order by "Longest" desc, "Feature"
limit 50
"""

DEAREST_CALLS: Final = f"""\
select
    formatDateTime(ts, '%Y-%m-%d %H:%i:%S', 'UTC') as "When",
    {named("feature")} as "Feature",
    {named("user_id")} as "User",
    model as "Model",
    cost as "Spend",
    input_tokens as "Input",
    output_tokens as "Output",
    call_id as "Response id",
    trace_id as "Trace"
from taximeter.calls final
where {IN_LAST_WEEK}
    and cost > 0
    and {chosen(*WITH_USER)}
order by cost desc, ts, call_id
limit 20
"""


def feature() -> model.Dashboard:
    traces = (
        TextBoxVariable("traces")
        .label("Traces at")
        .description(
            "The address of a trace, up to its id: of Taximeter's page, or of Jaeger, Tempo or "
            "the like."
        )
        .default_value("http://localhost:8787/calls?q=")
    )
    board = board_of("taximeter-feature", "feature", "Why is a feature dear?", WITH_USER)
    board.with_variable(traces)
    board.with_row(row(100, "How dear is it?"))
    _figures(board)
    board.with_row(row(300, "Why is it dear?"))
    board.with_panel(
        bars(
            large(101, "Cost per day by class", f"Is it input, output or other units? {AT_LEAST}"),
            COST_BY_CLASS,
            unit=Dollars,
            named_by=None,
        )
    )
    board.with_panel(
        lines(
            large(
                102,
                "Tokens a call",
                "Do its prompts or answers grow? All tokens, also those of streams that failed, "
                "over the calls that succeeded.",
            ),
            TOKENS_A_CALL,
            unit=Short,
            named_by=None,
        )
    )
    board.with_panel(
        rows(
            large(103, "Prompt versions", f"Did a new version make it dearer? {AT_LEAST}", 24, 8),
            PROMPT_VERSIONS,
            [
                *(text("Prompt"), text("Version"), SPENT, CALLS, PER_1000),
                *(INPUT_A_CALL, OUTPUT_A_CALL, ERRORS, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    _calls(board)
    return board.build()


def _figures(board: Dashboard) -> None:
    for frame, sql, unit, decimals, levels, per_day in (
        (small(104, "Spend", f"What did it cost? {WHOLE_DAYS} {AT_LEAST}", 6),
         questions.SPEND_IN_RANGE, Dollars, 2, PLAIN, False),
        (small(105, "Calls", f"How often is it asked? {WHOLE_DAYS}", 6),
         questions.CALLS_PER_DAY, Short, 1, PLAIN, True),
        (small(106, "Cost per 1,000 calls", "What does a call cost? Of those with a known price.",
               4),
         questions.COST_PER_1000_CALLS, Dollars, None, PLAIN, False),
        (small(107, "Cached input", "How much of the input was read from the cache?", 4),
         questions.CACHED_INPUT, PercentUnit, 0, PLAIN, False),
        (small(108, "Unpriced calls", "How many calls have no known price?", 4),
         questions.UNPRICED_CALLS, Short, 0, GOOD_AT_NONE, False),
    ):  # fmt: skip
        board.with_panel(
            figure(frame, sql, unit=unit, decimals=decimals, levels=levels, per_day=per_day)
        )


def _calls(board: Dashboard) -> None:
    board.with_row(row(200, "Its calls"))
    board.with_panel(
        rows(
            large(
                201,
                "Output limits",
                f"Is max_tokens missing, or far above what is used? Of calls of chat. {FROM_CALLS}",
                24,
                8,
            ),
            OUTPUT_LIMITS,
            [
                *(text("Feature"), CALLS),
                Column(name="Without a limit", unit=PercentUnit, decimals=0),
                *counts("p99 output", "Longest"),
                Column(name="Median limit", unit=WHOLE, missing="none"),
                Column(name="Limit used", unit=PercentUnit, decimals=0, bar=BLUE, missing="none"),
            ],
            sorted_by="Longest",
        )
    )
    trace = ("Its trace", "${traces:raw}${__value.raw:percentencode}")
    board.with_panel(
        rows(
            large(
                202,
                "Dearest calls",
                f"Which single calls cost most? Those with a known price. {FROM_CALLS}",
                24,
                10,
            ),
            DEAREST_CALLS,
            [
                *(text("When", 170), text("Feature", 150)),
                linked("User", "user", "taximeter-users", "See ${__value.text}"),
                text("Model"),
                Column(name="Spend", unit=Dollars, decimals=4),
                *(*counts("Input", "Output"), text("Response id", 300)),
                Column(name="Trace", unit="string", link=trace, width=300),
            ],
            sorted_by="Spend",
        )
    )
