"""The command line: `taximeter`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import version as version_of
from importlib.util import find_spec
from typing import Annotated, Any, Final

import typer

from taximeter_collector.refusal import Refusal

COMMANDS: Final = {
    "budgets": "budgets.budgets_app",
    "prices": "prices.prices_app",
    "alerts": "alerts.alerts_app",
    "reconcile": "reconcile.reconcile",
    "reprice": "reprice.reprice",
    "export": "export.export",
    "backup": "keeping.backup",
    "restore": "keeping.restore",
    "doctor": "doctor.doctor",
    "copy": "keeping.copy",
    "report": "report.report",
    "forget": "keeping.forget",
    "token": "token.token",
    "migrate": "keeping.migrate",
    "import": "import_file.import_file",
}
"""Where each is in `commands`."""
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
"""What is raised for words that no command knows; typer gives it no name of its own."""


class Commands(typer.core.TyperGroup):
    """Imports a command when it is called: all of them together take a second."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _command(cmd_name) if cmd_name in COMMANDS else super().get_command(ctx, cmd_name)


@cache
def _command(name: str) -> Any:
    module, _, here = COMMANDS[name].partition(".")
    found = getattr(import_module(f"taximeter_api.commands.{module}"), here)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command()(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=Commands,
    help="The meter that runs on every OpenAI call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command("serve")
def serve_command() -> None:
    """Run the service: receiver, store, budgets, alerts, page and API in one process."""
    from taximeter_api.serve import serve
    from taximeter_collector.settings import read_settings

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
    except Refusal as error:
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
