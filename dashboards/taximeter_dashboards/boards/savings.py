"""What would save money?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import named
from taximeter_dashboards.columns import GREEN, Column, Table, linked, text
from taximeter_dashboards.panels import Panel, row
from taximeter_dashboards.questions import (
    FEATURE_AND_MODEL,
    FINDINGS_CHOSEN,
    NEWEST_FINDINGS,
    SAVINGS,
    of_findings,
)

VARIABLES: Final = ("feature", "model")
ABOUT: Final = "From the calls with a known price of the last 14 days; findings may overlap."
ADVICE: Final = "concat(upperUTF8(substringUTF8(advice, 1, 1)), substringUTF8(advice, 2))"
CONFIDENCE: Final = {"high": "green", "medium": "yellow", "low": "text"}

COUNT: Final = of_findings("countIf(kind != '') as \"Findings\"")

# Beside the mean day of the two weeks that the findings are of.
SHARE_OF_SPEND: Final = of_findings(f"""\
toFloat64(sum(usd_a_month)) / nullIf((
    select toFloat64(sum(cost)) / 14 * 30.4
    from taximeter.spend_by_day
    where day > toDate((select max(taken_at) from taximeter.finding_lines), 'UTC') - 14
        and day <= toDate((select max(taken_at) from taximeter.finding_lines), 'UTC')
        and {FEATURE_AND_MODEL}
), 0) as "Of the spend"\
""")

BY_FEATURE: Final = f"""\
select
    {named("feature")} as "Feature",
    sum(usd_a_month) as "A month"
from taximeter.finding_lines
where {NEWEST_FINDINGS}
    and kind != ''
    and {FINDINGS_CHOSEN}
group by "Feature"
order by "A month" desc, "Feature"
limit 8
"""


def findings(kept: Sequence[str]) -> Table:
    """Give the findings as a dashboard with these variables shows them."""
    return Table(
        [
            text("What to do", ADVICE, 380, wraps=True),
            text("Evidence", "evidence", wraps=True),
            linked("feature", "taximeter-feature", "See it", kept=kept, width=160),
            linked("model", "taximeter-models", "See it", kept=kept, width=160),
            Column("A month", "usd_a_month", Dollars, decimals=2, color="green", width=110),
            Column("Confidence", "confidence", "string", states=CONFIDENCE, width=110),
        ],
        f"""\
from taximeter.finding_lines
where {NEWEST_FINDINGS}
    and kind != ''
    and {FINDINGS_CHOSEN}
order by "A month" desc, "What to do", "Feature"
limit 100
""",
    )


def savings() -> Dashboard:
    return board_of(
        "taximeter-savings",
        "savings",
        "What would save money? Findings are of features and models; of all environments, teams "
        "and users, and of the last 14 days whatever the range.",
        row(100, "What would save money?"),
        Panel(101, "Could be saved a month", f"How much is on the table? {ABOUT}").figure(
            SAVINGS, Dollars, width=8, decimals=2, levels=GREEN
        ),
        Panel(104, "Of the spend", f"How much of the spend would that be? {ABOUT}").figure(
            SHARE_OF_SPEND, PercentUnit, width=8, decimals=0, levels=GREEN
        ),
        Panel(105, "Findings", f"How many things are there to do? {ABOUT}").figure(
            COUNT, Short, width=8
        ),
        Panel(102, "Findings, largest saving first", f"What to change, and why? {ABOUT}").rows(
            findings(VARIABLES), sorted_by="A month"
        ),
        Panel(103, "By feature", f"Which feature has most to save a month? {ABOUT}")
        .gauges(BY_FEATURE, Dollars, levels=GREEN, width=24, height=7)
        .decimals(2),
        variables=VARIABLES,
        charts=False,
    )
