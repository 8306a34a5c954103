"""What a page is asked for: a period and filters, which live in its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from fastapi import Request

from taximeter_alerts.scope_words import DIMENSIONS
from taximeter_api.questions import BadQuestion, period_of, scope_of
from taximeter_collector.store import Period, Scope

DAY = timedelta(days=1)
SPANS = {"7d": 7, "30d": 30, "90d": 90}
"""Whole UTC days with today, by how an address names them; without one it is the month so far."""
SPAN_NAMES = {"": "This month", "7d": "7 days", "30d": "30 days", "90d": "90 days"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A page's period and filters."""

    period: Period
    span: str
    """`7d`, "" for the month so far, or `custom`."""
    filters: Mapping[str, str]
    """Values by dimension, as people call it."""
    scope: Scope
    custom: Mapping[str, str]
    """`from` and `to` as they were given."""

    @property
    def before(self) -> Period:
        """As long a period just before this one."""
        length = self.period.end - self.period.start
        return Period(self.period.start - length, self.period.start)

    def query(self, changes: Mapping[str, str | None] | None = None) -> str:
        """Return the query of an address with some words changed; None leaves one out."""
        words: dict[str, str] = {**self.custom, **self.filters}
        if self.span and self.span != "custom":
            words["span"] = self.span
        for name, value in (changes or {}).items():
            words.pop(name, None)
            if value is not None:
                words[name] = value
        return f"?{urlencode(words, quote_via=quote)}" if words else ""


def asked(request: Request, now: datetime) -> Asked:
    """Read the words of an address; raises BadQuestion."""
    words = dict(request.query_params)
    span = words.get("span", "")
    custom = {name: words[name] for name in ("from", "to") if words.get(name)}
    if span not in SPAN_NAMES:
        raise BadQuestion(f"span={span!r}: give one of {', '.join(SPANS)}, or from and to")
    if custom:
        period, span = period_of(custom.get("from", ""), custom.get("to", ""), now), "custom"
    elif span:
        tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        period = Period(tomorrow - SPANS[span] * DAY, tomorrow)
    else:
        period = period_of("", "", now)
    filters = {name: words[name] for name in DIMENSIONS if name in words}
    return Asked(period, span, filters, scope_of(filters.items()), custom)
