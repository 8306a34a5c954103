"""`taximeter budgets`: budgets as code, here and at the service."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from taximeter_alerts.budgets import BudgetsError, read_budgets
from taximeter_alerts.scope_words import in_words
from taximeter_api.commands.service import ask
from taximeter_api.commands.table import Column, Kind, Table
from taximeter_api.commands.terminal import console, working
from taximeter_api.page.format import at_least, ledger, limit, until
from taximeter_collector.settings import PREFIX, read_settings

budgets_app = typer.Typer(help="Budgets as code.", no_args_is_help=True, add_completion=False)

File = Annotated[Path, typer.Argument(help="The file with budgets.", envvar=f"{PREFIX}BUDGETS")]
BUDGETS = Path("budgets.yaml")
CHECKED: Final = (
    Column("Budget"),
    Column("Amount", Kind.FIGURE),
    Column("For each", leaves=4),
    Column("Period", Kind.TEXT, leaves=3),
    Column("Scope", Kind.TEXT, leaves=5),
    Column("Thresholds", Kind.TEXT, leaves=2),
    Column("Channels", Kind.TEXT, leaves=1),
)
LISTED: Final = (
    Column("Budget"),
    Column("Spent", Kind.FIGURE),
    Column("Of", Kind.FIGURE),
    Column("Raised", Kind.TEXT, leaves=6),
    Column("Dearest", leaves=5),
    Column("Period", Kind.TEXT, leaves=4),
    Column("Kept in", Kind.TEXT, leaves=3),
    Column("Revision", Kind.TEXT, leaves=1),
    Column("Changed by", Kind.TEXT, leaves=2),
)


@budgets_app.command("check")
def check_budgets(path: File = BUDGETS) -> None:
    """Read a budgets file and show what it says."""
    if not path.exists():
        raise BudgetsError(f"{path}: no such file")
    rows = [
        (
            budget.name,
            f"${budget.amount:,}",
            budget.each.outside_name if budget.each else "",
            f"{budget.period}, {budget.zone.key}",
            in_words(budget.scope),
            "paused" if budget.paused else " ".join(f"{one}%" for one in budget.thresholds),
            ", ".join(budget.channels),
        )
        for budget in read_budgets(path)
    ]
    console().print(Table(columns=CHECKED, sections=[rows]))


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
    rows = [
        (
            one["name"] + (" (paused)" if one["paused"] else ""),
            at_least(Decimal(one["spent"]), one["unpriced_calls"], ledger),
            limit(Decimal(one["amount"])),
            _raised(one),
            one["dearest"],
            f"{one['period']}, {one['zone']}",
            one["kept_in"],
            f"{one['revision']} {one['digest']}",
            one["made_by"],
        )
        for one in told["budgets"]
    ]
    console().print(Table(columns=LISTED, sections=[rows]))
    if told["problem"]:
        typer.echo(f"the edited file is not used: {told['problem']}", err=True)


def _raised(budget: dict[str, Any]) -> str:
    """Tell of an amount that is a raise until when, and what it is otherwise."""
    if not (raised := budget["raised"]):
        return ""
    until_ = until(datetime.fromisoformat(raised["until"]), ZoneInfo(budget["zone"]))
    return f"until {until_}, then {limit(Decimal(raised['otherwise']))}"


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
