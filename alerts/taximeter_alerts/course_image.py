"""The course of a budget's spend as an SVG, for e-mail. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from taximeter_alerts.alert import Alert

WIDTH: Final = 520
HEIGHT: Final = 140
EDGE: Final = 6
LEAST_POINTS: Final = 3


def course_image(alert: Alert) -> str:
    """Return the SVG of spend against limit and forecast; "" when there is too little to draw."""
    course = alert.story.course
    if len(course) < LEAST_POINTS or not alert.limit:
        return ""
    forecast = alert.story.forecast
    end = forecast.total if forecast else alert.spent
    top = max(alert.limit, alert.spent, end) * Decimal("1.08")

    def at(moment: datetime, usd: Decimal) -> str:
        start, last = alert.period.start, alert.period.end
        across = min(1.0, (moment - start) / (last - start))
        return (
            f"{EDGE + across * (WIDTH - 2 * EDGE):.1f},"
            f"{HEIGHT - EDGE - float(usd / top) * (HEIGHT - 2 * EDGE):.1f}"
        )

    line = " ".join(at(moment, usd) for moment, usd in course)
    limit = at(alert.period.start, alert.limit).split(",")[1]
    ahead = f"{at(*course[-1])} {at(alert.period.end, end)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"<title>Spend against the budget</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<path d="M0 {limit}H{WIDTH}" stroke="#c01f37" stroke-dasharray="6 4"/>'
        f'<polyline points="{ahead}" fill="none" stroke="#3b5bdb" stroke-width="2" '
        'stroke-dasharray="2 5"/>'
        f'<polyline points="{line}" fill="none" stroke="#3b5bdb" stroke-width="2.5"/></svg>'
    )
