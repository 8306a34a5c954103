"""`taximeter copy`: from the embedded store to a ClickHouse server."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

import typer

from taximeter_api.backup import EVER
from taximeter_api.commands.terminal import working
from taximeter_api.questions import Refused
from taximeter_collector.settings import PREFIX, SettingsError, read_settings
from taximeter_collector.store import Store


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
    calls = sent = 0
    with (
        closing(Store(settings.store_url)) as source,
        closing(Store(goal.store_url, cluster)) as target,
        working("copying", "calls") as tell,
    ):
        of = source.spend(EVER)[0].calls
        for week in source.copy_to(target):
            calls, sent = calls + week.calls, sent + week.sent
            tell(calls, of)
    typer.echo(
        f"{calls:,} calls are on the server, {sent:,} sent now, and cost the same; "
        f"start the service with {PREFIX}STORE set to it"
    )
