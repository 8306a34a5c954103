"""Which budgets are in danger, and who was told?"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import PercentUnit, Short

from taximeter_dashboards.board import AT_LEAST, board_of
from taximeter_dashboards.columns import SPENT, UNPRICED, counts, dollars, large, small, text
from taximeter_dashboards.panels import Column, figure, row, rows

BUDGETS: Final = """\
select
    concat(budget, if(value = '', '', concat(': ', value))) as "Budget",
    toFloat64("Spend") / nullIf(toFloat64(amount), 0) as "Used",
    if(unpriced_calls > 0 and spent = 0, null, spent) as "Spend",
    amount as "Budgeted",
    forecast as "Forecast",
    period_end as "Ends",
    unpriced_calls as "Unpriced"
from taximeter.budget_lines final
where period_end > $__fromTime and period_start <= $__toTime
order by "Used" desc nulls last, "Budget"
limit 200
"""

BUDGETS_OVER: Final = """\
select count() as "Over their limit"
from taximeter.budget_lines final
where period_end > $__toTime and period_start <= $__toTime
    and spent > 0 and spent >= amount
"""

BUDGETS_ON_COURSE: Final = """\
select count() as "On course to pass it"
from taximeter.budget_lines final
where period_end > $__toTime and period_start <= $__toTime
    and spent < amount and forecast >= amount
"""

DAYS_LEFT: Final = """\
select
    budget as "Budget",
    dateDiff('second', $__toTime, period_end) / 86400 as "Days left",
    greatest(amount - spent, toDecimal128(0, 12)) as "Left",
    toFloat64(greatest(amount - spent, toDecimal128(0, 12)))
        / greatest(1, dateDiff('second', $__toTime, period_end) / 86400) as "Safe a day"
from taximeter.budget_lines final
where period_end > $__toTime and period_start <= $__toTime and value = ''
order by "Left", "Budget"
limit 100
"""

ALERT_LOG: Final = """\
select
    formatDateTime(at, '%Y-%m-%d %H:%i:%S', 'UTC') as "When",
    concat(budget, if(value = '', '', concat(': ', value))) as "Budget",
    kind as "Kind",
    percent as "Percent",
    spent as "Spend",
    amount as "Budgeted",
    channel as "Channel",
    state as "Delivery",
    attempts as "Attempts",
    error as "Error"
from taximeter.alert_log final
where at >= toStartOfDay($__fromTime, 'UTC')
    and at < toStartOfDay($__toTime, 'UTC') + interval 1 day
order by at desc, "Budget", "Channel"
limit 200
"""

NOT_DELIVERED: Final = """\
select countIf(state not in ('sent', 'inhibited', 'silenced')) as "Not delivered"
from taximeter.alert_log final
where at >= toStartOfDay($__fromTime, 'UTC')
    and at < toStartOfDay($__toTime, 'UTC') + interval 1 day
"""


def budgets() -> model.Dashboard:
    board = board_of("taximeter-budgets", "budgets", "Which budgets are in danger?")
    board.with_row(row(100, "Which are in danger?"))
    red = [(None, "green"), (1, "red")]
    for frame, sql in (
        (small(101, "Over their limit", "How many are used up?", 8), BUDGETS_OVER),
        (small(102, "On course to pass it", "How many will be?", 8), BUDGETS_ON_COURSE),
        (small(103, "Not delivered", "Which alerts reached nobody?", 8), NOT_DELIVERED),
    ):
        board.with_panel(figure(frame, sql, unit=Short, levels=red))
    board.with_panel(
        rows(
            large(104, "Budgets", f"How much is used, and where will it end? {AT_LEAST}", 14),
            BUDGETS,
            [
                text("Budget"),
                Column(name="Used", unit=PercentUnit, decimals=1, bar=True),
                *(SPENT, *dollars("Budgeted", "Forecast")),
                Column(name="Ends", unit="dateTimeAsIso"),
                UNPRICED,
            ],
            sorted_by="Used",
        )
    )
    board.with_panel(
        rows(
            large(105, "What is left", f"How much a day is safe until the end? {AT_LEAST}", 10),
            DAYS_LEFT,
            [
                text("Budget"),
                Column(name="Days left", unit=Short, decimals=1),
                *dollars("Left", "Safe a day"),
            ],
            sorted_by="Left",
        )
    )
    board.with_row(row(200, "What was told?"))
    board.with_panel(
        rows(
            large(201, "Alert log", f"Who was told what, and did it arrive? {AT_LEAST}", 24),
            ALERT_LOG,
            [
                *(text("When"), text("Budget"), text("Kind"), *counts("Percent")),
                *(SPENT, *dollars("Budgeted"), text("Channel"), text("Delivery")),
                *(*counts("Attempts"), text("Error")),
            ],
            sorted_by="When",
        )
    )
    return board.build()
