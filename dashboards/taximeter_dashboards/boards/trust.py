"""Can the dollars be trusted?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import IN_HOURS, chosen, named
from taximeter_dashboards.columns import (
    CALLS,
    GOOD_UNTIL,
    RED_FROM_ONE,
    large,
    small,
    text,
)
from taximeter_dashboards.panels import Column, bars, figure, row, rows
from taximeter_dashboards.questions import CHOSEN

WITHOUT_PRICE: Final = f"""\
select
    {named("model")} as "Model",
    cost_reason as "Reason",
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and cost_status = 'unpriced'
    and {CHOSEN}
group by "Model", "Reason"
order by "Calls" desc, "Model", "Reason"
limit 100
"""

BY_TRUST: Final = f"""\
select
    $__timeInterval(hour) as time,
    toString(cost_status) as series,
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by time, series
order by time, series
"""

ESTIMATED: Final = f"""\
select sumIf(calls, cost_status = 'estimated') / nullIf(sum(calls), 0) as "Estimated"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

ALTERED: Final = f"""\
select sum(altered_calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

LOST: Final = f"""\
select
    {named("service")} as "Service",
    sum(spans) as "Lost"
from taximeter.lost_spans final
where told_at >= toStartOfDay($__fromTime, 'UTC')
    and told_at < toStartOfDay($__toTime, 'UTC') + interval 1 day
    and {chosen("environment")}
group by "Service"
order by "Lost" desc, "Service"
limit 100
"""

BILL: Final = """\
select
    month as "Month",
    argMax(billed, taken_at) as "Billed",
    argMax(metered, taken_at) as "Metered",
    argMax(billed - metered, taken_at) as "Difference"
from taximeter.reconciliations
where month >= toStartOfMonth(toDate($__fromTime, 'UTC')) - interval 11 month
    and month <= toDate($__toTime, 'UTC')
group by month
order by month desc
limit 12
"""


def trust() -> model.Dashboard:
    board = board_of("taximeter-trust", "trust", "Can the dollars be trusted?")
    board.with_row(row(100, "What is not exact?"))
    for frame, sql, unit, levels in (
        (small(101, "Unpriced calls", "How many calls have no known price?", 8),
         questions.UNPRICED_CALLS, Short, [(None, "green"), (1, "red")]),
        (small(102, "Estimated calls", "How much usage was lost and estimated?", 8),
         ESTIMATED, PercentUnit, GOOD_UNTIL),
        (small(103, "Altered tags", "How many calls have tags that could not stay as given?", 8),
         ALTERED, Short, [(None, "green"), (1, "yellow")]),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, levels=levels))
    board.with_panel(
        bars(
            large(
                104, "Calls by trust", "How are the costs known: exact, estimated, free, not?", 12
            ),
            BY_TRUST,
            unit=Short,
        )
    )
    board.with_panel(
        rows(
            large(105, "Without a price", "Which models need a rate, and why?"),
            WITHOUT_PRICE,
            [text("Model"), text("Reason"), CALLS],
            sorted_by="Calls",
        )
    )
    board.with_row(row(200, "What is missing?"))
    board.with_panel(
        rows(
            large(201, "Lost on the way", "Which service could not deliver its spans?"),
            LOST,
            [text("Service"), Column(name="Lost", unit=Short, levels=RED_FROM_ONE)],
            sorted_by="Lost",
        )
    )
    ledger = [
        Column(name=one, unit=Dollars, decimals=2) for one in ("Billed", "Metered", "Difference")
    ]
    board.with_panel(
        rows(
            large(
                202,
                "OpenAI's bill",
                "Does the bill agree? Calls without a price explain a part.",
                12,
            ),
            BILL,
            [Column(name="Month", unit="time:YYYY-MM"), *ledger],
            sorted_by="Month",
        )
    )
    return board.build()
