"""A month of spend by a dimension, in words: for a terminal, and as a mail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from taximeter_alerts.periods import month_at
from taximeter_alerts.voice import PLAIN
from taximeter_api.page import format as fmt
from taximeter_api.page import sentences

STEPS: Final = "▁▂▃▄▅▆▇█"
DAY: Final = timedelta(days=1)
NOTHING: Final = Decimal(0)
COLUMNS: Final = ("Cost", "Share", "Calls", "Per 1,000", "Errors", "Days")


@dataclass(frozen=True, slots=True)
class Month:
    """What was asked: the days of a month, until now where it has not ended."""

    first: date
    now: datetime

    @property
    def following(self) -> date:
        start = datetime(self.first.year, self.first.month, 1, tzinfo=UTC)
        return month_at(start, ZoneInfo("UTC")).end.date()

    @property
    def last_day(self) -> date:
        return min(self.following - DAY, self.now.date())

    def __str__(self) -> str:
        return f"{self.first:%B %Y}" + (" so far" if self.now.date() < self.following else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A table of text, the dearest row first."""

    title: str
    by: str
    """What a row is of, as a head."""
    rows: Sequence[tuple[str, ...]]
    """The name, then what `COLUMNS` says."""
    notes: Sequence[str]
    """What the sums lack."""


def report_of(
    month: Month,
    by: Sequence[str],
    told: Mapping[str, Any],
    daily: Sequence[Mapping[str, Any]],
    quality: Mapping[str, Any],
) -> Report:
    """Put the answers of the API about a month, its days and its quality into words."""
    total = told["total"]
    spent = fmt.at_least(Decimal(total["cost"]), total["unpriced_calls"], fmt.ledger)
    days: dict[tuple[str, ...], dict[str, Decimal]] = defaultdict(dict)
    for row in daily:
        days[_key(row, by)][row["day"][:10]] = Decimal(row["cost"])
    return Report(
        title=f"{month}: {spent}, {total['calls']:,} calls",
        by=", ".join(by).replace("_", " ").capitalize(),
        rows=[
            (
                ", ".join(map(_name, _key(row, by))),
                *_figures(row, Decimal(total["cost"])),
                sparks(days[_key(row, by)], month),
            )
            for row in told["rows"]
        ],
        notes=list(_notes(total, quality)),
    )


def sparks(by_day: Mapping[str, Decimal], month: Month) -> str:
    """Draw a sign for each day of a month until today, as high as its spend."""
    number = (month.last_day - month.first).days + 1
    dates = [(month.first + place * DAY).isoformat() for place in range(number)]
    # A correction may take more from a day than it cost.
    values = [max(by_day.get(day, NOTHING), NOTHING) for day in dates]
    most = max(values)
    if not most:
        return ""
    return "".join(STEPS[int(usd * (len(STEPS) - 1) / most)] for usd in values)


def _figures(row: Mapping[str, Any], spent: Decimal) -> tuple[str, ...]:
    cost, priced = Decimal(row["cost"]), row["calls"] - row["unpriced_calls"]
    return (
        fmt.at_least(cost, row["unpriced_calls"], fmt.ledger),
        fmt.percent(float(cost / spent)) if spent and priced else "",
        fmt.count(row["calls"]),
        fmt.ledger(cost * 1000 / priced) if priced else "",
        fmt.percent(row["errors"] / row["calls"], 1),
    )


def _key(row: Mapping[str, Any], by: Sequence[str]) -> tuple[str, ...]:
    return tuple([row[name] for name in by])


def _name(text: str) -> str:
    # A name must not turn the text around it.
    return PLAIN.said(fmt.name(text)) or "(none)"


def _notes(total: Mapping[str, Any], quality: Mapping[str, Any]) -> Iterator[str]:
    if total["unpriced_calls"]:
        missing = sentences.no_known_price(total["unpriced_calls"])
        yield (
            f"{missing}: every total is at least what is shown, "
            "and per 1,000 calls is of those with a known cost."
        )
    if quality["lost_spans"]:
        lost = sentences.lost(quality["lost_spans"]).striptags()
        yield f"{PLAIN.said(lost)}: every total is at least what is shown."
    if Decimal(total["estimated_cost"]):
        usd = fmt.ledger(Decimal(total["estimated_cost"]))
        yield f"{usd} of this is estimated, where usage was lost."
