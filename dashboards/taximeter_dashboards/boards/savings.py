"""What would save money?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import named
from taximeter_dashboards.columns import large, linked, small, text
from taximeter_dashboards.looks import Column
from taximeter_dashboards.panels import figure, gauges, row, rows
from taximeter_dashboards.questions import (
    FEATURE_AND_MODEL,
    FINDINGS,
    FINDINGS_CHOSEN,
    NEWEST_FINDINGS,
    SAVINGS,
)

VARIABLES: Final = ("feature", "model")
ABOUT: Final = "From the calls with a known price of the last 14 days; findings may overlap."
CONFIDENCE: Final = {"high": "green", "medium": "yellow", "low": "text"}

COUNT: Final = f"""\
select countIf(kind != '') as "Findings"
from taximeter.finding_lines
where {NEWEST_FINDINGS}
    and {FINDINGS_CHOSEN}
having count() > 0
"""

# Beside the mean day of the two weeks that the findings are of.
SHARE_OF_SPEND: Final = f"""\
select toFloat64(sum(usd_a_month)) / nullIf((
    select toFloat64(sum(cost)) / 14 * 30.4
    from taximeter.spend_by_day
    where day > toDate((select max(taken_at) from taximeter.finding_lines), 'UTC') - 14
        and day <= toDate((select max(taken_at) from taximeter.finding_lines), 'UTC')
        and {FEATURE_AND_MODEL}
), 0) as "Of the spend"
from taximeter.finding_lines
where {NEWEST_FINDINGS}
    and {FINDINGS_CHOSEN}
having count() > 0
"""

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


def finding_columns(kept: Sequence[str]) -> list[Column]:
    """Give the columns of findings on a dashboard with these variables."""
    return [
        text("What to do", 380, wraps=True),
        text("Evidence", wraps=True),
        linked("Feature", "feature", "taximeter-feature", "See it", kept=kept, width=160),
        linked("Model", "model", "taximeter-models", "See it", kept=kept, width=160),
        Column(name="A month", unit=Dollars, decimals=2, color="green", width=110),
        Column(name="Confidence", unit="string", states=CONFIDENCE, width=110),
    ]


def savings() -> model.Dashboard:
    board = board_of(
        "taximeter-savings",
        "savings",
        "What would save money? Findings are of features and models; of all environments, teams "
        "and users, and of the last 14 days whatever the range.",
        VARIABLES,
        charts=False,
    )
    board.with_row(row(100, "What would save money?"))
    green = [(None, "green")]
    board.with_panel(
        figure(
            small(101, "Could be saved a month", f"How much is on the table? {ABOUT}", 8),
            SAVINGS,
            unit=Dollars,
            decimals=2,
            levels=green,
        )
    )
    board.with_panel(
        figure(
            small(104, "Of the spend", f"How much of the spend would that be? {ABOUT}", 8),
            SHARE_OF_SPEND,
            unit=PercentUnit,
            decimals=0,
            levels=green,
        )
    )
    board.with_panel(
        figure(
            small(105, "Findings", f"How many things are there to do? {ABOUT}", 8),
            COUNT,
            unit=Short,
        )
    )
    board.with_panel(
        rows(
            large(102, "Findings, largest saving first", f"What to change, and why? {ABOUT}", 24),
            FINDINGS,
            finding_columns(VARIABLES),
            sorted_by="A month",
        )
    )
    board.with_panel(
        gauges(
            large(103, "By feature", f"Which feature has most to save a month? {ABOUT}", 24, 7),
            BY_FEATURE,
            unit=Dollars,
            levels=green,
        ).decimals(2)
    )
    return board.build()
