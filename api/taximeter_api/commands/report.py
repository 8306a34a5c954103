"""`taximeter report`: a month by any dimension, as a table, JSON or CSV, or as a mail."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

from taximeter_alerts.channels import ChannelGone, DeliveryError
from taximeter_alerts.channels.email import Address, Email, Letter
from taximeter_alerts.scope_words import DIMENSIONS
from taximeter_alerts.state import IN_MEMORY, State
from taximeter_api.channels import channels_of_settings
from taximeter_api.commands.service import ask
from taximeter_api.commands.table import Column, Kind, Table
from taximeter_api.commands.terminal import console, working
from taximeter_api.csv_file import csv_text
from taximeter_api.monthly import COLUMNS, Month, Report, report_of
from taximeter_api.page.environment import template
from taximeter_api.questions import BadQuestion, month_of
from taximeter_api.spend_rows import spend_table
from taximeter_collector.settings import PREFIX, Settings, SettingsError, read_settings

ROWS_IN_A_MAIL: Final = 50
LEAVES: Final = {"Errors": 2, "Per 1,000": 3, "Share": 4, "Calls": 5}
"""Columns in the order in which they leave a narrow terminal, after the days."""
ADDRESSES: Final = TypeAdapter(list[Address])


def report(
    month: Annotated[str, typer.Option(help="Like 2026-11; the current one by default.")] = "",
    by: Annotated[
        str,
        typer.Option(
            help=f"Some of {', '.join(sorted(DIMENSIONS))}, by commas.",
            autocompletion=lambda: sorted(DIMENSIONS),
        ),
    ] = "feature",
    *,
    email: Annotated[
        list[str], typer.Option(help="Send it to this address; may be repeated.")
    ] = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Every digit, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every digit, as CSV.")] = False,
) -> None:
    """Show what a month cost, by feature or any other dimension, the dearest first."""
    names = _dimensions(by)
    groups = ",".join(names)
    if email and (as_json or as_csv):
        raise BadQuestion("--email sends a table: leave out --json and --csv")
    if as_json and as_csv:
        raise BadQuestion("--json and --csv: give one of them")
    settings = read_settings(os.environ)
    now = datetime.now(UTC)
    asked = Month(month_of(month, now), now)
    sender = _mail_channel(settings, email) if email else None
    words = [("from", asked.first.isoformat()), ("to", asked.following.isoformat())]
    with working("asking the service"):
        told = ask(settings, "GET", "/api/spend", [*words, ("group_by", groups)])
        if as_json or as_csv:
            daily, quality = {}, {}
        else:
            daily = ask(settings, "GET", "/api/spend", [*words, ("group_by", f"day,{groups}")])
            quality = ask(settings, "GET", "/api/quality", words)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    elif as_csv:
        sys.stdout.write(csv_text(*spend_table(names, told["rows"])))
    else:
        one = report_of(asked, names, told, daily["rows"], quality)
        if sender:
            _send(sender, _letter(one, email, settings.page_url))
        else:
            console().print(_table(one))


def _dimensions(by: str) -> list[str]:
    names = list(dict.fromkeys(by.split(",")))
    if not DIMENSIONS.keys() >= set(names):
        raise BadQuestion(f"--by={by}: give some of {', '.join(sorted(DIMENSIONS))}")
    if "prompt_version" in names and "prompt_name" not in names:
        # Every prompt has a first version.
        return ["prompt_name", *names]
    return names


def _table(one: Report) -> Table:
    figures = (Column(name, Kind.FIGURE, LEAVES.get(name, 0)) for name in COLUMNS[:-1])
    return Table(
        title=one.title,
        columns=[Column(one.by), *figures, Column(COLUMNS[-1], leaves=1)],
        sections=[one.rows],
        notes=one.notes,
    )


def _mail_channel(settings: Settings, addresses: Sequence[str]) -> Email:
    """Return the first e-mail channel, whose mail server also sends reports."""
    try:
        ADDRESSES.validate_python(addresses)
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise BadQuestion(f"--email={wrong}: give an address like a@example.com") from None
    with closing(State(IN_MEMORY)) as state:
        channels = channels_of_settings(settings, os.environ, state)
    for channel in channels.values():
        if isinstance(channel.sender, Email):
            return channel.sender
    raise SettingsError(
        f"{PREFIX}CHANNELS={settings.channels} sets up no mail server: add a channel of kind email "
        "with host, sender and to, as in docs/alerts.md"
    )


def _letter(one: Report, to: Sequence[str], page_url: str) -> Letter:
    if len(one.rows) > ROWS_IN_A_MAIL:
        left_out = f"Only the {ROWS_IN_A_MAIL} dearest of {len(one.rows):,} are shown."
        one = replace(one, rows=one.rows[:ROWS_IN_A_MAIL], notes=[*one.notes, left_out])
    text = StringIO()
    console(text).print(_table(one))
    return Letter(
        to=to,
        subject=f"Taximeter: {one.title}",
        plain=f"{text.getvalue()}\n{page_url}\n",
        html=template("report.html").render(report=one, columns=COLUMNS, page_url=page_url),
    )


def _send(sender: Email, letter: Letter) -> None:
    try:
        with working("sending it"):
            refused = sender.send_letter(letter)
    except (DeliveryError, ChannelGone) as error:
        typer.echo(f"not sent: {error}", err=True)
        raise typer.Exit(1) from None
    taken = [one for one in letter.to if one not in refused]
    typer.echo(f"sent to {', '.join(taken)}")
    for one in refused:
        typer.echo(f"the mail server refuses {one}", err=True)
    if refused:
        raise typer.Exit(1)
