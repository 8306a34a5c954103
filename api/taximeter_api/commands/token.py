"""`taximeter token`: random tokens for the settings that want one."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated, Final

import typer

from taximeter_collector.settings import PREFIX

BYTES: Final = 32
ADVICE: Final = "Nothing keeps these: put them into .env, or each into a file (docs/settings.md)."


def token(
    *,
    ingest: Annotated[bool, typer.Option("--ingest", help=f"{PREFIX}INGEST_TOKEN.")] = False,
    read: Annotated[bool, typer.Option("--read", help=f"{PREFIX}READ_TOKEN.")] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help=f"{PREFIX}SQL_TOKEN, of an embedded store only.")
    ] = False,
) -> None:
    """Print new tokens as lines of an env file: those asked for, else for ingest and read."""
    neither = not (ingest or read or sql)
    wanted = {"INGEST": ingest or neither, "READ": read or neither, "SQL": sql}
    for name in (name for name, is_wanted in wanted.items() if is_wanted):
        typer.echo(f"{PREFIX}{name}_TOKEN={secrets.token_urlsafe(BYTES)}")
    if sys.stdout.isatty():
        typer.echo(ADVICE, err=True)
