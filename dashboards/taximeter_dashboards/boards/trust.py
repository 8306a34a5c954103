"""Can the dollars be trusted?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import PercentUnit, Seconds, Short

from taximeter_dashboards import columns
from taximeter_dashboards.board import WHATEVER_IS_CHOSEN, board_of
from taximeter_dashboards.clickhouse import END, IN_HOURS, MOMENT, START, chosen, named
from taximeter_dashboards.columns import Column, Table, dollars, linked, text
from taximeter_dashboards.panels import Panel, Style, row
from taximeter_dashboards.questions import CHOSEN, LABELS, of_outcomes

OF_THE_METER: Final = "Of all spans, whatever is chosen above."
SET_ASIDE: Final = "A file of the journal that is set aside counts as one."

UNPRICED_CALLS: Final = of_outcomes("sumIf(calls, cost_status = 'unpriced') as \"Unpriced calls\"")

WITHOUT_PRICE: Final = Table(
    [
        linked("model", "taximeter-feature", "What calls it", kept=LABELS),
        *(text("Reason", "cost_reason"), columns.CALLS),
    ],
    f"""\
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and cost_status = 'unpriced'
    and {CHOSEN}
group by "Model", "Reason"
order by "Calls" desc, "Model", "Reason"
limit 100
""",
)

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

ESTIMATED: Final = of_outcomes(
    "sumIf(calls, cost_status = 'estimated') / nullIf(sum(calls), 0) as \"Estimated\""
)
ALTERED: Final = of_outcomes('sum(altered_calls) as "Calls"')

LOST: Final = Table(
    [
        text("Service", named("service")),
        Column("Lost", "sum(spans)", Short, levels=columns.RED_FROM_ONE),
    ],
    f"""\
from taximeter.lost_spans final
where told_at >= {START} and told_at < {END}
    and {chosen("environment")}
group by "Service"
order by "Lost" desc, "Service"
limit 100
""",
)

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

REJECTED_WHY: Final = Table(
    [
        text("Reason", "reason"),
        Column("Spans", "sum(spans)", Short, levels=columns.RED_FROM_ONE, width=90),
    ],
    f"""\
from (
    select arrayJoin(rejected) as one, one.1 as reason, one.2 as spans
    from taximeter.meter_lines
    where at >= {START} and at < {END}
)
group by "Reason"
order by "Spans" desc, "Reason"
limit 100
""",
)

BILLS: Final = """\
from taximeter.reconciliations
where month >= toStartOfMonth(toDate($__fromTime, 'UTC')) - interval 11 month
    and month <= toDate($__toTime, 'UTC')
group by month
order by month desc
"""

WHY: Final = """argMax(
        arrayStringConcat(arrayMap(
            cause -> concat(
                cause.kind, if(cause.detail = '', '', ' '), cause.detail,
                ': $', toDecimalString(cause.usd, 2)
            ),
            arrayFilter(cause -> abs(cause.usd) >= 0.01, causes)
        ), '; '),
        taken_at
    )"""
OF_BILLED: Final = 'toFloat64("Difference") / nullIf(toFloat64("Billed"), 0)'
BILL: Final = Table(
    [
        Column("Month", "month", "time:YYYY-MM", width=100),
        dollars("Billed", "argMax(billed, taken_at)"),
        dollars("Metered", "argMax(metered, taken_at)"),
        dollars("Difference", "argMax(billed - metered, taken_at)"),
        Column("Share", OF_BILLED, PercentUnit, decimals=1),
        columns.UNPRICED.of("argMax(unpriced_calls, taken_at)"),
        text("Why", WHY, 620),
    ],
    f"{BILLS}limit 12\n",
)

DIFFERENCE: Final = f"""\
select toFloat64(argMax(billed - metered, taken_at))
    / nullIf(toFloat64(argMax(billed, taken_at)), 0) as "Difference"
{BILLS}limit 1
"""


def trust() -> Dashboard:
    return board_of(
        "taximeter-trust",
        "trust",
        "Can the dollars be trusted? How costs are known is not kept by user.",
        row(100, "What is not exact?"),
        Panel(101, "Unpriced calls", "How many calls have no known price?").figure(
            UNPRICED_CALLS, Short, decimals=0, levels=columns.GOOD_AT_NONE
        ),
        Panel(102, "Estimated calls", "How much usage was lost and estimated?").figure(
            ESTIMATED, PercentUnit, decimals=1, levels=columns.GOOD_UNTIL
        ),
        Panel(103, "Altered tags", "How many calls have tags that could not stay as given?").figure(
            ALTERED, Short, decimals=0, levels=[(None, "green"), (1, "yellow")]
        ),
        Panel(
            106,
            "Ingest lag",
            f"For how long have the oldest calls waited for the store? {OF_THE_METER}",
        ).figure(
            LAG_NOW, Seconds, decimals=0, levels=[(None, "green"), (60, "yellow"), (300, "red")]
        ),
        Panel(
            107, "Rejected spans", f"How many spans were not taken? {SET_ASIDE} {OF_THE_METER}"
        ).figure(REJECTED, Short, decimals=0, levels=columns.GOOD_AT_NONE),
        Panel(
            108,
            "Difference to OpenAI's bill",
            "What part of the newest bill was not metered? "
            f"{WHATEVER_IS_CHOSEN} Those without a price explain a part.",
        ).figure(DIFFERENCE, PercentUnit, decimals=1, levels=columns.GOOD_UNTIL),
        Panel(104, "Calls by trust", "How are the costs known: exact, estimated, free, not?").bars(
            BY_TRUST,
            Short,
            styles=[
                Style(names="^exact$", color="green"),
                Style(names="^free$", color="blue"),
                Style(names="^estimated$", color="yellow"),
                Style(names="^unpriced$", color="red"),
            ],
        ),
        Panel(105, "Without a price", "Which models need a rate, and why?").rows(
            WITHOUT_PRICE, sorted_by="Calls", width=12
        ),
        row(200, "What is missing?"),
        Panel(
            201,
            "Lost on the way",
            "Which service could not deliver its spans? Of the chosen environments.",
        ).rows(LOST, sorted_by="Lost", width=8, height=7),
        Panel(
            203, "Rejected, by reason", f"Why were spans not taken? {SET_ASIDE} {OF_THE_METER}"
        ).rows(REJECTED_WHY, sorted_by="Spans", width=8, height=7),
        Panel(204, "Lag", f"When did calls come late, and how late? {OF_THE_METER}").lines(
            LAG, Seconds, width=8, height=7, named_by=None, calculations=["max"]
        ),
        row(300, "Does OpenAI agree?"),
        Panel(
            202,
            "OpenAI's bill",
            "Does the bill agree, and if not, why? By the newest reconciliation of each "
            f"month. {WHATEVER_IS_CHOSEN} Calls without a price explain a part.",
        ).rows(BILL, sorted_by="Month", height=6),
        variables=LABELS,
    )
