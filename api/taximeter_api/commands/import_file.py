"""`taximeter import`: calls of the past, from an OTLP file or another meter's export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from urllib3.exceptions import HTTPError

from taximeter_api.backup import EVER
from taximeter_api.commands.service import ServiceAway
from taximeter_api.commands.terminal import working
from taximeter_api.imports.mapping import fields_of
from taximeter_api.imports.sending import send
from taximeter_api.questions import moment_of
from taximeter_collector.settings import read_settings
from taximeter_collector.store import Period


def import_file(
    path: Annotated[Path, typer.Argument(help="CSV, JSON, JSON lines, OTLP; also with .gz.")],
    *,
    mapping: Annotated[
        str, typer.Option(help="langfuse, helicone, litellm or a file; none: it is OTLP.")
    ] = "",
    from_: Annotated[str, typer.Option("--from", help="Only calls from this UTC time on.")] = "",
    to: Annotated[str, typer.Option(help="Only calls before it: when the meter began.")] = "",
) -> None:
    """Send a file of calls to the running service; repeated, it goes on where it stopped."""
    settings = read_settings(os.environ)
    wanted = Period(
        moment_of("--from", from_) if from_ else EVER.start,
        moment_of("--to", to) if to else EVER.end,
    )
    fields = fields_of(mapping) if mapping else None
    try:
        with working("importing", "rows") as tell:
            outcome = send(path, fields, wanted, settings, lambda one: tell(one.rows, None))
    except HTTPError:
        raise ServiceAway(f"no service answers at {settings.otlp_url}: start it") from None
    typer.echo(
        f"{path}: {outcome.rows:,} rows, {outcome.sent:,} sent now, {outcome.left_out:,} left out, "
        f"{outcome.too_old:,} refused as too old, {outcome.unusable:,} unusable"
    )
    for reason in outcome.reasons:
        typer.echo(f"  {reason}", err=True)
    if outcome.unusable:
        raise typer.Exit(1)
