"""`taximeter report`: a month by any dimension, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from taximeter_alerts.scope_words import DIMENSIONS
from taximeter_api.commands.service import ask
from taximeter_api.page.format import at_least, count, ledger
from taximeter_api.questions import month_of
from taximeter_collector.settings import read_settings

STEPS: Final = "▁▂▃▄▅▆▇█"
DAY: Final = timedelta(days=1)
WIDTH: Final = 120
"""Of a table that goes into a file or a pipe."""


def report(
    month: Annotated[str, typer.Option(help="Like 2026-11; the current one by default.")] = "",
    by: Annotated[str, typer.Option(help=f"One of {', '.join(sorted(DIMENSIONS))}.")] = "feature",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Every digit, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every digit, as CSV.")] = False,
) -> None:
    """Show what a month cost, by feature or any other dimension, the dearest first."""
    if by not in DIMENSIONS:
        raise typer.BadParameter(f"--by={by}: give one of {', '.join(sorted(DIMENSIONS))}")
    first = month_of(month, datetime.now(UTC))
    following = (first.replace(day=28) + 4 * DAY).replace(day=1)
    words = [("from", first.isoformat()), ("to", following.isoformat())]
    settings = read_settings(os.environ)
    told = ask(settings, "GET", "/api/spend", [*words, ("group_by", by)])
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    elif as_csv:
        _write_csv(by, told["rows"])
    else:
        daily = ask(settings, "GET", "/api/spend", [*words, ("group_by", f"day,{by}")])["rows"]
        _show(first, following, by, told, daily)


def _write_csv(by: str, rows: Sequence[Mapping[str, Any]]) -> None:
    names = [by, *(name for name in (rows[0] if rows else {}) if name != by)]
    table = csv.DictWriter(sys.stdout, names)
    table.writeheader()
    table.writerows(rows)


def _show(
    first: date,
    following: date,
    by: str,
    told: Mapping[str, Any],
    daily: Sequence[Mapping[str, Any]],
) -> None:
    total = told["total"]
    spent = Decimal(total["cost"])
    days: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in daily:
        days[row[by]][row["day"][:10]] = Decimal(row["cost"])
    table = Table(
        title=f"{first:%B %Y}: {at_least(spent, total['unpriced_calls'], ledger)}, "
        f"{total['calls']:,} calls",
        title_justify="left",
    )
    table.add_column(by.capitalize(), overflow="fold")
    for name in ("Cost", "Share", "Calls", "Per 1,000", "Errors"):
        table.add_column(name, justify="right")
    table.add_column("Days", no_wrap=True)
    for row in told["rows"]:
        cost, priced = Decimal(row["cost"]), row["calls"] - row["unpriced_calls"]
        table.add_row(
            row[by] or "(none)",
            at_least(cost, row["unpriced_calls"], ledger),
            f"{cost * 100 / spent:.0f} %" if spent and priced else "",
            count(row["calls"]),
            ledger(cost * 1000 / priced) if priced else "",
            f"{row['errors'] / row['calls']:.1%}",
            sparks(days[row[by]], first, following),
        )
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def sparks(by_day: Mapping[str, Decimal], first: date, following: date) -> str:
    """Draw a sign for each day of a month until today, as high as its spend."""
    last = min(following - DAY, datetime.now(UTC).date())
    dates = [first + number * DAY for number in range((last - first).days + 1)]
    values = [by_day.get(day.isoformat(), Decimal(0)) for day in dates]
    most = max(values, default=Decimal(0))
    if not most:
        return ""
    return "".join(STEPS[int(usd * (len(STEPS) - 1) / most)] for usd in values)
