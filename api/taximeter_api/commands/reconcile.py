"""`taximeter reconcile`: OpenAI's bill beside our meter."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console

from taximeter_analysis.reconcile import revisions
from taximeter_api.commands.own_store import own_store
from taximeter_api.commands.service import ServiceAway, ask
from taximeter_api.commands.table import Column, Kind, Table
from taximeter_api.commands.terminal import console, working
from taximeter_api.page.format import at_least, ledger, signed
from taximeter_api.page.sentences import CAUSES
from taximeter_api.questions import month_of
from taximeter_api.reconciliation import as_json, reconcile_month
from taximeter_collector.settings import read_settings
from taximeter_collector.store.reconciliations import CauseKind


def reconcile(
    *,
    month: Annotated[str, typer.Option(help="Like 2026-11; the current one by default.")] = "",
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON, with every digit.")] = False,
) -> None:
    """Compare what OpenAI billed with what was metered, and name why they differ."""
    settings = read_settings(os.environ)
    now = datetime.now(UTC)
    first = month_of(month, now)
    with working("reading OpenAI's usage and costs"):
        try:
            told = ask(settings, "POST", "/api/reconciliation", [("month", f"{first:%Y-%m}")])
        except ServiceAway as away:
            with own_store(settings, away) as store:
                one = reconcile_month(store, settings, first, now)
                told = as_json(one, revisions(store.reconciliations(first)))
    if as_json_:
        typer.echo(json.dumps(told, indent=2))
    else:
        _show(told, console())


def _show(told: dict[str, Any], out: Console) -> None:
    billed, metered = Decimal(told["billed"]), Decimal(told["metered"])
    sums = [
        ("Billed by OpenAI", "", ledger(billed)),
        ("Metered", "", at_least(metered, told["unpriced_calls"], ledger)),
    ]
    causes = [
        (CAUSES[CauseKind(cause["kind"])], cause["detail"], signed(Decimal(cause["usd"])))
        for cause in told["causes"]
    ]
    difference = [("Difference", "", signed(Decimal(told["difference"])))]
    out.print(
        Table(
            title=f"OpenAI's bill of {told['month']}",
            columns=[
                Column("Cause", Kind.TEXT),
                Column("Which", Kind.TEXT),
                Column("USD", Kind.FIGURE),
            ],
            sections=[sums, causes, difference],
        )
    )
    for day in told["revisions"]:
        before, after = ledger(Decimal(day["before"])), ledger(Decimal(day["after"]))
        out.print(f"OpenAI revised {day['day']} from {before} to {after}.")
