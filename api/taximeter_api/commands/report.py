"""`taximeter report`: a month by any dimension, as a table, JSON or CSV, or as a mail."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from taximeter_alerts.channels import ChannelGone, DeliveryError
from taximeter_alerts.channels.email import Address, Email
from taximeter_alerts.scope_words import DIMENSIONS
from taximeter_alerts.state import IN_MEMORY, State
from taximeter_alerts.voice import PLAIN
from taximeter_api.channels import channels_of_settings
from taximeter_api.commands.service import ask
from taximeter_api.commands.table import Column, Kind, Table
from taximeter_api.commands.terminal import console, working
from taximeter_api.csv_file import csv_text
from taximeter_api.page import format as fmt
from taximeter_api.page import sentences
from taximeter_api.page.environment import template
from taximeter_api.questions import Refused, month_of
from taximeter_api.spend_rows import spend_table
from taximeter_collector.settings import PREFIX, Settings, SettingsError, read_settings

ROWS_IN_A_MAIL: Final = 50
FIGURES: Final = (
    Column("Cost", Kind.FIGURE),
    Column("Share", Kind.FIGURE, leaves=4),
    Column("Calls", Kind.FIGURE, leaves=5),
    Column("Per 1,000", Kind.FIGURE, leaves=3),
    Column("Errors", Kind.FIGURE, leaves=2),
)
STEPS: Final = "▁▂▃▄▅▆▇█"
DAY: Final = timedelta(days=1)
NOTHING: Final = Decimal(0)
ADDRESSES: Final = TypeAdapter(list[Address])


def report(
    month: Annotated[str, typer.Option(help="Like 2026-11; the current one by default.")] = "",
    by: Annotated[
        list[str],
        typer.Option(
            help=f"Some of {', '.join(sorted(DIMENSIONS))}: by commas, or repeated.",
            autocompletion=lambda: sorted(DIMENSIONS),
        ),
    ] = ["feature"],  # noqa: B006
    *,
    email: Annotated[
        list[str], typer.Option(help="Send it to this address; may be repeated.")
    ] = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Every digit, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every digit, as CSV.")] = False,
) -> None:
    """Show what a month cost, by feature or any other dimension, the dearest first."""
    names = _dimensions(",".join(by))
    groups = ",".join(names)
    if email and (as_json or as_csv):
        raise Refused("--email sends a table: leave out --json and --csv")
    if as_json and as_csv:
        raise Refused("--json and --csv: give one of them")
    settings = read_settings(os.environ)
    now = datetime.now(UTC)
    first = month_of(month, now)
    following = (first + 31 * DAY).replace(day=1)
    sender = _mail_channel(settings, email) if email else None
    words = [("from", first.isoformat()), ("to", following.isoformat())]
    with working("asking the service"):
        told = ask(settings, "GET", "/api/spend", [*words, ("group_by", groups)])
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    if as_csv:
        sys.stdout.write(csv_text(*spend_table(names, told["rows"])))
        return
    with working("asking the service"):
        daily = ask(settings, "GET", "/api/spend", [*words, ("group_by", f"day,{groups}")])
        quality = ask(settings, "GET", "/api/quality", words)
    so_far = " so far" if now.date() < following else ""
    last = min(following - DAY, now.date())
    days = [(first + number * DAY).isoformat() for number in range((last - first).days + 1)]
    table = Table(
        title=_title(f"{first:%B %Y}{so_far}", told["total"]),
        columns=[
            Column(", ".join(names).replace("_", " ").capitalize()),
            *FIGURES,
            Column("Days", leaves=1),
        ],
        sections=[_rows(names, told, daily["rows"], days)],
        notes=list(_notes(told["total"], quality)),
    )
    if sender:
        _send(sender, table, email, settings.page_url)
    else:
        console().print(table)


def _dimensions(by: str) -> list[str]:
    names = list(dict.fromkeys(by.split(",")))
    if not DIMENSIONS.keys() >= set(names):
        raise Refused(f"--by={by}: give some of {', '.join(sorted(DIMENSIONS))}")
    if "prompt_version" in names and "prompt_name" not in names:
        # Every prompt has a first version.
        return ["prompt_name", *names]
    return names


def _title(month: str, total: Mapping[str, Any]) -> str:
    spent = fmt.at_least(Decimal(total["cost"]), total["unpriced_calls"], fmt.ledger)
    return f"{month}: {spent}, {total['calls']:,} calls"


def _rows(
    by: Sequence[str],
    told: Mapping[str, Any],
    daily: Sequence[Mapping[str, Any]],
    days: Sequence[str],
) -> list[tuple[str, ...]]:
    by_day: dict[tuple[str, ...], dict[str, Decimal]] = defaultdict(dict)
    for row in daily:
        by_day[_key(row, by)][row["day"][:10]] = Decimal(row["cost"])
    spent = Decimal(told["total"]["cost"])
    return [
        (
            ", ".join(map(_name, _key(row, by))),
            *_figures(row, spent),
            sparks(by_day[_key(row, by)], days),
        )
        for row in told["rows"]
    ]


def _key(row: Mapping[str, Any], by: Sequence[str]) -> tuple[str, ...]:
    return tuple([row[name] for name in by])


def sparks(by_day: Mapping[str, Decimal], days: Sequence[str]) -> str:
    """Draw a sign for each day, as high as its spend."""
    # A correction may take more from a day than it cost.
    values = [max(by_day.get(day, NOTHING), NOTHING) for day in days]
    most = max(values)
    if not most:
        return ""
    return "".join(STEPS[int(usd * (len(STEPS) - 1) / most)] for usd in values)


def _figures(row: Mapping[str, Any], spent: Decimal) -> tuple[str, ...]:
    cost, priced = Decimal(row["cost"]), row["calls"] - row["unpriced_calls"]
    return (
        fmt.at_least(cost, row["unpriced_calls"], fmt.ledger),
        fmt.percent(float(cost / spent)) if spent and priced else "",
        fmt.count(row["calls"]),
        fmt.ledger(cost * 1000 / priced) if priced else "",
        fmt.percent(row["errors"] / row["calls"], 1),
    )


def _name(text: str) -> str:
    # A name must not turn the text around it.
    return PLAIN.said(fmt.name(text)) or "(none)"


def _notes(total: Mapping[str, Any], quality: Mapping[str, Any]) -> Iterator[str]:
    if total["unpriced_calls"]:
        missing = sentences.no_known_price(total["unpriced_calls"])
        yield (
            f"{missing}: every total is at least what is shown, "
            "and per 1,000 calls is of those with a known cost."
        )
    if quality["lost_spans"]:
        lost = sentences.lost(quality["lost_spans"]).striptags()
        yield f"{PLAIN.said(lost)}: every total is at least what is shown."
    if Decimal(total["estimated_cost"]):
        usd = fmt.ledger(Decimal(total["estimated_cost"]))
        yield f"{usd} of this is estimated, where usage was lost."


def _mail_channel(settings: Settings, addresses: Sequence[str]) -> Email:
    """Return the first e-mail channel, whose mail server also sends reports."""
    try:
        ADDRESSES.validate_python(addresses)
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise Refused(f"--email={wrong}: give an address like a@example.com") from None
    with closing(State(IN_MEMORY)) as state:
        channels = channels_of_settings(settings, os.environ, state)
    for channel in channels.values():
        if isinstance(channel.sender, Email):
            return channel.sender
    raise SettingsError(
        f"{PREFIX}CHANNELS={settings.channels} sets up no mail server: add a channel of kind email "
        "with host, sender and to, as in docs/alerts.md"
    )


def _send(sender: Email, table: Table, to: Sequence[str], page_url: str) -> None:
    (rows,) = table.sections
    if len(rows) > ROWS_IN_A_MAIL:
        left_out = f"Only the {ROWS_IN_A_MAIL} dearest of {len(rows):,} are shown."
        notes = [*table.notes, left_out]
        table = replace(table, sections=[rows[:ROWS_IN_A_MAIL]], notes=notes)
    text = StringIO()
    console(text).print(table)
    plain = f"{text.getvalue()}\n{page_url}\n"
    # Readers of mail keep no style sheet and run nothing.
    html = template("report.html").render(table=table, page_url=page_url)
    try:
        with working("sending it"):
            refused = sender.send_letter(to, f"Taximeter: {table.title}", plain=plain, html=html)
    except (DeliveryError, ChannelGone) as error:
        typer.echo(f"not sent: {error}", err=True)
        raise typer.Exit(1) from None
    taken = [one for one in to if one not in refused]
    typer.echo(f"sent to {', '.join(taken)}")
    for one in refused:
        typer.echo(f"the mail server refuses {one}", err=True)
    if refused:
        raise typer.Exit(1)
