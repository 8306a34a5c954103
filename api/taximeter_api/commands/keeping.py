"""What is done to stored data: `taximeter backup`, `restore`, `copy`, `migrate`, `forget`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from taximeter_alerts.state import State, condition_of
from taximeter_api import backup as backups
from taximeter_api import forgetting
from taximeter_api.app import make_data_folder
from taximeter_api.commands.own_store import own_store
from taximeter_api.commands.service import ServiceAway, ask
from taximeter_api.commands.terminal import working
from taximeter_api.questions import Refused
from taximeter_collector.settings import PREFIX, SettingsError, read_settings
from taximeter_collector.store import Store, pending_migrations


def backup() -> None:
    """Write store, state and journal into one file in the folder `backups` of the data."""
    settings = read_settings(os.environ)
    with working("backing up"):
        try:
            told = ask(settings, "POST", "/api/backup")
        except ServiceAway as away:
            with own_store(settings, away) as store:
                told = backups.back_up(store, settings, datetime.now(UTC)).told()
    _say(told)


def restore(path: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")]) -> None:
    """Fill a new data folder from a backup; TAXIMETER_SERVER_DATA_DIR says which."""
    with working("restoring"):
        told = backups.restore(path, read_settings(os.environ)).told()
    _say(told)


def copy(
    to: Annotated[str, typer.Argument(help="clickhouse://user:password@host:port")],
    cluster: Annotated[str, typer.Option(help="As the servers call it; none: one server.")] = "",
) -> None:
    """Copy the embedded store to a server, verified; repeated, it sends what is missing."""
    settings = read_settings(os.environ)
    if settings.is_server:
        raise Refused(f"{PREFIX}STORE is a server: copy begins at an embedded store")
    try:
        goal = read_settings({f"{PREFIX}STORE": to})
    except SettingsError:
        goal = settings
    if not goal.is_server:
        # It may hold a password, so that it is not repeated.
        raise Refused("TO: give an address like clickhouse://user:password@host:port")
    path = Path(urlsplit(settings.store_url).path)
    if not path.exists():
        raise Refused(f"there is no store {path}: give its {PREFIX}DATA_DIR")
    calls = sent = 0
    with (
        closing(Store(settings.store_url)) as source,
        closing(Store(goal.store_url, cluster)) as target,
        working("copying", "calls") as tell,
    ):
        of = source.spend(backups.EVER)[0].calls
        for week in source.copy_to(target):
            calls, sent = calls + week.calls, sent + week.sent
            tell(calls, of)
    typer.echo(
        f"{calls:,} calls are on the server, {sent:,} sent now, and cost the same; "
        f"start the service with {PREFIX}STORE set to it"
    )


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


def forget(user: Annotated[str, typer.Argument(help="As the app names the user.")]) -> None:
    """Take a user's name off all stored calls and alerts; their dollars stay, with no name."""
    settings = read_settings(os.environ)
    if not user:
        raise Refused("user='': give the user's name")
    with working("forgetting"):
        try:
            calls = ask(settings, "POST", "/api/forget", body={"user": user})["calls"]
        except ServiceAway as away:
            with own_store(settings, away) as store, closing(State(settings.state_url)) as state:
                calls = forgetting.forget(store, state, user, datetime.now(UTC))
    typer.echo(f"{calls:,} calls name nobody now; backups and later calls are not changed")


def _say(told: dict[str, Any]) -> None:
    dollars = f"${Decimal(told['cost']):,.2f}"
    size = told["bytes"] / 1_000_000
    typer.echo(f"{told['path']}: {told['calls']:,} calls, {dollars}, {size:,.1f} MB")
