"""Pages: complete HTML documents, drawn here, that need no script; the overview first."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from taximeter_alerts.savings import HABITS
from taximeter_api.overview import Overview
from taximeter_api.page import burn_up, charts, sentences
from taximeter_api.page import format as fmt
from taximeter_api.page.environment import CSS, template

CSP = (
    "default-src 'none';"
    f" style-src 'sha256-{base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()}';"
    " script-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The value of the Content-Security-Policy header to send with the page."""
PAGE_HEADERS: Final = {
    "Content-Security-Policy": CSP,
    # Not "no-referrer": browsers would then send the origin of our own forms as "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

COLOURS = 8
ROWS = 12
LINES = 6
SAVINGS = 4


def render(overview: Overview, *, now: datetime, endpoint: str = "http://127.0.0.1:4318") -> str:
    """Return the page's HTML; `endpoint` is what an app that is not metered yet is told to use."""
    if overview.last_call_at is None:
        return template("first_run.html").render(
            overview=overview, now=now, endpoint=endpoint, path="/"
        )
    zone = ZoneInfo(overview.zone)
    course = sentences.course(overview, zone)
    colours = _colours(overview)
    rows = overview.features[:ROWS]
    return template("overview.html").render(
        overview=overview,
        now=now,
        zone=zone,
        course=course,
        burn_up=burn_up.drawn(
            overview.burn_up,
            zone=zone,
            unpriced_calls=overview.unpriced_calls,
            description=f"Spent: {fmt.at_least(overview.spent, overview.unpriced_calls)}. "
            + course.striptags(),
        ),
        columns=charts.columns(overview.days, colours),
        colours=colours,
        rows=rows,
        legend=_legend(overview, colours),
        lines=LINES,
        savings=SAVINGS,
        habits=HABITS,
        path="/",
    )


def _colours(overview: Overview) -> dict[str, str]:
    """Give the first features of the table a colour each, then the dearest of the 30 days."""
    month: dict[str, Decimal] = {}
    for _, spend in overview.days:
        for feature, usd in spend.items():
            month[feature] = month.get(feature, Decimal(0)) + usd
    names = [feature.name for feature in overview.features]
    older = sorted(month.keys() - set(names), key=lambda name: (-month[name], name))
    return {name: f"s{index}" for index, name in enumerate([*names, *older][:COLOURS])}


def _legend(overview: Overview, colours: dict[str, str]) -> list[tuple[str, str]]:
    """Return class and name of what is drawn and has no row in the table to explain it."""
    rows = {feature.name for feature in overview.features[:ROWS]}
    drawn = {feature for _, spend in overview.days for feature, usd in spend.items() if usd}
    legend = [(css, name) for name, css in colours.items() if name in drawn - rows]
    others = len(drawn - colours.keys())
    return (
        [*legend, (charts.OTHER, "1 other" if others == 1 else f"{others} others")]
        if others
        else legend
    )
