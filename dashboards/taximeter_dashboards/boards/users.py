"""Who causes the spend?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards import columns, questions
from taximeter_dashboards.board import AT_LEAST, WHOLE_DAYS, board_of
from taximeter_dashboards.clickhouse import IN_DAYS, chosen
from taximeter_dashboards.columns import Column, Table, dollars, linked
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import WITH_USER, known

CHOSEN: Final = chosen(*WITH_USER)

ON_LAST_DAY: Final = "day = toDate($__toTime, 'UTC')"

BEFORE_LAST_DAY: Final = "day < toDate($__toTime, 'UTC')"

USERS_PER_DAY: Final = f"""\
select
    toDateTime(day, 'UTC') as time,
    uniqCombined64(14)(user_id) as "Users"
from taximeter.users_by_day
where {IN_DAYS}
    and user_id != ''
    and {CHOSEN}
group by time
order by time
"""

OF_EACH_USER: Final = f"""
    select user_id, toFloat64(sum(cost)) as usd
    from taximeter.users_by_day
    where {IN_DAYS}
        and user_id != ''
        and {CHOSEN}
    group by user_id
    having sum(calls) > sum(unpriced_calls)
"""

MEDIAN_USER: Final = f"""\
select quantileOrNull(0.5)(usd) as "Median user"
from ({OF_EACH_USER})
"""

TEN_DEAREST: Final = f"""\
select arraySum(arraySlice(arrayReverseSort(groupArray(usd)), 1, 10)) / nullIf(sum(usd), 0)
    as "Share of the ten dearest"
from ({OF_EACH_USER})
"""

CONCENTRATION: Final = f"""\
select
    concat('The dearest ', toString(share), ' % of users') as "Users",
    arraySum(arraySlice(spends, 1, toUInt64(ceil(length(spends) * share / 100))))
        / nullIf(arraySum(spends), 0) as "Of the spend"
from (
    select arrayReverseSort(groupArray(usd)) as spends from ({OF_EACH_USER}) having notEmpty(spends)
)
array join [1, 5, 10, 20, 50] as share
order by share
"""

# The dearest of the range, and all others together.
BY_DEAREST: Final = f"""(
    select day, calls, unpriced_calls, cost, if(user_id in (
        select user_id from ({OF_EACH_USER}) order by usd desc, user_id limit {questions.DEAREST}
    ), user_id, if(user_id = '', '(none)', '(others)')) as name
    from taximeter.users_by_day
    where {IN_DAYS}
        and {CHOSEN}
)"""

USUAL_DAY: Final = f"""{known("sumIf(cost, @)", BEFORE_LAST_DAY)} / greatest(
        1, dateDiff('day', toDate($__fromTime, 'UTC'), toDate($__toTime, 'UTC'))
    )"""
AGAINST_USUAL: Final = 'toFloat64("Last day") / nullIf(toFloat64("Usual day"), 0)'
UNUSUAL: Final = [(None, "transparent"), (2, "orange"), (4, "red")]
USERS: Final = Table(
    [
        linked("user", "taximeter-users", "Only ${__value.text}"),
        *(columns.SPENT, columns.SHARE),
        dollars("Last day", known("sumIf(cost, @)", ON_LAST_DAY)),
        dollars("Usual day", USUAL_DAY),
        Column("Against usual", AGAINST_USUAL, "suffix:x", decimals=1, levels=UNUSUAL),
        *(columns.CALLS, columns.PER_1000, columns.ERRORS, columns.UNPRICED),
    ],
    f"""\
from taximeter.users_by_day
where {IN_DAYS}
    and {CHOSEN}
group by "User"
order by "Spend" desc nulls last, "User"
limit 50
""",
)


def users() -> Dashboard:
    priced = "Of the spend with a known price, and of calls that name a user."
    return board_of(
        "taximeter-users",
        "users",
        "Who causes the spend? Read from the sums of users a day, which grow with the users; no "
        "smaller rollup knows them.",
        row(100, "Who?"),
        Panel(101, "Users a day", "How many users call on a usual day? To about 1 %.").figure(
            USERS_PER_DAY, Short, width=8, decimals=0, total="mean"
        ),
        Panel(102, "Ten dearest users", f"How much of the spend is theirs? {priced}").figure(
            TEN_DEAREST, PercentUnit, width=8, decimals=0
        ),
        Panel(104, "Median user", f"What does a usual user cost in the range? {priced}").figure(
            MEDIAN_USER, Dollars, width=8, decimals=2
        ),
        Panel(105, "Spend per day by user", f"Is it one of them, and since when? {AT_LEAST}").bars(
            questions.spend_per_day_by("name", BY_DEAREST), Dollars, width=16
        ),
        Panel(106, "Concentration", f"How few users cause how much of it? {priced}")
        .gauges(
            CONCENTRATION,
            PercentUnit,
            levels=[(None, "blue"), (0.5, "yellow"), (0.8, "orange")],
            width=8,
        )
        .max(1)
        .decimals(0),
        Panel(
            103,
            "Dearest users",
            "Who is dear, and is the last day of the range, which may not be over, like the "
            f"days before? {WHOLE_DAYS} {AT_LEAST}",
        ).rows(USERS, sorted_by="Spend", height=12),
        variables=WITH_USER,
    )
