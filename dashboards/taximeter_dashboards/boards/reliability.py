"""How well do the calls go?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import IN_DAYS, IN_HOURS, MOMENT, named
from taximeter_dashboards.columns import CALLS, GOOD_UNTIL, Column, Table, linked, text
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import CHOSEN, LABELS, of_outcomes

ERRORS: Final = of_outcomes("sumIf(calls, error_type != '') / nullIf(sum(calls), 0) as \"Errors\"")
RATE_LIMITED: Final = of_outcomes(
    'sumIf(calls, http_status = 429) / nullIf(sum(calls), 0) as "Rate limited"'
)
EXTRA_ATTEMPTS: Final = of_outcomes(
    'sum(extra_attempts) / nullIf(sum(calls), 0) as "Extra attempts a call"'
)
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

NO_TIMEOUT: Final = of_outcomes("""\
sum(calls_without_timeout) / nullIf(sumIf(calls, calls_without_timeout is not null), 0)
    as "Without a timeout"\
""")

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

BY_STATUS: Final = Table(
    [
        text("Status", "if(http_status = 0, '(none)', toString(http_status))", 70),
        text("Outcome", "if(error_type = '', 'succeeded', error_type)", 170),
        CALLS,
        Column("Share", '"Calls" / sum("Calls") over ()', PercentUnit, decimals=1),
        Column("Retried", "sum(retried_calls)", Short),
        Column("Extra tries", "sum(extra_attempts)", Short),
    ],
    f"""\
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
group by "Status", "Outcome"
order by "Calls" desc, "Status", "Outcome"
limit 50
""",
)

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

QUANTILES: Final = "quantilesBFloat16Merge(0.5, 0.95, 0.99)"
TO_FIRST_CHUNK: Final = f"""ifNotFinite(
        toNullable({QUANTILES}(ttft)[2]), null
    )"""
LATENCY: Final = Table(
    [
        linked("feature", "taximeter-feature", "See ${__value.text}", kept=LABELS),
        text("Model", named("model")),
        *(
            Column(name, f"{QUANTILES}(duration)[{place}]", Milliseconds, decimals=1)
            for place, name in enumerate(("p50", "p95", "p99"), 1)
        ),
        Column(
            "p95 to first chunk", TO_FIRST_CHUNK, Milliseconds, decimals=1, missing="not streamed"
        ),
    ],
    f"""\
from taximeter.latency_by_day
where {IN_DAYS}
    and {CHOSEN}
group by "Feature", "Model"
order by "p95" desc, "Feature", "Model"
limit 100
""",
)


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


def reliability() -> Dashboard:
    return board_of(
        "taximeter-reliability",
        "reliability",
        "How well do the calls go? How calls end is not kept by user.",
        row(100, "How often does it fail?"),
        Panel(101, "Errors", "How many calls fail after all retries?").figure(
            ERRORS, PercentUnit, width=5, decimals=1, levels=GOOD_UNTIL
        ),
        Panel(102, "Rate limited", "How many calls end with a 429?").figure(
            RATE_LIMITED, PercentUnit, width=5, decimals=1, levels=GOOD_UNTIL
        ),
        Panel(103, "Extra attempts a call", "How much is retried?").figure(
            EXTRA_ATTEMPTS,
            Short,
            width=5,
            decimals=2,
            levels=[(None, "green"), (0.1, "yellow"), (0.5, "red")],
        ),
        Panel(104, "Without a timeout", "How many calls may hang for ten minutes?").figure(
            NO_TIMEOUT,
            PercentUnit,
            width=5,
            decimals=0,
            levels=[(None, "green"), (0.01, "yellow")],
        ),
        Panel(105, "Spend on failed calls", "What was paid for nothing? Known prices only.").figure(
            WASTED, Dollars, decimals=2, levels=[(None, "green"), (1, "yellow")]
        ),
        Panel(106, "Failed calls", "Which errors, and when?").bars(FAILED, Short, width=14),
        Panel(108, "Outcomes", "How do calls end, and how often are they tried again?").rows(
            BY_STATUS, sorted_by="Calls", width=10
        ),
        row(200, "How long does it take?"),
        Panel(203, "Latency", "How long do calls take, the usual and the slow ones?").lines(
            PERCENTILES, Milliseconds, width=8, named_by=None, calculations=["max"]
        ),
        Panel(204, "p95 latency by model", "Which model is slow?").lines(
            p95_by_model("duration"), Milliseconds, width=8, calculations=["max"]
        ),
        Panel(202, "p95 time to first chunk by model", "How long until the first word?").lines(
            p95_by_model("ttft"), Milliseconds, width=8, calculations=["max"]
        ),
        Panel(201, "Latency by feature", "Which feature is slow, on which model?").rows(
            LATENCY, sorted_by="p95", width=14
        ),
        Panel(
            107,
            "Rate-limit headroom",
            "How many requests were left before the limit? The least in each hour or day. How "
            "high the limit is no call says; of tokens, remaining_tokens of the calls does.",
        ).lines(HEADROOM, Short, width=10, calculations=["min"]),
        variables=LABELS,
    )
