"""`taximeter token`: random tokens for the settings that want one."""

from __future__ import annotations

import secrets
import sys
from inspect import Parameter, Signature
from typing import Annotated, Final

import typer

from taximeter_collector.settings import PREFIX

TOKENS: Final = ("ingest", "read", "sql")
"""Which settings are tokens: each is an option."""
BYTES: Final = 32
ADVICE: Final = "Nothing keeps these: put them into .env, or each into a file (docs/settings.md)."


def token(**only: bool) -> None:
    """Print new tokens as lines of an env file, for all settings or those asked for."""
    for name in [name for name in TOKENS if only[name]] or TOKENS:
        typer.echo(f"{variable(name)}={secrets.token_urlsafe(BYTES)}")
    if sys.stdout.isatty():
        typer.echo(ADVICE, err=True)


def variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}_TOKEN"


def _option(name: str) -> Parameter:
    told = typer.Option(f"--{name}", help=f"{variable(name)}.")
    return Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, told])


token.__signature__ = Signature([_option(name) for name in TOKENS])  # type: ignore[attr-defined]
