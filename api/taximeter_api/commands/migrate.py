"""`taximeter migrate`: schemas of state and store, brought up to date before a roll-out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

import typer

from taximeter_alerts.state import State, condition_of
from taximeter_api.app import make_data_folder
from taximeter_api.commands.terminal import working
from taximeter_collector.settings import read_settings
from taximeter_collector.store import Store, pending_migrations


def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if something is pending.")
    ] = False,
) -> None:
    """Bring state and store to the schema of this version, as a start of the service does."""
    settings = read_settings(os.environ)
    if check:
        state: Sequence[object] = condition_of(settings.state_url).pending
        store = pending_migrations(settings.store_url, settings.cluster)
    else:
        make_data_folder(settings)
        with working("migrating"):
            with closing(State(settings.state_url)) as opened_state:
                state = opened_state.migrated
            with closing(Store(settings.store_url, settings.cluster)) as opened_store:
                store = opened_store.migrated
    verb = "pending" if check else "applied"
    for name, migrations in (("state", state), ("store", store)):
        told = ", ".join(str(one) for one in migrations)
        typer.echo(f"{name}: {f'{verb} {told}' if told else 'up to date'}")
    if check and (state or store):
        raise typer.Exit(1)
