"""`taximeter reprice`: the calls of a period at today's prices."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from taximeter_api.commands.own_store import own_store
from taximeter_api.commands.service import ServiceAway, ask
from taximeter_api.commands.table import Column, Kind, Table
from taximeter_api.commands.terminal import console, working
from taximeter_api.page.format import at_least, ledger, signed
from taximeter_api.questions import Refused, scope_of
from taximeter_api.repricing import Repricer, days_of, told
from taximeter_collector.prices import book_with
from taximeter_collector.settings import Settings, read_settings
from taximeter_collector.store import Period, Scope

LOOK_EVERY_S = 0.3
COLUMNS: Final = (
    Column("Day"),
    Column("Model"),
    Column("Calls", Kind.FIGURE, leaves=1),
    Column("Changed", Kind.FIGURE, leaves=2),
    Column("Before", Kind.FIGURE, leaves=3),
    Column("After", Kind.FIGURE, leaves=4),
    Column("Difference", Kind.FIGURE),
)


def reprice(
    *,
    from_: Annotated[str, typer.Option("--from", help="UTC day or time, like 2026-11-01.")],
    to: Annotated[str, typer.Option(help="The first one left out; tomorrow by default.")] = "",
    where: Annotated[
        list[str], typer.Option(help="Like model=gpt-5 or feature=search; may be repeated.")
    ] = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every digit.")] = False,
) -> None:
    """Price the calls of a period anew, at today's prices and those of prices.yaml."""
    settings = read_settings(os.environ)
    pairs = [pair_of(text) for text in where]
    period, scope = days_of(from_, to), scope_of(pairs)
    words = [("from", from_), ("to", to), ("by", getpass.getuser()), *pairs]
    words += [("dry_run", "true")] if dry_run else []
    try:
        first = ask(settings, "POST", "/api/repricings", words)
        looks = _looks_at_the_service(settings, first)
    except ServiceAway as away:
        if settings.is_server:
            raise ServiceAway(f"{away}: start it, it alone writes to a server's store") from None
        looks = _looks_here(settings, away, period, scope, dry_run=dry_run)
    last = _followed(looks)
    if as_json:
        typer.echo(json.dumps(last, indent=2))
    else:
        _show(last, console())
    if last["problem"]:
        raise typer.Exit(1)


def pair_of(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Refused(f"--where {text!r}: give a dimension and a value, like model=gpt-5")
    return name, value


def _looks_at_the_service(settings: Settings, one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    while True:
        yield one
        time.sleep(LOOK_EVERY_S)
        one = ask(settings, "GET", f"/api/repricings/{one['id']}")


def _looks_here(
    settings: Settings, away: ServiceAway, period: Period, scope: Scope, *, dry_run: bool
) -> Iterator[dict[str, Any]]:
    book = book_with(settings.prices)
    with (
        own_store(settings, away) as store,
        closing(Repricer(store, lambda: book)) as one,
    ):
        progress = one.start(period, scope, asked_by=getpass.getuser(), dry_run=dry_run)
        while not one.wait(LOOK_EVERY_S):
            yield told(progress)
        yield told(progress)


def _followed(looks: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Show the progress of a job until it ends; return the last look at it."""
    with working("pricing anew", "parts") as tell:
        for one in looks:
            tell(one["parts_done"], one["parts"] or None)
            if one["finished_at"] or one["problem"]:
                break
    return one


def _show(one: dict[str, Any], out: Console) -> None:
    verb = "would change" if one["dry_run"] else "changed"
    title = f"{one['total']['changed']:,} of {one['total']['calls']:,} calls {verb}"
    lines = [
        (line["day"], line["model"], *_figures(line)) for line in one["lines"] if line["changed"]
    ]
    total = [("Total", "", *_figures(one["total"]))]
    out.print(Table(title=title, columns=COLUMNS, sections=[lines, total], notes=["US dollars"]))
    if one["problem"]:
        out.print(f"It was interrupted: {one['problem']}. The same command goes on with it.")


def _figures(line: dict[str, Any]) -> tuple[str, ...]:
    before, after = Decimal(line["before"]), Decimal(line["after"])
    return (
        f"{line['calls']:,}",
        f"{line['changed']:,}",
        at_least(before, line["unpriced_before"], ledger),
        at_least(after, line["unpriced_after"], ledger),
        signed(after - before),
    )
