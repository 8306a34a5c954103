"""The spend overview: what was spent, where it is heading, on what, and what to do about it."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import columns, questions
from taximeter_dashboards.board import AT_LEAST, WHATEVER_IS_CHOSEN, WHOLE_DAYS, board_of
from taximeter_dashboards.boards.budgets import CURRENT, SPEND_IS_UNKNOWN, USED
from taximeter_dashboards.boards.savings import findings
from taximeter_dashboards.clickhouse import BUDGET, IN_DAYS, at_all, named
from taximeter_dashboards.columns import Column, Table, linked
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import CHOSEN, ERROR_RATE, PER_1000_CALLS, SPEND, WITH_USER

SPEND_THIS_MONTH: Final = questions.of_days(f'{SPEND} as "Spend"', questions.IN_MONTH)
ERRORS: Final = questions.of_days(f'{ERROR_RATE} as "Error rate"')

FORECAST: Final = f"""\
select if({SPEND_IS_UNKNOWN}, null, forecast) as "Forecast"
from taximeter.month_forecasts final
where month = toStartOfMonth(toDate($__toTime, 'UTC'))
"""

BUDGET_USED: Final = f"""\
select {USED} as "Used"
from taximeter.budget_lines final
where {CURRENT}
order by is_everything desc, "Used" desc nulls last
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

OF_ALL_SPENT: Final = "toFloat64(spent.spend) / nullIf(toFloat64(sum(spent.spend) over ()), 0)"
FEATURES: Final = Table(
    [
        linked("feature", "taximeter-feature", "Why is ${__value.text} dear?").of("spent.name"),
        *(columns.SPENT.of("spent.spend"), columns.SHARE.of(OF_ALL_SPENT)),
        *(columns.CALLS.of("spent.all_calls"), columns.PER_1000.of("spent.per_1000_calls")),
        Column("Cached input", "spent.cached_share", PercentUnit, decimals=0),
        columns.ERRORS.of("spent.error_rate"),
        Column("p95", "latency.p95_ms", Milliseconds, decimals=1),
        columns.UNPRICED.of("spent.without_price"),
    ],
    f"""\
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
""",
)


def spend_overview() -> Dashboard:
    return board_of(
        "taximeter-overview",
        "spend overview",
        "What the OpenAI API costs, where that is heading, and what to do about it.",
        row(100, "Money"),
        Panel(
            101,
            "Spend this month",
            "What has this month cost so far? The calendar month (UTC) "
            f"in which the range ends, up to that day. {AT_LEAST}",
        ).figure(SPEND_THIS_MONTH, Dollars, decimals=2),
        Panel(
            109,
            "Month-end forecast",
            "What will this month cost? The calendar month (UTC), by "
            "the weekdays and the level of the last weeks, as budgets are forecast. "
            f"{WHATEVER_IS_CHOSEN} {AT_LEAST}",
        ).figure(FORECAST, Dollars, decimals=2),
        Panel(
            110,
            "Budget used",
            "How much of the fullest budget of all spend is used, or else of the fullest of "
            f"others? {WHATEVER_IS_CHOSEN} At least this much where calls have no known price.",
        ).figure(BUDGET_USED, PercentUnit, decimals=0, levels=columns.OF_A_LIMIT),
        Panel(
            102, "Spend in range", f"What did the chosen time cost? {WHOLE_DAYS} {AT_LEAST}"
        ).figure(questions.SPEND_IN_RANGE, Dollars, decimals=2),
        Panel(
            103,
            "Cost per 1,000 calls",
            "What does a call cost, whatever the traffic? Over the "
            f"calls with a known price. {WHOLE_DAYS}",
        ).figure(questions.COST_PER_1000_CALLS, Dollars),
        Panel(
            111,
            "Could be saved a month",
            "How much is on the table? From the calls with a "
            "known price of the last 14 days. Of all environments, teams and users.",
        ).figure(questions.SAVINGS, Dollars, decimals=2, levels=columns.GREEN),
        Panel(
            107,
            "Spend per day by feature",
            f"Which feature costs how much, and since when? {AT_LEAST}",
        ).bars(questions.spend_per_day_of("feature"), Dollars, width=16),
        Panel(
            112,
            "Budgets",
            "Which budgets are nearly used up? The six fullest of their current periods. "
            f"{WHATEVER_IS_CHOSEN}",
        )
        .gauges(BUDGETS, PercentUnit, levels=columns.OF_A_LIMIT, width=8)
        .max(1)
        .decimals(0),
        row(200, "Where it goes"),
        Panel(
            201,
            "Features",
            "Which feature is dear, and is it its traffic, its calls or its cache? Click one "
            f"to see why. {WHOLE_DAYS} Spend is at least what is shown where calls are "
            "unpriced. The p95 is not known by user.",
        ).rows(FEATURES, sorted_by="Spend", height=11),
        Panel(
            108, "Spend per day by model", f"Which model costs how much, and since when? {AT_LEAST}"
        ).bars(questions.spend_per_day_of("model"), Dollars, width=24, height=8),
        row(400, "What to do"),
        Panel(
            401,
            "Findings, largest saving first",
            "What would save money, and how is that known? From the calls with a known price "
            "of the last 14 days; findings may overlap. Of all environments, teams and users.",
        ).rows(findings(WITH_USER), sorted_by="A month", height=7),
        row(300, "How it went"),
        Panel(104, "Calls", f"How much was asked? Failed calls included. {WHOLE_DAYS}").figure(
            questions.CALLS_PER_DAY, Short, width=8, total="sum"
        ),
        Panel(105, "Error rate", f"How many calls failed after all retries? {WHOLE_DAYS}").figure(
            ERRORS, PercentUnit, width=8, decimals=1, levels=columns.GOOD_UNTIL
        ),
        Panel(
            106,
            "Unpriced calls",
            "Can the money shown be trusted? Calls whose price is not known. Above 0, spend "
            f"is at least what is shown. {WHOLE_DAYS}",
        ).figure(questions.UNPRICED_CALLS, Short, width=8, levels=columns.GOOD_AT_NONE),
        variables=WITH_USER,
    )
