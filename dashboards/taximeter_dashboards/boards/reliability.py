"""How well do the calls go?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import (
    IN_DAYS,
    IN_HOURS,
    MOMENT,
    named,
)
from taximeter_dashboards.columns import CALLS, GOOD_UNTIL, large, linked, small, text
from taximeter_dashboards.looks import Column
from taximeter_dashboards.panels import bars, figure, lines, row, rows
from taximeter_dashboards.questions import CHOSEN, LABELS

ERRORS: Final = f"""\
select sumIf(calls, error_type != '') / nullIf(sum(calls), 0) as "Errors"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

RATE_LIMITED: Final = f"""\
select sumIf(calls, http_status = 429) / nullIf(sum(calls), 0) as "Rate limited"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

EXTRA_ATTEMPTS: Final = f"""\
select sum(extra_attempts) / nullIf(sum(calls), 0) as "Extra attempts a call"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

# Of hours that a program before migration 17 summed and whose calls are gone, it is not known.
WASTED: Final = f"""\
select if(
    count() > 0 and countIf(cost is not null and cost_status != 'unpriced') = 0,
    null,
    ifNull(sum(cost), toDecimal128(0, 12))
) as "Spend"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and error_type != ''
    and {CHOSEN}
"""

NO_TIMEOUT: Final = f"""\
select sum(calls_without_timeout) / nullIf(sumIf(calls, calls_without_timeout is not null), 0)
    as "Without a timeout"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""

FAILED: Final = f"""\
select
    {MOMENT} as time,
    if(http_status = 0, error_type, concat(toString(http_status), ' ', error_type)) as series,
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and error_type != ''
    and {CHOSEN}
group by time, series
order by time, series
"""

BY_STATUS: Final = f"""\
select
    if(http_status = 0, '(none)', toString(http_status)) as "Status",
    if(error_type = '', 'succeeded', error_type) as "Outcome",
    sum(calls) as "Calls",
    "Calls" / sum("Calls") over () as "Share",
    sum(retried_calls) as "Retried",
    sum(extra_attempts) as "Extra tries"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by "Status", "Outcome"
order by "Calls" desc, "Status", "Outcome"
limit 50
"""

HEADROOM: Final = f"""\
select
    moment as time,
    {named("model")} as series,
    min(state) as "Remaining requests"
from {questions.latency_of("least_requests_left")}
where state is not null
    and {CHOSEN}
group by time, series
order by time, series
"""

PERCENTILES: Final = f"""\
select
    moment as time,
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(state)[1] as "p50",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(state)[2] as "p95",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(state)[3] as "p99"
from {questions.latency_of("duration")}
where {CHOSEN}
group by time
order by time
"""

LATENCY: Final = f"""\
select
    {named("feature")} as "Feature",
    {named("model")} as "Model",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[1] as "p50",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2] as "p95",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[3] as "p99",
    ifNotFinite(
        toNullable(quantilesBFloat16Merge(0.5, 0.95, 0.99)(ttft)[2]), null
    ) as "p95 to first chunk"
from taximeter.latency_by_day
where {IN_DAYS}
    and {CHOSEN}
group by "Feature", "Model"
order by "p95" desc, "Feature", "Model"
limit 100
"""


def p95_by_model(state: str) -> str:
    """Ask for the 95th percentile of a latency state; moments that have none are left out."""
    return f"""\
select
    moment as time,
    {named("model")} as series,
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(state)[2] as p95_ms
from {questions.latency_of(state)}
where {CHOSEN}
group by time, series
having not isNaN(p95_ms)
order by time, series
"""


def reliability() -> model.Dashboard:
    board = board_of(
        "taximeter-reliability",
        "reliability",
        "How well do the calls go? How calls end is not kept by user.",
        LABELS,
    )
    _failures(board)
    _latency(board)
    _limits(board)
    return board.build()


def _failures(board: Dashboard) -> None:
    board.with_row(row(100, "How often does it fail?"))
    for frame, sql, unit, decimals, levels in (
        (small(101, "Errors", "How many calls fail after all retries?", 5),
         ERRORS, PercentUnit, 1, GOOD_UNTIL),
        (small(102, "Rate limited", "How many calls end with a 429?", 5),
         RATE_LIMITED, PercentUnit, 1, GOOD_UNTIL),
        (small(103, "Extra attempts a call", "How much is retried?", 5),
         EXTRA_ATTEMPTS, Short, 2, [(None, "green"), (0.1, "yellow"), (0.5, "red")]),
        (small(104, "Without a timeout", "How many calls may hang for ten minutes?", 5),
         NO_TIMEOUT, PercentUnit, 0, [(None, "green"), (0.01, "yellow")]),
        (small(105, "Spend on failed calls", "What was paid for nothing? Known prices only.", 4),
         WASTED, Dollars, 2, [(None, "green"), (1, "yellow")]),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, decimals=decimals, levels=levels))
    board.with_panel(
        bars(large(106, "Failed calls", "Which errors, and when?", 14), FAILED, unit=Short)
    )
    board.with_panel(
        rows(
            large(108, "Outcomes", "How do calls end, and how often are they tried again?", 10),
            BY_STATUS,
            [
                *(text("Status", 70), text("Outcome", 170), CALLS),
                Column(name="Share", unit=PercentUnit, decimals=1),
                *(Column(name=one, unit=Short) for one in ("Retried", "Extra tries")),
            ],
            sorted_by="Calls",
        )
    )


def _latency(board: Dashboard) -> None:
    board.with_row(row(200, "How long does it take?"))
    for panel_id, title, question, sql, named_by in (
        (203, "Latency", "How long do calls take, the usual and the slow ones?", PERCENTILES, None),
        (204, "p95 latency by model", "Which model is slow?", p95_by_model("duration"), "series"),
        (202, "p95 time to first chunk by model", "How long until the first word?",
         p95_by_model("ttft"), "series"),
    ):  # fmt: skip
        board.with_panel(
            lines(
                large(panel_id, title, question, 8),
                sql,
                unit=Milliseconds,
                named_by=named_by,
                calculations=["max"],
            )
        )
    board.with_panel(
        rows(
            large(201, "Latency by feature", "Which feature is slow, on which model?", 14),
            LATENCY,
            [
                linked(
                    "Feature", "feature", "taximeter-feature", "See ${__value.text}", kept=LABELS
                ),
                text("Model"),
                *(Column(name=one, unit=Milliseconds, decimals=1) for one in ("p50", "p95", "p99")),
                Column(
                    name="p95 to first chunk",
                    unit=Milliseconds,
                    decimals=1,
                    missing="not streamed",
                ),
            ],
            sorted_by="p95",
        )
    )


def _limits(board: Dashboard) -> None:
    board.with_panel(
        lines(
            large(
                107,
                "Rate-limit headroom",
                "How many requests were left before the limit? The least in each hour or day. How "
                "high the limit is no call says; of tokens, remaining_tokens of the calls does.",
                10,
            ),
            HEADROOM,
            unit=Short,
            calculations=["min"],
        )
    )
