"""`taximeter backup` and `taximeter restore`."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from taximeter_api import backup as backups
from taximeter_api.commands.service import ServiceAway, ask
from taximeter_api.commands.terminal import working
from taximeter_collector.settings import read_settings
from taximeter_collector.store import Store


def backup() -> None:
    """Write store, state and journal into one file in the folder `backups` of the data."""
    settings = read_settings(os.environ)
    with working("backing up"):
        try:
            told = ask(settings, "POST", "/api/backup")
        except ServiceAway:
            with closing(Store(settings.store_url, settings.cluster)) as store:
                told = backups.back_up(store, settings, datetime.now(UTC)).told()
    _say(told)


def restore(path: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")]) -> None:
    """Fill a new data folder from a backup; TAXIMETER_SERVER_DATA_DIR says which."""
    with working("restoring"):
        told = backups.restore(path, read_settings(os.environ)).told()
    _say(told)


def _say(told: dict[str, Any]) -> None:
    dollars = f"${Decimal(told['cost']):,.2f}"
    size = told["bytes"] / 1_000_000
    typer.echo(f"{told['path']}: {told['calls']:,} calls, {dollars}, {size:,.1f} MB")
