"""Why is a feature dear?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, TextBoxVariable
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import columns, questions
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
from taximeter_dashboards.columns import Column, counts, linked, text
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import CHOSEN, OTHER_COST, SPEND, WITH_USER

# Without the days of which no price is known: where that is all of them, a total would be $0.
COST_BY_CLASS: Final = questions.per_day(
    f"""\
sum(cost_input) as "Input",
    sum(cost_cached_input) as "Cached input",
    sum(cost_cache_write) as "Cache write",
    sum(cost_output) as "Output",
    {OTHER_COST} as "Other units"\
""",
    having="having sum(calls) > sum(unpriced_calls)\n",
)

TOKENS_A_CALL: Final = questions.per_day("""\
sum(input_tokens) / nullIf(sum(calls) - sum(errors), 0) as "Input",
    sum(output_tokens) / nullIf(sum(calls) - sum(errors), 0) as "Output"\
""")

CACHED_INPUT: Final = questions.of_days(f'{questions.CACHED_SHARE} as "Cached input"')

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
    {questions.PER_1000_CALLS} as "Per 1k calls",
    sum(input_tokens) / nullIf(sum(calls), 0) as "Input a call",
    sum(output_tokens) / nullIf(sum(calls), 0) as "Output a call",
    {questions.ERROR_RATE} as "Errors",
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


TRACES: Final = (
    "The address of a trace, up to its id: of Taximeter's page, or of Jaeger, Tempo or the like."
)


def feature() -> Dashboard:
    trace = ("Its trace", "${traces:raw}${__value.raw:percentencode}")
    board = board_of(
        "taximeter-feature",
        "feature",
        "Why is a feature dear?",
        row(100, "How dear is it?"),
        Panel(104, "Spend", f"What did it cost? {WHOLE_DAYS} {AT_LEAST}").figure(
            questions.SPEND_IN_RANGE, Dollars, width=6, decimals=2
        ),
        Panel(105, "Calls", f"How often is it asked? {WHOLE_DAYS}").figure(
            questions.CALLS_PER_DAY, Short, width=6, decimals=1, total="sum"
        ),
        Panel(
            106, "Cost per 1,000 calls", "What does a call cost? Of those with a known price."
        ).figure(questions.COST_PER_1000_CALLS, Dollars),
        Panel(107, "Cached input", "How much of the input was read from the cache?").figure(
            CACHED_INPUT, PercentUnit, decimals=0
        ),
        Panel(108, "Unpriced calls", "How many calls have no known price?").figure(
            questions.UNPRICED_CALLS, Short, decimals=0, levels=columns.GOOD_AT_NONE
        ),
        row(300, "Why is it dear?"),
        Panel(101, "Cost per day by class", f"Is it input, output or other units? {AT_LEAST}").bars(
            COST_BY_CLASS, Dollars, named_by=None
        ),
        Panel(
            102,
            "Tokens a call",
            "Do its prompts or answers grow? All tokens, also those of streams that failed, "
            "over the calls that succeeded.",
        ).lines(TOKENS_A_CALL, Short, named_by=None),
        Panel(103, "Prompt versions", f"Did a new version make it dearer? {AT_LEAST}").rows(
            PROMPT_VERSIONS,
            [
                *(text("Prompt"), text("Version"), columns.SPENT, columns.CALLS, columns.PER_1000),
                *(columns.INPUT_A_CALL, columns.OUTPUT_A_CALL, columns.ERRORS, columns.UNPRICED),
            ],
            sorted_by="Spend",
            height=8,
        ),
        row(200, "Its calls"),
        Panel(
            201,
            "Output limits",
            f"Is max_tokens missing, or far above what is used? Of calls of chat. {FROM_CALLS}",
        ).rows(
            OUTPUT_LIMITS,
            [
                *(text("Feature"), columns.CALLS),
                Column("Without a limit", PercentUnit, decimals=0),
                *counts("p99 output", "Longest"),
                Column("Median limit", columns.WHOLE, missing="none"),
                Column("Limit used", PercentUnit, decimals=0, bar=columns.BLUE, missing="none"),
            ],
            sorted_by="Longest",
            height=8,
        ),
        Panel(
            202,
            "Dearest calls",
            f"Which single calls cost most? Those with a known price. {FROM_CALLS}",
        ).rows(
            DEAREST_CALLS,
            [
                *(text("When", 170), text("Feature", 150)),
                linked("User", "user", "taximeter-users", "See ${__value.text}"),
                text("Model"),
                Column("Spend", Dollars, decimals=4),
                *(*counts("Input", "Output"), text("Response id", 300)),
                Column("Trace", "string", link=trace, width=300),
            ],
            sorted_by="Spend",
            height=10,
        ),
        variables=WITH_USER,
    )
    traces = TextBoxVariable("traces").label("Traces at").description(TRACES)
    return board.with_variable(traces.default_value("http://localhost:8787/calls?q="))
