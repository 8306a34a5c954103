"""`taximeter budgets`: budgets as code, here and at the service."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from taximeter_alerts.budgets import BudgetsError, read_budgets
from taximeter_alerts.scope_words import in_words
from taximeter_api.commands.service import ask
from taximeter_api.commands.terminal import console, working
from taximeter_api.page.format import at_least, ledger, limit, until
from taximeter_collector.settings import PREFIX, read_settings

budgets_app = typer.Typer(help="Budgets as code.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The file with budgets.", envvar=f"{PREFIX}BUDGETS")]
BUDGETS = Path("budgets.yaml")


@budgets_app.command("check")
def check_budgets(path: File = BUDGETS) -> None:
    """Read a budgets file and show what it says."""
    if not path.exists():
        raise BudgetsError(f"{path}: no such file")
    table = Table("Budget", "Amount", "Period", "Scope", "Thresholds", "Channels")
    for budget in read_budgets(path):
        each = f" for each {budget.each.outside_name}" if budget.each else ""
        table.add_row(
            budget.name,
            f"${budget.amount:,}{each}",
            f"{budget.period}, {budget.zone.key}",
            in_words(budget.scope),
            "paused" if budget.paused else " ".join(f"{one}%" for one in budget.thresholds),
            ", ".join(budget.channels),
        )
    console().print(table)


@budgets_app.command("diff")
def show_differences(path: File = BUDGETS) -> None:
    """Show what `apply` would change at the service; exits with 1 when there is something."""
    changes = _apply(path, dry_run="true")
    _print(changes)
    raise typer.Exit(1 if changes else 0)


@budgets_app.command("apply")
def apply_budgets(path: File = BUDGETS) -> None:
    """Make the file's budgets those of the service; applied ones that it leaves out are deleted."""
    _print(_apply(path))


@budgets_app.command("list")
def list_budgets() -> None:
    """Show the service's budgets, what is spent of each, and where it is kept."""
    with working("asking the service"):
        told = ask(read_settings(os.environ), "GET", "/api/budgets")
    table = Table("Budget", "Spent", "Of", "Period", "Kept in", "Revision", "Changed by")
    for one in told["budgets"]:
        spent = at_least(Decimal(one["spent"]), one["unpriced_calls"], ledger)
        dearest = f" ({one['dearest']})" if one["dearest"] else ""
        table.add_row(
            one["name"] + (" (paused)" if one["paused"] else ""),
            f"{spent}{dearest}",
            _amount(one),
            f"{one['period']}, {one['zone']}",
            one["kept_in"],
            f"{one['revision']} {one['digest']}",
            one["made_by"],
        )
    console().print(table)
    if told["problem"]:
        typer.echo(f"the edited file is not used: {told['problem']}", err=True)


def _amount(budget: dict[str, Any]) -> str:
    """Tell the amount in force; during a raise also until when, and what it is otherwise."""
    amount, raised = limit(Decimal(budget["amount"])), budget["raised"]
    if not raised:
        return amount
    until_ = until(datetime.fromisoformat(raised["until"]), ZoneInfo(budget["zone"]))
    return f"{amount} until {until_}, then {limit(Decimal(raised['otherwise']))}"


def _apply(path: Path, **words: str) -> list[dict[str, Any]]:
    if not path.exists():
        raise BudgetsError(f"{path}: no such file")
    definitions = [budget.definition for budget in read_budgets(path)]
    settings = read_settings(os.environ)
    with working("asking the service"):
        told = ask(settings, "POST", "/api/budgets/apply", list(words.items()), body=definitions)
    changes: list[dict[str, Any]] = told["changes"]
    return changes


def _print(changes: list[dict[str, Any]]) -> None:
    for one in changes:
        typer.echo(f"{one['budget']}: {one['changes']}")
    if not changes:
        typer.echo("nothing is different")
