"""`taximeter prices`: what a model costs, whether `prices.yaml` is right, what calls would cost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from taximeter_api.commands.table import Column, Kind, Table
from taximeter_api.commands.terminal import console
from taximeter_api.questions import Refused
from taximeter_collector.calls import Priced
from taximeter_collector.prices import (
    Overrides,
    OverridesError,
    PriceBook,
    book_with,
    price_api_call,
    read_overrides,
)
from taximeter_collector.prices.cards import RateCard
from taximeter_collector.prices.rows import TOKENS
from taximeter_collector.settings import PREFIX, read_settings

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with every digit.")]

prices_app = typer.Typer(
    help="Prices of models, and the team's own.", no_args_is_help=True, add_completion=False
)


@prices_app.command("check")
def check(
    path: Annotated[
        Path, typer.Argument(help="The file to check.", envvar=f"{PREFIX}PRICES")
    ] = Path("prices.yaml"),
) -> None:
    """Read a prices file and show what it says."""
    if not path.exists():
        raise OverridesError(f"{path}: no such file")
    columns = (
        Column("What", leaves=4),
        Column("Where", leaves=1),
        Column("Model"),
        Column("Since", leaves=3),
        Column("Until", leaves=2),
        Column("Says", Kind.TEXT),
    )
    console().print(Table(columns=columns, sections=[list(_lines(read_overrides(path)))]))


@prices_app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="As answered, like gpt-5-2025-08-07.")],
    *,
    on: Annotated[str, typer.Option(help="Day, like 2026-11-01; today by default.")] = "",
    provider: Annotated[
        str, typer.Option(help="openai, azure.ai.openai or a host of prices.yaml.")
    ] = "openai",
    place: Annotated[
        str, typer.Option(help="Azure's, like global or data_zone/eastus; OpenAI's: regional.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a model costs, by tier and length of the input."""
    day = _day(on)
    cards = list(_cards(_book(), provider, model, place, day))
    if not cards:
        where = f" ({place})" if place else ""
        raise Refused(f"there is no price for {model!r} of {provider}{where} on {day}")
    if as_json:
        told = [
            {
                "tier": tier,
                "rate_card": card.id,
                "usd_per_unit": {name: rate and f"{rate:f}" for name, rate in card.rates.items()},
            }
            for tier, card in cards
        ]
        typer.echo(json.dumps(told, indent=2))
        return
    _show_tokens(cards)
    tier, card = cards[0]
    units = sorted(set(card.rates) - set(TOKENS))
    columns = (Column("Unit"), Column(f"USD for one ({tier})", Kind.FIGURE))
    rows = [(name, _usd(card.rates, name, 1)) for name in units]
    console().print(Table(columns=columns, sections=[rows]))


def _show_tokens(cards: Sequence[tuple[str, RateCard]]) -> None:
    meters = [name for name in TOKENS if any(name in card.rates for _, card in cards)]
    if not meters:
        return
    figures = (Column(name.replace("_", " "), Kind.FIGURE) for name in meters)
    rows = [
        (
            tier,
            f"{card.input_above:,}" if card.input_above >= 0 else "",
            *(_usd(card.rates, name, 1_000_000) for name in meters),
        )
        for tier, card in cards
    ]
    console().print(
        Table(
            columns=[Column("Tier"), Column("Input above"), *figures],
            sections=[rows],
            notes=["US dollars for 1,000,000 tokens", ""],
        )
    )


@prices_app.command("test")
def price_calls(
    path: Annotated[Path, typer.Argument(help="JSON, or one JSON object a line.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Price calls as OpenAI answered them; the fields are in docs/pricing.md."""
    book = _book()
    priced = [price_api_call(call, book) for call in _calls(path)]
    if as_json:
        typer.echo(json.dumps([_told(one) for one in priced], indent=2))
        return
    columns = (
        Column("USD"),
        Column("Status", leaves=1),
        Column("Components", Kind.TEXT),
        Column("Rate card or reason", Kind.TEXT, leaves=2),
    )
    rows = [
        (
            "unknown" if one.usd is None else f"{one.usd:f}",
            one.status,
            ", ".join(f"{name} {usd:f}" for name, usd in one.components.items()),
            one.reason or one.rate_card,
        )
        for one in priced
    ]
    console().print(Table(columns=columns, sections=[rows]))


def _book() -> PriceBook:
    return book_with(read_settings(os.environ).prices)


def _lines(overrides: Overrides) -> Iterator[tuple[str, ...]]:
    for host, who in overrides.hosts.items():
        yield "host", host, "", "", "", f"billed by {who}"
    for rate in overrides.own:
        usd = ", ".join(f"{name} ${usd}" for name, usd in rate.usd_per_million_tokens.items())
        units = ", ".join(f"{name} ${usd} each" for name, usd in rate.usd_per_unit.items())
        says = "; ".join(filter(None, [usd and f"{usd} per 1M tokens", units]))
        yield "rate", rate.provider, rate.model, *_period(rate.since, rate.until), says
    for one in overrides.discounts:
        yield "discount", one.provider, one.model, *_period(one.since, one.until), f"{one.percent}%"
    for name, deployment in overrides.deployments.items():
        yield "deployment", "azure.ai.openai", name, "", "", deployment.place


def _period(since: date, until: date) -> tuple[str, str]:
    return (
        "" if since == date.min else since.isoformat(),
        "" if until == date.max else until.isoformat(),
    )


def _cards(
    book: PriceBook, provider: str, model: str, place: str, day: date
) -> Iterator[tuple[str, RateCard]]:
    tiers = {row.tier for row in book.rows} | {rate.tier for rate in book.overrides.own}
    for tier in sorted(tiers, key=lambda tier: (tier != "default", tier)):
        for card in reversed(book.cards(provider, model, tier, place, day)):
            yield tier, card


def _usd(rates: Mapping[str, Decimal | None], name: str, units: int) -> str:
    if name not in rates:
        return ""
    rate = rates[name]
    return "not published" if rate is None else f"{(rate * units).normalize():f}"


def _day(text: str) -> date:
    if not text:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"--on {text!r}: give a day like 2026-11-01") from None


def _calls(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = [_parsed(path, number, line) for number, line in _numbered(text)]
    calls = content if isinstance(content, list) else [content]
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise OverridesError(f"{path}: call {index + 1} is not an object")
    return calls


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise OverridesError(f"{path}:{number}: not JSON: {error.msg}") from None


def _told(priced: Priced) -> dict[str, Any]:
    return {
        "usd": None if priced.usd is None else f"{priced.usd:f}",
        "status": priced.status,
        "reason": priced.reason,
        "components": {name: f"{usd:f}" for name, usd in priced.components.items()},
        "rate_card": priced.rate_card,
    }
