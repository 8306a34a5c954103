"""The spend overview: what was spent, where it is heading, on what, and what to do about it."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import AT_LEAST, WHATEVER_IS_CHOSEN, WHOLE_DAYS, board_of
from taximeter_dashboards.boards.budgets import CURRENT, SPEND_IS_UNKNOWN, USED
from taximeter_dashboards.boards.savings import finding_columns
from taximeter_dashboards.clickhouse import BUDGET, IN_DAYS, at_all, named
from taximeter_dashboards.columns import (
    CALLS,
    ERRORS,
    GOOD_AT_NONE,
    GOOD_UNTIL,
    OF_A_LIMIT,
    PER_1000,
    SHARE,
    SPENT,
    UNPRICED,
    large,
    linked,
    small,
)
from taximeter_dashboards.looks import PLAIN, Column
from taximeter_dashboards.panels import bars, figure, gauges, row, rows
from taximeter_dashboards.questions import CHOSEN, ERROR_RATE, PER_1000_CALLS, SPEND, WITH_USER

SPEND_THIS_MONTH: Final = f"""\
select {SPEND} as "Spend"
from {questions.spend_of(questions.IN_MONTH)}
where {CHOSEN}
"""

FORECAST: Final = f"""\
select if({SPEND_IS_UNKNOWN}, null, forecast) as "Forecast"
from taximeter.month_forecasts final
where month = toStartOfMonth(toDate($__toTime, 'UTC'))
"""

# Of several budgets of all spend the largest is the one that the month is held against.
BUDGET_USED: Final = f"""\
select {USED} as "Used"
from taximeter.budget_lines final
where {CURRENT}
order by is_everything desc, if(is_everything, toFloat64(amount), "Used") desc
limit 1
"""

BUDGETS: Final = f"""\
select
    {BUDGET} as "Budget",
    {USED} as "Used"
from taximeter.budget_lines final
where {CURRENT}
order by "Used" desc nulls last, "Budget"
limit 6
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
        {questions.CACHED_SHARE} as cached_share,
        {ERROR_RATE} as error_rate,
        sum(unpriced_calls) as without_price
    from {questions.spend_of()}
    where {CHOSEN}
    group by name
) as spent
left join (
    select
        {named("feature")} as name,
        toNullable(quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2]) as p95_ms
    from taximeter.latency_by_day
    where {IN_DAYS}
        and {at_all("user")}
        and {CHOSEN}
    group by name
) as latency on latency.name = spent.name
order by "Spend" desc nulls last, "Feature"
limit 200
"""


def dashboard() -> model.Dashboard:
    board = board_of(
        "taximeter-overview",
        "spend overview",
        "What the OpenAI API costs, where that is heading, and what to do about it.",
        WITH_USER,
    )
    _money(board)
    _where_it_goes(board)
    _what_to_do(board)
    _how_it_went(board)
    return board.build()


def _money(board: Dashboard) -> None:
    board.with_row(row(100, "Money"))
    for frame, sql, unit, decimals, levels in (
        (small(101, "Spend this month", "What has this month cost so far? The calendar month (UTC) "
               f"in which the range ends, up to that day. {AT_LEAST}", 4),
         SPEND_THIS_MONTH, Dollars, 2, PLAIN),
        (small(109, "Month-end forecast", "What will this month cost? The calendar month (UTC), by "
               "the weekdays and the level of the last weeks, as budgets are forecast. "
               f"{WHATEVER_IS_CHOSEN} {AT_LEAST}", 4),
         FORECAST, Dollars, 2, PLAIN),
        (small(110, "Budget used", "How much of the largest budget of all spend is used, or else "
               f"of the fullest one? {WHATEVER_IS_CHOSEN} At least this much where calls have no "
               "known price.", 4),
         BUDGET_USED, PercentUnit, 0, OF_A_LIMIT),
        (small(102, "Spend in range", f"What did the chosen time cost? {WHOLE_DAYS} {AT_LEAST}", 4),
         questions.SPEND_IN_RANGE, Dollars, 2, PLAIN),
        (small(103, "Cost per 1,000 calls", "What does a call cost, whatever the traffic? Over the "
               f"calls with a known price. {WHOLE_DAYS}", 4),
         questions.COST_PER_1000_CALLS, Dollars, None, PLAIN),
        (small(111, "Could be saved a month", "How much is on the table? From the calls with a "
               "known price of the last 14 days. Of all environments, teams and users.", 4),
         questions.SAVINGS, Dollars, 2, [(None, "green")]),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, decimals=decimals, levels=levels))
    board.with_panel(
        bars(
            large(
                107,
                "Spend per day by feature",
                f"Which feature costs how much, and since when? {AT_LEAST}",
                16,
            ),
            questions.spend_per_day_of("feature"),
            unit=Dollars,
        )
    )
    board.with_panel(
        gauges(
            large(
                112,
                "Budgets",
                "Which budgets are nearly used up? The six fullest of their current periods. "
                f"{WHATEVER_IS_CHOSEN}",
                8,
            ),
            BUDGETS,
            unit=PercentUnit,
            levels=OF_A_LIMIT,
            most=1,
        )
    )


def _where_it_goes(board: Dashboard) -> None:
    board.with_row(row(200, "Where it goes"))
    board.with_panel(
        rows(
            large(
                201,
                "Features",
                "Which feature is dear, and is it its traffic, its calls or its cache? Click one "
                f"to see why. {WHOLE_DAYS} Spend is at least what is shown where calls are "
                "unpriced. The p95 is not known by user.",
                24,
                11,
            ),
            FEATURES,
            [
                linked("Feature", "feature", "taximeter-feature", "Why is ${__value.text} dear?"),
                *(SPENT, SHARE, CALLS, PER_1000),
                Column(name="Cached input", unit=PercentUnit, decimals=0),
                *(ERRORS, Column(name="p95", unit=Milliseconds, decimals=1), UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    board.with_panel(
        bars(
            large(
                108,
                "Spend per day by model",
                f"Which model costs how much, and since when? {AT_LEAST}",
                24,
                8,
            ),
            questions.spend_per_day_of("model"),
            unit=Dollars,
        )
    )


def _what_to_do(board: Dashboard) -> None:
    board.with_row(row(400, "What to do"))
    board.with_panel(
        rows(
            large(
                401,
                "Findings, largest saving first",
                "What would save money, and how is that known? From the calls with a known price "
                "of the last 14 days; findings may overlap. Of all environments, teams and users.",
                24,
                7,
            ),
            questions.FINDINGS,
            finding_columns(WITH_USER),
            sorted_by="A month",
        )
    )


def _how_it_went(board: Dashboard) -> None:
    board.with_row(row(300, "How it went"))
    board.with_panel(
        figure(
            small(104, "Calls", f"How much was asked? Failed calls included. {WHOLE_DAYS}", 8),
            questions.CALLS_PER_DAY,
            unit=Short,
            per_day=True,
        )
    )
    board.with_panel(
        figure(
            small(105, "Error rate", f"How many calls failed after all retries? {WHOLE_DAYS}", 8),
            questions.ERRORS,
            unit=PercentUnit,
            decimals=1,
            levels=GOOD_UNTIL,
        )
    )
    board.with_panel(
        figure(
            small(
                106,
                "Unpriced calls",
                "Can the money shown be trusted? Calls whose price is not known. Above 0, spend "
                f"is at least what is shown. {WHOLE_DAYS}",
                8,
            ),
            questions.UNPRICED_CALLS,
            unit=Short,
            levels=GOOD_AT_NONE,
        )
    )
