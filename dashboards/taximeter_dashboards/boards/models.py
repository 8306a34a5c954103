"""Is each feature on the right model?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import AT_LEAST, WHOLE_DAYS, board_of, variable
from taximeter_dashboards.clickhouse import IN_DAYS, named, values_of
from taximeter_dashboards.columns import (
    CALLS,
    ERRORS,
    INPUT_A_CALL,
    OUTPUT_A_CALL,
    PER_1000,
    SHARE,
    SPENT,
    UNPRICED,
    dollars,
    large,
    linked,
)
from taximeter_dashboards.looks import Column
from taximeter_dashboards.panels import bars, lines, row, rows
from taximeter_dashboards.questions import (
    CHOSEN,
    ERROR_RATE,
    OTHER_COST,
    PER_1000_CALLS,
    SPEND,
    WITH_USER,
    known,
    unless_unpriced,
)

CACHED_SHARE: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    {named("model")} as series,
    {questions.CACHED_SHARE} as "Cached"
from {questions.spend_of()}
where {CHOSEN}
group by time, series
order by time, series
"""

MODELS: Final = f"""\
select
    {named("model")} as "Model",
    {SPEND} as "Spend",
    toFloat64("Spend") / nullIf(toFloat64(sum("Spend") over ()), 0) as "Share",
    sum(calls) as "Calls",
    {PER_1000_CALLS} as "Per 1k calls",
    {known("sum(cost_input)")} as "Input",
    {known("sum(cost_cached_input)")} as "Cached input",
    {known("sum(cost_cache_write)")} as "Cache write",
    {known("sum(cost_output)")} as "Output",
    toFloat64({known("sum(cost_output)")})
        * sum(reasoning_tokens) / greatest(sum(output_tokens), 1) as "Of it reasoning",
    {known(OTHER_COST)} as "Other units",
    {ERROR_RATE} as "Errors",
    sum(unpriced_calls) as "Unpriced"
from {questions.spend_of()}
where {CHOSEN}
group by "Model"
order by "Spend" desc nulls last, "Model"
limit 100
"""

MATRIX: Final = f"""\
select
    {named("feature")} as "Feature",
    {unless_unpriced(named("model"))} as "Model",
    {SPEND} as "Spend"
from {questions.spend_of()}
where {CHOSEN}
group by "Feature", {named("model")}
order by "Spend" desc nulls last, "Feature", "Model"
limit 200
"""

# A rate is of sums whose calls all have a price: the tokens of others would make it too small.
ALL_PRICED: Final = f"{IN_DAYS}\n    and unpriced_calls = 0"

# The cheapest first, by what its output was billed at.
OFFERED: Final = f"""\
select {named("model")} as value
from taximeter.spend_by_day
where {ALL_PRICED}
group by value
having sum(output_tokens) > 0 and sum(cost_output) > 0
order by sum(cost_output) / sum(output_tokens), value
"""

# By the rates that the other model was billed at, not by a list of prices: what is in use is known.
WHAT_IF: Final = f"""\
with rates as (
    select
        toFloat64(sum(cost_input))
            / nullIf(sum(input_tokens) - sum(cached_input_tokens) - sum(cache_write_tokens), 0)
            as input,
        ifNull(toFloat64(sum(cost_cached_input)) / nullIf(sum(cached_input_tokens), 0), input)
            as cached,
        toFloat64(sum(cost_output)) / nullIf(sum(output_tokens), 0) as output
    from taximeter.spend_by_day
    where {ALL_PRICED}
        and {named("model")} in ({values_of("what_if")})
)
select
    {named("feature")} as "Feature",
    {named("model")} as "Model",
    sum(calls) as "Calls",
    sum(input_tokens) / nullIf(sum(calls), 0) as "Input a call",
    sum(output_tokens) / nullIf(sum(calls), 0) as "Output a call",
    sum(cost) as "Spend",
    (sum(input_tokens) - sum(cached_input_tokens)) * any(rates.input)
        + sum(cached_input_tokens) * any(rates.cached)
        + sum(output_tokens) * any(rates.output) as "What if",
    toFloat64("Spend") - "What if" as "Saves",
    "Saves" / nullIf(toFloat64("Spend"), 0) as "Share saved"
from {questions.spend_of()} as spent
cross join rates
where {CHOSEN}
    and {named("model")} not in ({values_of("what_if")})
group by "Feature", "Model"
having sum(output_tokens) > 0 and sum(unpriced_calls) = 0 and "Spend" > 0
order by "Saves" desc nulls last, "Feature", "Model"
limit 100
"""


WRAPPED_HEADING: Final = [
    model.DynamicConfigValue(id_val="unit", value=Dollars),
    model.DynamicConfigValue(id_val="custom.wrapHeaderText", value=True),
]


def models() -> model.Dashboard:
    board = board_of("taximeter-models", "models", "Is each feature on the right model?", WITH_USER)
    about = (
        "The model that spend is compared with: one that was in use in the range. The cheapest "
        "output comes first."
    )
    board.with_variable(variable("what_if", "What if on", about, OFFERED))
    board.with_row(row(100, "Which model costs what?"))
    board.with_panel(
        bars(
            large(101, "Spend per day by model", f"Which model costs how much? {AT_LEAST}", 8, 10),
            questions.spend_per_day_of("model"),
            unit=Dollars,
        )
    )
    board.with_panel(
        bars(
            large(
                105,
                "Tokens per day by class",
                "What is paid for: new input, cached input, output or reasoning? The classes add "
                "up; none is part of another.",
                8,
                10,
            ),
            questions.TOKENS_PER_DAY,
            unit=Short,
            named_by=None,
        )
    )
    board.with_panel(
        lines(
            large(
                102, "Cached share of input", "Does the prompt cache work, and since when?", 8, 10
            ),
            CACHED_SHARE,
            unit=PercentUnit,
        )
    )
    board.with_panel(
        rows(
            large(
                103,
                "Models",
                "What is paid for in each model? Input, cache, output and other units add up to "
                f"its spend. {AT_LEAST} {WHOLE_DAYS}",
                24,
                10,
            ),
            MODELS,
            [
                linked("Model", "model", "taximeter-feature", "What it is used for", width=190),
                *(SPENT, SHARE, CALLS, PER_1000),
                *dollars("Input", "Cached input", "Cache write", "Output", "Of it reasoning"),
                *(*dollars("Other units"), ERRORS, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    _right_model(board)
    return board.build()


def _right_model(board: Dashboard) -> None:
    board.with_row(row(200, "Is it the right one?"))
    board.with_panel(_matrix())
    board.with_panel(
        rows(
            large(
                201,
                "What if on $what_if",
                "What would the same tokens have cost on the other model, at the rates that it was "
                "billed at in the range? Whether its answers would do, and whether it would think "
                "as long, nobody can compute. Without what has calls of no known price.",
                24,
            ),
            WHAT_IF,
            [
                linked("Feature", "feature", "taximeter-feature", "See ${__value.text}"),
                linked("Model", "model", "taximeter-models", "Only ${__value.text}"),
                *(CALLS, INPUT_A_CALL, OUTPUT_A_CALL, SPENT, *dollars("What if")),
                Column(name="Saves", unit=Dollars, decimals=2, color="green"),
                Column(name="Share saved", unit=PercentUnit, decimals=0, bar=[(None, "green")]),
            ],
            sorted_by="Saves",
        )
    )


def _matrix() -> table.Panel:
    """Show features down and models across."""
    frame = large(
        104,
        "Spend by feature and model",
        "Which feature could use a smaller one? Blank is what "
        f"has no calls, or none with a known price. {AT_LEAST}",
        24,
        12,
    )
    to_matrix = model.DataTransformerConfig(
        id_val="groupingToMatrix",
        options={
            "rowField": "Feature",
            "columnField": "Model",
            "valueField": "Spend",
            "emptyValue": "null",
        },
    )
    return (
        rows(frame, MATRIX, [], sorted_by="", unit=Dollars)
        .decimals(2)
        .no_value("")
        .override_by_regexp(".*", WRAPPED_HEADING)
        .with_transformation(to_matrix)
    )
