"""Is each feature on the right model?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import columns, questions
from taximeter_dashboards.board import AT_LEAST, WHOLE_DAYS, board_of, variable
from taximeter_dashboards.clickhouse import IN_DAYS, named, values_of
from taximeter_dashboards.columns import Column, Table, dollars, linked
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import CHOSEN, OTHER_COST, WITH_USER, known, unless_unpriced

TOKENS_PER_DAY: Final = questions.per_day("""\
sum(input_tokens) - sum(cached_input_tokens) - sum(cache_write_tokens) as "Input",
    sum(cached_input_tokens) as "Cached input",
    sum(cache_write_tokens) as "Cache write",
    sum(output_tokens) - sum(reasoning_tokens) as "Output",
    sum(reasoning_tokens) as "Reasoning"\
""")

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

REASONING: Final = f"""toFloat64({known("sum(cost_output)")})
        * sum(reasoning_tokens) / greatest(sum(output_tokens), 1)"""
MODELS: Final = Table(
    [
        linked("model", "taximeter-feature", "What it is used for", width=190),
        *(columns.SPENT, columns.SHARE, columns.CALLS, columns.PER_1000),
        dollars("Input", known("sum(cost_input)")),
        dollars("Cached input", known("sum(cost_cached_input)")),
        dollars("Cache write", known("sum(cost_cache_write)")),
        dollars("Output", known("sum(cost_output)")),
        dollars("Of it reasoning", REASONING),
        dollars("Other units", known(OTHER_COST)),
        *(columns.ERRORS, columns.UNPRICED),
    ],
    f"""\
from {questions.spend_of()}
where {CHOSEN}
group by "Model"
order by "Spend" desc nulls last, "Model"
limit 100
""",
)

MATRIX: Final = Table(
    [
        Column("Feature", named("feature")),
        Column("Model", unless_unpriced(named("model"))),
        Column("Spend", questions.SPEND),
    ],
    f"""\
from {questions.spend_of()}
where {CHOSEN}
group by "Feature", {named("model")}
order by "Spend" desc nulls last, "Feature", "Model"
limit 200
""",
)

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
RATES: Final = f"""\
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
"""
AT_OTHER_RATES: Final = """(sum(input_tokens) - sum(cached_input_tokens)) * any(rates.input)
        + sum(cached_input_tokens) * any(rates.cached)
        + sum(output_tokens) * any(rates.output)"""
SAVES: Final = 'toFloat64("Spend") - "What if"'
SAVED: Final = '"Saves" / nullIf(toFloat64("Spend"), 0)'
WHAT_IF: Final = Table(
    [
        linked("feature", "taximeter-feature", "See ${__value.text}"),
        linked("model", "taximeter-models", "Only ${__value.text}"),
        *(columns.CALLS, columns.INPUT_A_CALL, columns.OUTPUT_A_CALL),
        columns.SPENT.of("sum(cost)"),
        dollars("What if", AT_OTHER_RATES),
        Column("Saves", SAVES, Dollars, decimals=2, color="green"),
        Column("Share saved", SAVED, PercentUnit, decimals=0, bar=columns.GREEN),
    ],
    f"""\
from {questions.spend_of()} as spent
cross join rates
where {CHOSEN}
    and {named("model")} not in ({values_of("what_if")})
group by "Feature", "Model"
having sum(output_tokens) > 0 and sum(unpriced_calls) = 0 and "Spend" > 0
order by "Saves" desc nulls last, "Feature", "Model"
limit 100
""",
    given=RATES,
)


WRAPPED_HEADING: Final = [
    model.DynamicConfigValue(id_val="unit", value=Dollars),
    model.DynamicConfigValue(id_val="custom.wrapHeaderText", value=True),
]


TO_MATRIX: Final = model.DataTransformerConfig(
    id_val="groupingToMatrix",
    options={
        "rowField": "Feature",
        "columnField": "Model",
        "valueField": "Spend",
        "emptyValue": "null",
    },
)
"""Features down and models across."""


def models() -> Dashboard:
    board = board_of(
        "taximeter-models",
        "models",
        "Is each feature on the right model?",
        row(100, "Which model costs what?"),
        Panel(101, "Spend per day by model", f"Which model costs how much? {AT_LEAST}").bars(
            questions.spend_per_day_of("model"), Dollars, width=8, height=10
        ),
        Panel(
            105,
            "Tokens per day by class",
            "What is paid for: new input, cached input, output or reasoning? The classes add "
            "up; none is part of another.",
        ).bars(TOKENS_PER_DAY, Short, width=8, height=10, named_by=None),
        Panel(102, "Cached share of input", "Does the prompt cache work, and since when?").lines(
            CACHED_SHARE, PercentUnit, width=8, height=10
        ),
        Panel(
            103,
            "Models",
            "What is paid for in each model? Input, cache, output and other units add up to "
            f"its spend. {AT_LEAST} {WHOLE_DAYS}",
        ).rows(MODELS, sorted_by="Spend", height=11),
        row(200, "Is it the right one?"),
        Panel(
            104,
            "Spend by feature and model",
            "Which feature could use a smaller one? Blank is what "
            f"has no calls, or none with a known price. {AT_LEAST}",
        )
        .rows(MATRIX, height=12, unit=Dollars)
        .decimals(2)
        .no_value("")
        .override_by_regexp(".*", WRAPPED_HEADING)
        .with_transformation(TO_MATRIX),
        Panel(
            201,
            "What if on $what_if",
            "What would the same tokens have cost on the other model, at the rates that it was "
            "billed at in the range? Whether its answers would do, and whether it would think "
            "as long, nobody can compute. Without what has calls of no known price.",
        ).rows(WHAT_IF, sorted_by="Saves"),
        variables=WITH_USER,
    )
    about = (
        "The model that spend is compared with: one that was in use in the range. The cheapest "
        "output comes first."
    )
    return board.with_variable(variable("what_if", "What if on", about, OFFERED))
