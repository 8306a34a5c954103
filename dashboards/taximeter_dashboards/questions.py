"""What several dashboards ask of the store, with Grafana's macros in it."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from taximeter_dashboards.clickhouse import (
    IN_DAYS,
    IN_HOURS,
    IS_LONG,
    chosen,
    held,
    named,
    or_else,
)

DEAREST: Final = 6
"""Series of a chart beside all others: as many as Grafana has colours that nobody mixes up."""

LABELS: Final = ("environment", "team", "feature", "model")
"""What every rollup of calls knows."""
WITH_USER: Final = (*LABELS, "user")
CHOSEN: Final = chosen(*LABELS)
FEATURE_AND_MODEL: Final = chosen("feature", "model")
# The line that names nothing says that something was looked for, in every feature.
FINDINGS_CHOSEN: Final = f"(kind = '' or {FEATURE_AND_MODEL})"

IN_MONTH: Final = (
    "day >= toStartOfMonth(toDate($__toTime, 'UTC')) and day <= toDate($__toTime, 'UTC')"
)


def spend_of(days: str = IN_DAYS) -> str:
    """Give the sums of days as a table; from those of users where a user is chosen."""
    columns = (
        "day, environment, team, feature, model, calls, errors, unpriced_calls, cost,\n"
        "        input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,\n"
        "        reasoning_tokens, cost_input, cost_cached_input, cost_cache_write, cost_output"
    )
    of_users = f"""
    select {columns}
    from taximeter.users_by_day
    where {days}
        and {held("user")}
    """
    return f"""(
    select {columns}
    from taximeter.spend_by_day
    where {days}
        and {or_else("user", of_users)}
)"""


def known(dollars: str, where: str = "") -> str:
    """Give dollars, or null where no call of a group has a price; `@` stands for the condition."""
    calls, unpriced = (
        (f"sumIf({name}, {where})" if where else f"sum({name})")
        for name in ("calls", "unpriced_calls")
    )
    return f"if({calls} > 0 and {unpriced} = {calls}, null, {dollars.replace('@', where)})"


SPEND: Final = known("sum(cost)")
PER_1000_CALLS: Final = "sum(cost) * 1000 / nullIf(sum(calls) - sum(unpriced_calls), 0)"
ERROR_RATE: Final = "sum(errors) / nullIf(sum(calls), 0)"
CACHED_SHARE: Final = "sum(cached_input_tokens) / nullIf(sum(input_tokens), 0)"

PARTS: Final = ("cost_input", "cost_cached_input", "cost_cache_write", "cost_output")
OTHER_COST: Final = " - ".join(f"sum({name})" for name in ("cost", *PARTS))


def of_days(column: str, days: str = IN_DAYS) -> str:
    """Ask for one value of the chosen calls.

    Of the whole range: Grafana's sum of days of which none has a price would be $0.
    """
    return f"""\
select {column}
from {spend_of(days)}
where {CHOSEN}
"""


def per_day(columns: str, having: str = "") -> str:
    """Ask for series of the chosen calls, a point a day."""
    return f"""\
select
    toDateTime(day, 'UTC') as time,
    {columns}
from {spend_of()}
where {CHOSEN}
group by time
{having}order by time
"""


def of_outcomes(column: str) -> str:
    """Ask for one value of how the chosen calls ended."""
    return f"""\
select {column}
from taximeter.outcomes_by_hour
where {IN_HOURS}
    and {CHOSEN}
"""


SPEND_IN_RANGE: Final = of_days(f'{SPEND} as "Spend"')
COST_PER_1000_CALLS: Final = of_days(f'{PER_1000_CALLS} as "Cost per 1,000 calls"')
CALLS_PER_DAY: Final = per_day('sum(calls) as "Calls"')
UNPRICED_CALLS: Final = of_days('sum(unpriced_calls) as "Unpriced calls"')

NEWEST_FINDINGS: Final = "taken_at = (select max(taken_at) from taximeter.finding_lines)"


def of_findings(column: str) -> str:
    """Ask for one value of the chosen findings; nothing before they were looked for."""
    return f"""\
select {column}
from taximeter.finding_lines
where {NEWEST_FINDINGS}
    and {FINDINGS_CHOSEN}
having count() > 0
"""


SAVINGS: Final = of_findings('sum(usd_a_month) as "Could be saved a month"')


def unless_unpriced(name: str) -> str:
    """Give a name of a group by it and others, which says so where no call of it has a price."""
    of_all = f"sum(sum({{}})) over (partition by {name})"
    return f"""concat({name}, if(
        {of_all.format("unpriced_calls")} = {of_all.format("calls")}, ' (no known price)', ''
    ))"""


def spend_per_day_by(name: str, calls: str) -> str:
    """Ask for a series a name of calls."""
    return f"""\
select
    toDateTime(day, 'UTC') as time,
    {unless_unpriced(name)} as series,
    {SPEND} as "Spend"
from {calls}
group by day, {name}
order by time, series
"""


def spend_per_day_of(column: str) -> str:
    """Ask for a series a value of a label: of the dearest, and of all others together."""
    dearest = f"""
        select {named(column)} as name
        from {spend_of()}
        where {CHOSEN}
        group by name
        order by sum(cost) desc, name
        limit {DEAREST}
    """
    return spend_per_day_by(
        "name",
        f"""(
    select day, calls, unpriced_calls, cost,
        if({named(column)} in ({dearest}), {named(column)}, '(others)') as name
    from {spend_of()}
    where {CHOSEN}
)""",
    )


def latency_of(state: str) -> str:
    """Give the states of a latency as a table, of days where the range is long."""
    labels = "environment, team, feature, model"
    return f"""(
    select toDateTime(day, 'UTC') as moment, {labels}, {state} as state
    from taximeter.latency_by_day
    where {IN_DAYS}
        and {IS_LONG}
    union all
    select hour as moment, {labels}, {state} as state
    from taximeter.latency_by_hour
    where {IN_HOURS}
        and not {IS_LONG}
)"""


def offered_values_of(column: str) -> str:
    return f"""\
select {named(column)} as value
from taximeter.spend_by_day
where {IN_DAYS}
group by value
order by value
"""


DEAREST_USERS: Final = f"""\
select {named("user_id")} as value
from taximeter.users_by_day
where day > toDate($__toTime, 'UTC') - 7 and day <= toDate($__toTime, 'UTC')
group by value
order by sum(cost) desc, value
limit 300
"""
