"""What would save money?"""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars

from taximeter_dashboards.board import board_of
from taximeter_dashboards.clickhouse import chosen, named
from taximeter_dashboards.columns import dollars, large, small, text
from taximeter_dashboards.panels import figure, row, rows

FINDINGS: Final = f"""\
select
    kind as "Finding",
    {named("feature")} as "Feature",
    {named("model")} as "Model",
    advice as "Advice",
    evidence as "Evidence",
    usd_a_month as "A month",
    confidence as "Confidence"
from taximeter.finding_lines
where taken_at = (select max(taken_at) from taximeter.finding_lines)
    and {chosen("feature", "model")}
order by "A month" desc, "Finding", "Feature"
limit 100
"""

FINDINGS_TOTAL: Final = f"""\
select sum(usd_a_month) as "Could be saved a month"
from taximeter.finding_lines
where taken_at = (select max(taken_at) from taximeter.finding_lines)
    and {chosen("feature", "model")}
"""


def savings() -> model.Dashboard:
    board = board_of("taximeter-savings", "savings", "What would save money? Of all environments.")
    board.with_row(row(100, "What would save money?"))
    about = "From the calls with a known price of the last 14 days; findings may overlap."
    board.with_panel(
        figure(
            small(101, "Could be saved a month", f"How much is on the table? {about}", 24),
            FINDINGS_TOTAL,
            unit=Dollars,
        )
    )
    board.with_panel(
        rows(
            large(102, "Findings", f"What to change, and why? {about}", 24),
            FINDINGS,
            [
                *(text("Finding"), text("Feature"), text("Model"), text("Advice")),
                *(text("Evidence"), *dollars("A month"), text("Confidence")),
            ],
            sorted_by="A month",
        )
    )
    return board.build()
