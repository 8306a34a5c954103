"""`taximeter forget`: take a user's name off all stored calls."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

import typer

from taximeter_api.commands.service import ServiceAway, ask
from taximeter_api.commands.terminal import working
from taximeter_api.questions import Refused
from taximeter_collector.settings import read_settings
from taximeter_collector.store import Store


def forget(user: Annotated[str, typer.Argument(help="As the app names the user.")]) -> None:
    """Take a user's name off all stored calls; their dollars stay, with nobody's name."""
    settings = read_settings(os.environ)
    if not user:
        raise Refused("user='': give the user's name")
    with working("forgetting"):
        try:
            calls = ask(settings, "POST", "/api/forget", body={"user": user})["calls"]
        except ServiceAway:
            with closing(Store(settings.store_url, settings.cluster)) as store:
                calls = store.forget(user)
    typer.echo(f"{calls:,} calls name nobody now; backups and later calls are not changed")
