"""A month's report as the HTML of a mail, whose readers keep no style sheet and run nothing."""

from __future__ import annotations

from taximeter_api.monthly import COLUMNS, Report
from taximeter_api.page.environment import template


def render_report(one: Report, page_url: str) -> str:
    return template("report.html").render(report=one, columns=COLUMNS, page_url=page_url)
