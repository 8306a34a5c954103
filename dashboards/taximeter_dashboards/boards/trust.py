"""Can the dollars be trusted?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import PercentUnit, Seconds, Short

from taximeter_dashboards.board import WHATEVER_IS_CHOSEN, board_of
from taximeter_dashboards.clickhouse import END, IN_HOURS, MOMENT, START, chosen, named
from taximeter_dashboards.columns import (
    CALLS,
    GOOD_AT_NONE,
    GOOD_UNTIL,
    RED_FROM_ONE,
    UNPRICED,
    dollars,
    large,
    linked,
    small,
    text,
)
from taximeter_dashboards.looks import Column, Style
from taximeter_dashboards.panels import bars, figure, lines, row, rows
from taximeter_dashboards.questions import CHOSEN, LABELS

OF_THE_METER: Final = "Of all spans, whatever is chosen above."
SET_ASIDE: Final = "A file of the journal that is set aside counts as one."

UNPRICED_CALLS: Final = f"""\
select sumIf(calls, cost_status = 'unpriced') as "Unpriced calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

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
    {MOMENT} as time,
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
where told_at >= {START} and told_at < {END}
    and {chosen("environment")}
group by "Service"
order by "Lost" desc, "Service"
limit 100
"""

LAG: Final = f"""\
select toStartOfInterval(at, interval 15 minute) as time, max(lag_s) as "Lag"
from taximeter.meter_lines
where at >= {START} and at < {END}
group by time
order by time
"""

# Several services write lines: of the newest five minutes the largest counts.
LAG_NOW: Final = f"""\
select max(lag_s) as "Lag"
from taximeter.meter_lines
where at >= {START} and at < {END}
    and at > (
        select max(at) from taximeter.meter_lines where at >= {START} and at < {END}
    ) - interval 5 minute
having count() > 0
"""

REJECTED: Final = f"""\
select sum(arraySum(mapValues(rejected))) as "Spans"
from taximeter.meter_lines
where at >= {START} and at < {END}
having count() > 0
"""

REJECTED_WHY: Final = f"""\
select reason as "Reason", sum(spans) as "Spans"
from (
    select arrayJoin(rejected) as one, one.1 as reason, one.2 as spans
    from taximeter.meter_lines
    where at >= {START} and at < {END}
)
group by "Reason"
order by "Spans" desc, "Reason"
limit 100
"""

BILLS: Final = """
from taximeter.reconciliations
where month >= toStartOfMonth(toDate($__fromTime, 'UTC')) - interval 11 month
    and month <= toDate($__toTime, 'UTC')
group by month
order by month desc
"""

BILL: Final = f"""\
select
    month as "Month",
    argMax(billed, taken_at) as "Billed",
    argMax(metered, taken_at) as "Metered",
    argMax(billed - metered, taken_at) as "Difference",
    toFloat64("Difference") / nullIf(toFloat64("Billed"), 0) as "Share",
    argMax(unpriced_calls, taken_at) as "Unpriced",
    argMax(
        arrayStringConcat(arrayMap(
            cause -> concat(
                cause.kind, if(cause.detail = '', '', ' '), cause.detail,
                ': $', toDecimalString(cause.usd, 2)
            ),
            arrayFilter(cause -> abs(cause.usd) >= 0.01, causes)
        ), '; '),
        taken_at
    ) as "Why"{BILLS}limit 12
"""

DIFFERENCE: Final = f"""\
select toFloat64(argMax(billed - metered, taken_at))
    / nullIf(toFloat64(argMax(billed, taken_at)), 0) as "Difference"{BILLS}limit 1
"""


def trust() -> model.Dashboard:
    board = board_of(
        "taximeter-trust",
        "trust",
        "Can the dollars be trusted? How costs are known is not kept by user.",
        LABELS,
    )
    _not_exact(board)
    _missing(board)
    board.with_row(row(300, "Does OpenAI agree?"))
    board.with_panel(
        rows(
            large(
                202,
                "OpenAI's bill",
                "Does the bill agree, and if not, why? By the newest reconciliation of each "
                f"month. {WHATEVER_IS_CHOSEN} Calls without a price explain a part.",
                24,
                6,
            ),
            BILL,
            [
                Column(name="Month", unit="time:YYYY-MM", width=100),
                *dollars("Billed", "Metered", "Difference"),
                Column(name="Share", unit=PercentUnit, decimals=1),
                UNPRICED,
                text("Why", 620),
            ],
            sorted_by="Month",
        )
    )
    return board.build()


def _not_exact(board: Dashboard) -> None:
    board.with_row(row(100, "What is not exact?"))
    slow = [(None, "green"), (60, "yellow"), (300, "red")]
    some = [(None, "green"), (1, "yellow")]
    for frame, sql, unit, decimals, levels in (
        (small(101, "Unpriced calls", "How many calls have no known price?", 4),
         UNPRICED_CALLS, Short, 0, GOOD_AT_NONE),
        (small(102, "Estimated calls", "How much usage was lost and estimated?", 4),
         ESTIMATED, PercentUnit, 1, GOOD_UNTIL),
        (small(103, "Altered tags", "How many calls have tags that could not stay as given?", 4),
         ALTERED, Short, 0, some),
        (small(106, "Ingest lag", "For how long have the oldest calls waited for the store? "
               f"{OF_THE_METER}", 4),
         LAG_NOW, Seconds, 0, slow),
        (small(107, "Rejected spans", f"How many spans were not taken? {SET_ASIDE} "
               f"{OF_THE_METER}", 4),
         REJECTED, Short, 0, GOOD_AT_NONE),
        (small(108, "Difference to OpenAI's bill", "How far is the newest bill above what was "
               f"metered? {WHATEVER_IS_CHOSEN} Those without a price explain a part.", 4),
         DIFFERENCE, PercentUnit, 1, GOOD_UNTIL),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, decimals=decimals, levels=levels))
    board.with_panel(
        bars(
            large(
                104, "Calls by trust", "How are the costs known: exact, estimated, free, not?", 12
            ),
            BY_TRUST,
            unit=Short,
            styles=[
                Style(names="^exact$", color="green"),
                Style(names="^free$", color="blue"),
                Style(names="^estimated$", color="yellow"),
                Style(names="^unpriced$", color="red"),
            ],
        )
    )
    board.with_panel(
        rows(
            large(105, "Without a price", "Which models need a rate, and why?"),
            WITHOUT_PRICE,
            [
                linked("Model", "model", "taximeter-feature", "What calls it", kept=LABELS),
                *(text("Reason"), CALLS),
            ],
            sorted_by="Calls",
        )
    )


def _missing(board: Dashboard) -> None:
    board.with_row(row(200, "What is missing?"))
    board.with_panel(
        rows(
            large(
                201,
                "Lost on the way",
                "Which service could not deliver its spans? Of the chosen environments.",
                8,
                7,
            ),
            LOST,
            [text("Service"), Column(name="Lost", unit=Short, levels=RED_FROM_ONE)],
            sorted_by="Lost",
        )
    )
    board.with_panel(
        rows(
            large(
                203,
                "Rejected, by reason",
                f"Why were spans not taken? {SET_ASIDE} {OF_THE_METER}",
                8,
                7,
            ),
            REJECTED_WHY,
            [text("Reason"), Column(name="Spans", unit=Short, levels=RED_FROM_ONE, width=90)],
            sorted_by="Spans",
        )
    )
    board.with_panel(
        lines(
            large(204, "Lag", f"When did calls come late, and how late? {OF_THE_METER}", 8, 7),
            LAG,
            unit=Seconds,
            named_by=None,
            calculations=["max"],
        )
    )
