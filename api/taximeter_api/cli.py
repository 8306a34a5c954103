"""The command line: `taximeter`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as version_of
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from taximeter_alerts.budgets import BudgetsError
from taximeter_alerts.state import StateUnavailable
from taximeter_api.commands.alerts import alerts_app
from taximeter_api.commands.budgets import budgets_app
from taximeter_api.commands.doctor import doctor
from taximeter_api.commands.export import export
from taximeter_api.commands.import_file import import_file
from taximeter_api.commands.keeping import backup, copy, forget, migrate, restore
from taximeter_api.commands.prices import prices_app
from taximeter_api.commands.reconcile import reconcile
from taximeter_api.commands.report import report
from taximeter_api.commands.reprice import reprice
from taximeter_api.commands.service import ServiceAway, ServiceRefused
from taximeter_api.commands.token import token
from taximeter_api.imports.rows import ImportRefused
from taximeter_api.questions import Refused
from taximeter_api.serve import serve
from taximeter_collector.settings import SettingsError, read_settings
from taximeter_collector.store import StoreError, StoreUnavailable

REFUSALS = (
    SettingsError,
    BudgetsError,
    StoreError,
    StoreUnavailable,
    StateUnavailable,
    Refused,
    ImportRefused,
    ServiceAway,
    ServiceRefused,
)
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
"""What is raised for words that no command knows; typer gives it no name of its own."""

app = typer.Typer(
    help="The meter that runs on every OpenAI call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(budgets_app, name="budgets")
app.add_typer(prices_app, name="prices")
app.add_typer(alerts_app, name="alerts")
app.command()(reconcile)
app.command()(reprice)
app.command()(export)
app.command()(backup)
app.command()(restore)
app.command()(doctor)
app.command()(copy)
app.command()(report)
app.command()(forget)
app.command()(token)
app.command()(migrate)
app.command("import")(import_file)


@app.command("serve")
def serve_command() -> None:
    """Run the service: receiver, store, budgets, alerts, page and API in one process."""
    serve(read_settings(os.environ))


@app.command()
def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Check that everything happened, then exit.")
    ] = False,
) -> None:
    """Show the whole way, from a real call to a Slack message, without any account."""
    if not (find_spec("openai") and find_spec("taximeter")):
        typer.echo("taximeter: first pip install 'taximeter-server[demo]'", err=True)
        raise typer.Exit(2)
    from taximeter_api.demo.run import run_demo

    sys.exit(run_demo(once=once))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(version_of("taximeter-server"))


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Turn what the user can mend into one line and the exit status 2."""
    try:
        yield
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        typer.echo(f"taximeter: {named}", err=True)
    except REFUSALS as error:
        typer.echo(f"taximeter: {error}", err=True)
    except USAGE_ERROR as error:
        # A group without a command has shown its help, and has nothing more to say.
        if said := " ".join(error.format_message().split()):
            help_of = error.ctx.command_path if error.ctx else "taximeter"
            typer.echo(f"taximeter: {said.rstrip('.')}: see {help_of} --help", err=True)
    else:
        return
    sys.exit(2)


def main() -> None:
    with _in_one_line():
        sys.exit(app(prog_name="taximeter", standalone_mode=False))
