"""Who causes the spend?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import PercentUnit, Short

from taximeter_dashboards.board import AT_LEAST, board_of
from taximeter_dashboards.clickhouse import IN_DAYS, chosen, named
from taximeter_dashboards.columns import CALLS, ERRORS, SPENT, UNPRICED, dollars, large, small, text
from taximeter_dashboards.panels import figure, row, rows
from taximeter_dashboards.questions import ERROR_RATE, SPEND, known

# The rollup of users knows environment and feature; the model is asked of the calls.
OF_USERS: Final = chosen("environment", "feature")

ON_LAST_DAY: Final = "day = toDate($__toTime, 'UTC')"

BEFORE_LAST_DAY: Final = "day < toDate($__toTime, 'UTC')"

DISTINCT_USERS: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    uniqCombined64Merge(14)(users) as "Users"
from taximeter.distinct_users_by_day
where {IN_DAYS}
    and {OF_USERS}
group by time
order by time
"""

CONCENTRATION: Final = f"""\
select
    if(total > 0, toFloat64(arraySum(arraySlice(spends, 1, 10))) / toFloat64(total), null)
        as "Share of the ten dearest"
from (
    select
        arrayReverseSort(groupArray(spent.usd)) as spends,
        sum(spent.usd) as total
    from (
        select user_id, sum(cost) as usd
        from taximeter.users_by_day
        where {IN_DAYS}
            and user_id != ''
            and {OF_USERS}
        group by user_id
    ) as spent
)
"""

USERS_TODAY: Final = f"""\
select
    {named("user_id")} as "User",
    {known("sumIf(cost, @)", ON_LAST_DAY)} as "Last day",
    {known("sumIf(cost, @)", BEFORE_LAST_DAY)} / greatest(
        1, dateDiff('day', toDate($__fromTime, 'UTC'), toDate($__toTime, 'UTC'))
    ) as "Usual day",
    {SPEND} as "Spend",
    sum(calls) as "Calls",
    {ERROR_RATE} as "Errors",
    sum(unpriced_calls) as "Unpriced"
from taximeter.users_by_day
where {IN_DAYS}
    and {OF_USERS}
group by "User"
order by "Spend" desc nulls last, "User"
limit 50
"""


def users() -> model.Dashboard:
    board = board_of("taximeter-users", "users", "Who causes the spend? Any model.")
    board.with_row(row(100, "Who?"))
    board.with_panel(
        figure(
            small(101, "Users", "How many users call a day? To about 1 %.", 12),
            DISTINCT_USERS,
            unit=Short,
            per_day=True,
        )
    )
    board.with_panel(
        figure(
            small(
                102, "Ten dearest users", "How much of the spend with a known price is theirs?", 12
            ),
            CONCENTRATION,
            unit=PercentUnit,
        )
    )
    days = dollars("Last day", "Usual day")
    board.with_panel(
        rows(
            large(
                103, "Dearest users", f"Who is dear, and is today like other days? {AT_LEAST}", 24
            ),
            USERS_TODAY,
            [text("User"), *days, SPENT, CALLS, ERRORS, UNPRICED],
            sorted_by="Spend",
        )
    )
    return board.build()
