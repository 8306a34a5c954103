"""Which budgets are in danger, and who was told?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import columns
from taximeter_dashboards.annotations import drawn_over
from taximeter_dashboards.board import AT_LEAST, board_of, several, variable
from taximeter_dashboards.clickhouse import BUDGET, END, START, values_of
from taximeter_dashboards.columns import Column, Table, count, dollars, linked, text
from taximeter_dashboards.panels import Panel, Style, row

SPEND_IS_UNKNOWN: Final = "unpriced_calls > 0 and spent = 0"
KNOWN_SPEND: Final = f"if({SPEND_IS_UNKNOWN}, null, spent)"
USED: Final = f"toFloat64({KNOWN_SPEND}) / nullIf(toFloat64(amount), 0)"

# The watch copies all budgets at once: what it did not copy again before its period ended is gone.
SEEN_AT: Final = "(select max(taken_at) from taximeter.budget_lines)"
LOOKED_AT: Final = f"least(toDateTime64($__toTime, 3, 'UTC'), {SEEN_AT})"
CURRENT: Final = (
    f"period_start <= {LOOKED_AT} and period_end > {LOOKED_AT}\n"
    f"    and (taken_at = {SEEN_AT} or period_end <= {SEEN_AT})"
)

DAYS_LEFT: Final = f"dateDiff('second', {LOOKED_AT}, period_end) / 86400"
LEFT: Final = f"if({SPEND_IS_UNKNOWN}, null, greatest(amount - spent, toDecimal128(0, 12)))"
NOT_COUNTED: Final = "Those of which no spend is known are not counted."
FORECAST: Final = f"if({SPEND_IS_UNKNOWN}, null, forecast)"
HIGH: Final = f"if({SPEND_IS_UNKNOWN}, null, forecast_high)"

BUDGETS: Final = Table(
    [
        linked("budget", "taximeter-budgets", "Only ${__value.text}", kept=()).of(BUDGET),
        Column("Used", USED, PercentUnit, decimals=1, bar=columns.OF_A_LIMIT),
        columns.SPENT.of(KNOWN_SPEND),
        dollars("Budgeted", "amount"),
        Column("Forecast", FORECAST, Dollars, decimals=2, missing="none"),
        Column("Up to", HIGH, Dollars, decimals=2, missing="none"),
        dollars("Left", LEFT),
        Column("Days left", DAYS_LEFT, Short, decimals=1),
        dollars("Safe a day", f"toFloat64({LEFT}) / greatest(1, {DAYS_LEFT})"),
        columns.UNPRICED.of("unpriced_calls"),
    ],
    f"""\
from taximeter.budget_lines final
where {CURRENT}
order by "Used" desc nulls last, "Budget"
limit 200
""",
)

OVER: Final = f"""\
select countIf(spent > 0 and spent >= amount) as "Over their limit"
from taximeter.budget_lines final
where {CURRENT}
"""

ON_COURSE: Final = f"""\
select countIf(spent < amount and forecast >= amount) as "On course to pass it"
from taximeter.budget_lines final
where {CURRENT}
"""

MAY_PASS: Final = f"""\
select countIf(spent < amount and forecast < amount and forecast_high >= amount) as "May pass it"
from taximeter.budget_lines final
where {CURRENT}
"""

OFFERED: Final = f"""\
select {BUDGET} as value
from taximeter.budget_lines final
where {CURRENT}
    and notEmpty(course)
order by {USED} desc nulls last, value
limit 12
"""

# The panel is repeated: `$__conditionalAll` would look at what the dashboard holds, not the panel.
BURN_UP: Final = f"""\
with one as (
    select *, not ({SPEND_IS_UNKNOWN}) as is_known
    from taximeter.budget_lines final
    where {CURRENT}
        and {BUDGET} in ({values_of("budget")})
)
select point.1 as time, point.2 as series, point.3 as "USD"
from (
    select (
        toDateTime(at, 'UTC'), if(kind = 'threshold', 'Alert', 'Early warning'), toFloat64(spent)
    ) as point
    from taximeter.alert_log final
    where {BUDGET} in ({values_of("budget")})
        and spent is not null
        and at >= (select any(period_start) from one) and at < (select any(period_end) from one)
    union all
    select arrayJoin(arrayConcat(
        arrayMap(p -> (p.1, 'Spent', toFloat64(p.2)), arrayFilter(p -> is_known, course)),
        arrayMap(p -> (p.1, 'Forecast', toFloat64(p.2)), arrayFilter(p -> is_known, ahead)),
        arrayMap(
            at -> (at, 'Even pace', if(at = period_start, 0, toFloat64(amount))),
            [period_start, period_end]
        ),
        arrayFlatten(arrayMap(
            percent -> arrayMap(
                at -> (at, concat(toString(percent), ' %'), toFloat64(amount) * percent / 100),
                [period_start, period_end]
            ),
            arrayDistinct(arrayPushBack(thresholds, 100))
        ))
    )) as point
    from one
)
order by time, series
"""

NOT_DELIVERED: Final = f"""\
select countIf(state not in ('sent', 'inhibited', 'silenced')) as "Not delivered"
from taximeter.alert_log final
where at >= {START} and at < {END}
"""

DELIVERIES: Final = {
    "sent": "green",
    "pending": "yellow",
    "sending": "yellow",
    "ambiguous": "orange",
    "dead": "red",
    "inhibited": "blue",
    "silenced": "blue",
}
ALERT_LOG: Final = Table(
    [
        text("When", "formatDateTime(at, '%Y-%m-%d %H:%i:%S', 'UTC')", 170),
        text("Budget", BUDGET),
        text("Kind", "kind", 110),
        Column("Percent", "percent", "percent"),
        columns.SPENT.of("spent"),
        dollars("Budgeted", "amount"),
        text("Channel", "channel", 110),
        Column("Delivery", "state", "string", states=DELIVERIES, width=110),
        count("Attempts", "attempts"),
        text("Error", "if(error = '', 'none', error)"),
    ],
    f"""\
from taximeter.alert_log final
where at >= {START} and at < {END}
order by at desc, "Budget", "Channel"
limit 200
""",
)
LINES: Final = (
    Style(names="^Spent$", color="green", width=3, fill=15),
    Style(names="^Forecast$", color="green", dash=(6, 6)),
    Style(names="^Even pace$", color="text", width=1, dash=(2, 6)),
    Style(names="^[0-9]+ %$", color="orange", width=1),
    Style(names="^100 %$", color="red", width=2),
    Style(names="^Alert$", color="red", as_points=True),
    Style(names="^Early warning$", color="yellow", as_points=True),
)


def budgets() -> Dashboard:
    about = "Whose burn-up is drawn. Offered are the twelve fullest of the current periods."
    board = board_of(
        "taximeter-budgets",
        "budgets",
        "Which budgets are in danger? A budget has a scope of its own, so this dashboard does not "
        "narrow it to environments, teams, features, models or users.",
        row(100, "Which are in danger?"),
        Panel(101, "Over their limit", f"How many are used up? {NOT_COUNTED}").figure(
            OVER, Short, width=6, levels=columns.GOOD_AT_NONE
        ),
        Panel(102, "On course to pass it", f"How many will be? {NOT_COUNTED}").figure(
            ON_COURSE, Short, width=6, levels=[(None, "text"), (1, "red")]
        ),
        Panel(
            105,
            "May pass it",
            "How many more could be, by the upper end of the forecast's range? Those whose range "
            "is not known yet are not counted.",
        ).figure(MAY_PASS, Short, width=6, levels=[(None, "text"), (1, "yellow")]),
        Panel(103, "Not delivered", "Which alerts reached nobody?").figure(
            NOT_DELIVERED, Short, width=6, levels=columns.GOOD_AT_NONE
        ),
        Panel(
            104,
            "Budgets",
            "How much is used, where will it end, and how much a day is safe until then? "
            f"{AT_LEAST}",
        ).rows(BUDGETS, sorted_by="Used", height=9),
        row(300, "How do they burn?"),
        Panel(
            301,
            "Burn-up of $budget",
            "Is it on its way past a threshold, and when? Spend of the period so far with the "
            "alerts that were told, its forecast, and the thresholds. An early warning is of a "
            f"forecast or an unusual pace, and may come with next to nothing spent. {AT_LEAST}",
        )
        .lines(BURN_UP, Dollars, width=8, height=10, calculations=["lastNotNull"], styles=LINES)
        .decimals(0)
        .repeat("budget")
        .repeat_direction("h")
        .max_per_row(3),
        row(200, "What was told?"),
        Panel(201, "Alert log", f"Who was told what, and did it arrive? {AT_LEAST}").rows(
            ALERT_LOG, sorted_by="When", height=12
        ),
    )
    board.time("now/M", "now/M").annotations(list(drawn_over(["budget"])))
    return board.with_variable(several(variable("budget", "Burn-up of", about, OFFERED)))
