"""How well do the calls go?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import IN_HOURS, IN_MOMENTS, named
from taximeter_dashboards.columns import GOOD_UNTIL, large, small, text
from taximeter_dashboards.panels import Column, bars, figure, lines, row, rows
from taximeter_dashboards.questions import CHOSEN

OUTCOMES: Final = f"""\
select
    $__timeInterval(hour) as time,
    multiIf(http_status = 429, '429', error_type != '', error_type, 'succeeded') as series,
    sum(calls) as "Calls"
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by time, series
order by time, series
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

WASTED: Final = f"""\
select sum(cost) as "Spend"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and error_type != ''
    and {CHOSEN}
"""

NO_TIMEOUT: Final = f"""\
select countIf(timeout_set is null or not timeout_set) / nullIf(count(), 0) as "Without a timeout"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and {CHOSEN}
"""

HEADROOM: Final = f"""\
select
    $__timeInterval(ts) as time,
    {named("model")} as series,
    min(remaining_requests) as "Remaining requests"
from taximeter.calls final
where toStartOfHour(ts) >= toStartOfDay($__fromTime, 'UTC')
    and {IN_MOMENTS}
    and remaining_requests is not null
    and {CHOSEN}
group by time, series
order by time, series
"""

LATENCY: Final = f"""\
select
    {named("feature")} as "Feature",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[1] as "p50",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[2] as "p95",
    quantilesBFloat16Merge(0.5, 0.95, 0.99)(duration)[3] as "p99"
from taximeter.latency_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by "Feature"
order by "p95" desc, "Feature"
limit 100
"""


def reliability() -> model.Dashboard:
    board = board_of("taximeter-reliability", "reliability", "How well do the calls go?")
    board.with_row(row(100, "How often does it fail?"))
    for frame, sql, unit, levels in (
        (small(101, "Errors", "How many calls fail after all retries?", 5),
         questions.FAILED_CALLS, PercentUnit, GOOD_UNTIL),
        (small(102, "Rate limited", "How many calls end with a 429?", 5),
         RATE_LIMITED, PercentUnit, GOOD_UNTIL),
        (small(103, "Extra attempts a call", "How much is retried?", 5),
         EXTRA_ATTEMPTS, Short, [(None, "green"), (0.1, "yellow"), (0.5, "red")]),
        (small(104, "Without a timeout", "How many calls may hang for ten minutes?", 5),
         NO_TIMEOUT, PercentUnit, [(None, "text")]),
        (small(105, "Spend on failed calls", "What was paid for nothing? Known prices only.", 4),
         WASTED, Dollars, [(None, "text")]),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, levels=levels))
    board.with_panel(
        bars(
            large(106, "Calls by outcome", "Which errors, and when?"),
            OUTCOMES,
            unit=Short,
        )
    )
    board.with_panel(
        lines(
            large(
                107, "Rate-limit headroom", "How near is the limit of requests? The least left.", 12
            ),
            HEADROOM,
            unit=Short,
        )
    )
    board.with_row(row(200, "How long does it take?"))
    percentiles = [Column(name=one, unit=Milliseconds) for one in ("p50", "p95", "p99")]
    board.with_panel(
        rows(
            large(201, "Latency by feature", "Which feature is slow?"),
            LATENCY,
            [text("Feature"), *percentiles],
            sorted_by="p95",
        )
    )
    board.with_panel(
        lines(
            large(202, "p95 time to first chunk by model", "How long until the first word?"),
            questions.p95_by_model("ttft"),
            unit=Milliseconds,
        )
    )
    return board.build()
