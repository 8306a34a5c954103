"""Is each feature on the right model?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit

from taximeter_dashboards import questions
from taximeter_dashboards.board import AT_LEAST, WHOLE_DAYS, board_of
from taximeter_dashboards.clickhouse import IN_DAYS, named
from taximeter_dashboards.columns import (
    CALLS,
    ERRORS,
    INPUT_A_CALL,
    OUTPUT_A_CALL,
    PER_1000,
    SPENT,
    UNPRICED,
    large,
    text,
)
from taximeter_dashboards.panels import Column, bars, lines, row, rows
from taximeter_dashboards.questions import CHOSEN, ERROR_RATE, PER_1000_CALLS, SPEND, known

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
    {known("sum(cost_input)")} as "Input",
    {known("sum(cost_cached_input)")} as "Cached input",
    {known("sum(cost_output)")} as "Output",
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


def models() -> model.Dashboard:
    board = board_of("taximeter-models", "models", "Is each feature on the right model?")
    board.with_row(row(100, "Which model costs what?"))
    board.with_panel(
        bars(
            large(101, "Spend per day by model", f"Which model costs how much? {AT_LEAST}"),
            questions.spend_per_day_by("model"),
            unit=Dollars,
        )
    )
    board.with_panel(
        lines(
            large(102, "Cached share of input", "Does the prompt cache work, and since when?"),
            CACHED_SHARE,
            unit=PercentUnit,
        )
    )
    classes = [
        Column(name=one, unit=Dollars, decimals=2) for one in ("Input", "Cached input", "Output")
    ]
    board.with_panel(
        rows(
            large(103, "Models", f"What is paid for in each model? {AT_LEAST} {WHOLE_DAYS}", 24),
            MODELS,
            [
                *(text("Model"), SPENT, CALLS, PER_1000, *classes),
                Column(name="Reasoning", unit=PercentUnit, decimals=0),
                *(ERRORS, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    board.with_panel(
        rows(
            large(
                104, "Features by model", f"Which feature could use a smaller one? {AT_LEAST}", 24
            ),
            MATRIX,
            [
                *(text("Feature"), text("Model"), SPENT, CALLS, PER_1000),
                *(INPUT_A_CALL, OUTPUT_A_CALL, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    return board.build()
