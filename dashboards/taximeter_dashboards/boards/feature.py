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
from taximeter_dashboards.columns import Column, Table, count, linked, text
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import CHOSEN, OTHER_COST, WITH_USER

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

PROMPT_VERSIONS: Final = Table(
    [
        *(text("Prompt", named("prompt_name")), text("Version", named("prompt_version"))),
        *(columns.SPENT, columns.CALLS, columns.PER_1000),
        *(columns.INPUT_A_CALL, columns.OUTPUT_A_CALL, columns.ERRORS, columns.UNPRICED),
    ],
    f"""\
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
""",
)

UNLIMITED: Final = "countIf(max_output_tokens is null) / count()"
MEDIAN_LIMIT: Final = "toUInt64(quantileOrNull(0.5)(max_output_tokens))"
LIMIT_USED: Final = '"p99 output" / "Median limit"'
OUTPUT_LIMITS: Final = Table(
    [
        text("Feature", named("feature")),
        columns.CALLS.of("count()"),
        Column("Without a limit", UNLIMITED, PercentUnit, decimals=0),
        count("p99 output", "toUInt64(quantile(0.99)(output_tokens))"),
        count("Longest", "max(output_tokens)"),
        Column("Median limit", MEDIAN_LIMIT, columns.WHOLE, missing="none"),
        Column("Limit used", LIMIT_USED, PercentUnit, decimals=0, bar=columns.BLUE, missing="none"),
    ],
    f"""\
from taximeter.calls final
where {IN_LAST_WEEK}
    and operation = 'chat' and output_tokens > 0
    and {chosen(*WITH_USER)}
group by "Feature"
order by "Longest" desc, "Feature"
limit 50
""",
)

ITS_TRACE: Final = ("Its trace", "${traces:raw}${__value.raw:percentencode}")
DEAREST_CALLS: Final = Table(
    [
        text("When", "formatDateTime(ts, '%Y-%m-%d %H:%i:%S', 'UTC')", 170),
        text("Feature", named("feature"), 150),
        linked("user", "taximeter-users", "See ${__value.text}"),
        text("Model", "model"),
        Column("Spend", "cost", Dollars, decimals=4),
        *(count("Input", "input_tokens"), count("Output", "output_tokens")),
        text("Response id", "call_id", 300),
        Column("Trace", "trace_id", "string", link=ITS_TRACE, width=300),
    ],
    f"""\
from taximeter.calls final
where {IN_LAST_WEEK}
    and cost > 0
    and {chosen(*WITH_USER)}
order by cost desc, ts, call_id
limit 20
""",
)


TRACES: Final = (
    "The address of a trace, up to its id: of Taximeter's page, or of Jaeger, Tempo or the like."
)


def feature() -> Dashboard:
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
            PROMPT_VERSIONS, sorted_by="Spend", height=8
        ),
        row(200, "Its calls"),
        Panel(
            201,
            "Output limits",
            f"Is max_tokens missing, or far above what is used? Of calls of chat. {FROM_CALLS}",
        ).rows(OUTPUT_LIMITS, sorted_by="Longest", height=8),
        Panel(
            202,
            "Dearest calls",
            f"Which single calls cost most? Those with a known price. {FROM_CALLS}",
        ).rows(DEAREST_CALLS, sorted_by="Spend", height=10),
        variables=WITH_USER,
    )
    traces = TextBoxVariable("traces").label("Traces at").description(TRACES)
    return board.with_variable(traces.default_value("http://localhost:8787/calls?q="))
