"""Rate cards: which rates apply to a call of a model, in a tier and a place, on a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from typing import Final

from taximeter_collector.calls import Rates
from taximeter_collector.prices.rows import EVERY, FACTORS, ROUNDED_FACTOR, TOKENS, Row, rounded

OPENAI: Final = "openai"
STANDARD: Final = ""
SEARCHES: Final = "-search-"
THOUSANDTH_A_MILLION: Final = Decimal("1e-9")
"""$0.001 for a million tokens, as dollars for one."""

Meters = Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """US dollars for one unit of each meter, discounts and uplifts multiplied in."""

    id: str
    input_above: int
    """Applies to requests with more input tokens than this."""
    rates: Meters
    """None where no price is published, which is not the same as nothing."""
    text: Rates | None
    """The rates of a call that is nothing but text; None where it can't be billed by them."""
    is_free: bool
    searches: bool
    """Its model searches the web for every answer, which is billed beside the tokens."""

    @classmethod
    def of(cls, name: str, input_above: int, rates: Meters) -> RateCard:
        return cls(
            id=name,
            input_above=input_above,
            rates=rates,
            text=None if (searches := SEARCHES in name) else _text(rates),
            is_free=rates.get("input") == 0 == rates.get("output"),
            searches=searches,
        )


class Shelf:
    """All rows of a book, by what they are for."""

    def __init__(self, book: Iterable[Row]) -> None:
        self._models: dict[tuple[str, str], dict[str, dict[str, list[Row]]]] = {}
        """By provider and place, then model, then tier."""
        self._tools: list[Row] = []
        self._factors: list[Row] = []
        for row in book:
            if row.per in FACTORS:
                self._factors += [row._replace(model=name) for name in row.model.split()]
            elif row.tier == EVERY:
                self._tools.append(row)
            else:
                models = self._models.setdefault((row.provider, row.place), {})
                models.setdefault(row.model, defaultdict(list))[row.tier].append(row)

    def cards(
        self, provider: str, model: str, tier: str, place: str, day: date
    ) -> tuple[RateCard, ...]:
        """Return the cards that apply, the one for the longest input first; none is unpriced."""
        name, tiers = self._tiers(provider, place, model)
        factor: Row | None = None
        if not tiers and (factor := _longest(model, self._factors, provider, place, day)):
            name, tiers = self._tiers(OPENAI, STANDARD, model)
        tools = self._tools_of(provider, model, day)
        if not model and tools:
            return (RateCard.of("tools", -1, tools),)
        where = f"@{place}" if place else ""
        return tuple(
            RateCard.of(
                f"{_id(name, tier, rows[0])}{where}",
                rows[0].bound,
                tools | {row.meter: _scaled(row, factor) for row in rows},
            )
            for rows in _in_force(tiers.get(tier, ()), day)
        )

    def why_none(self, provider: str, model: str, tier: str, place: str, day: date) -> str:
        _, tiers = self._tiers(provider, place, model)
        if not tiers and _longest(model, self._factors, provider, place, day):
            _, tiers = self._tiers(OPENAI, STANDARD, model)
        where = f" ({place})" if place else ""
        if not tiers:
            return f"no price for model {model!r}{where}"
        if tier not in tiers:
            return f"no price for {model} in tier {tier!r}{where}"
        return f"no {tier} price for {model} before {min(row.day for row in tiers[tier])}{where}"

    def knows(self, provider: str) -> bool:
        known = {name for name, _ in self._models} | {row.provider for row in self._factors}
        return provider in known

    def _tiers(self, provider: str, place: str, model: str) -> tuple[str, dict[str, list[Row]]]:
        """Return the rows of the exact name, else of the longest pattern that fits."""
        models = self._models.get((provider, place), {})
        if model in models:
            return model, models[model]
        name = max((name for name in models if _fits(model, name)), key=len, default="")
        return name, models.get(name, {})

    def _tools_of(self, provider: str, model: str, day: date) -> dict[str, Decimal | None]:
        meters = {row.meter for row in self._tools}
        rows = (
            _longest(model, (row for row in self._tools if row.meter == meter), provider, "", day)
            for meter in sorted(meters)
        )
        return {row.meter: row.rate for row in rows if row}


def adjusted(card: RateCard, rates: Meters, factor: Decimal) -> RateCard:
    """Put a team's own rates and its discount on tokens on a card."""
    scaled = {
        meter: rate if rate is None or meter not in TOKENS else rounded(rate * factor)
        for meter, rate in card.rates.items()
    }
    changed = RateCard.of(card.id, card.input_above, {**scaled, **rates})
    return replace(changed, id=f"{card.id}+prices.yaml")


def _in_force(rows: Iterable[Row], day: date) -> list[list[Row]]:
    """Return the rows of the newest day that has come, by bound, the highest bound first."""
    begun = [row for row in rows if row.day <= day]
    newest = max((row.day for row in begun), default=None)
    by_bound: dict[int, list[Row]] = defaultdict(list)
    for row in begun:
        if row.day == newest:
            by_bound[row.bound].append(row)
    return [by_bound[bound] for bound in sorted(by_bound, reverse=True)]


def _longest(model: str, rows: Iterable[Row], provider: str, place: str, day: date) -> Row | None:
    fits = (
        row
        for row in rows
        if row.provider == provider
        and (place in row.place.split() if place else not row.place)
        and row.day <= day
        and (row.model == model or _fits(model, row.model))
    )
    return max(fits, key=lambda row: (len(row.model.rstrip(EVERY)), row.day), default=None)


def _fits(model: str, pattern: str) -> bool:
    has_signs = EVERY in pattern or "#" in pattern
    return has_signs and fnmatchcase(model, pattern.replace("#", "[0-9]"))


def _id(name: str, tier: str, row: Row) -> str:
    above = f">{row.input_above}" if row.input_above else ""
    return "/".join(part for part in (name, tier, row.valid_from, above) if part)


def _scaled(row: Row, factor: Row | None) -> Decimal | None:
    rate = row.rate
    if rate is None or factor is None or row.meter not in TOKENS:
        return rate
    if factor.per == ROUNDED_FACTOR:
        return (rate * Decimal(factor.usd)).quantize(THOUSANDTH_A_MILLION, ROUND_HALF_UP)
    return rounded(rate * Decimal(factor.usd))


def _text(rates: Meters) -> Rates | None:
    # Where no rate for writes is published, they cost what other input does, not nothing. "Free
    # before GPT-5.6" means without a surcharge: the Usage API splits 1000 input tokens into 400
    # cached + 100 written + 500 uncached, so at zero the first request of a prompt that is then
    # cached would be free. Microsoft says it outright ("don't charge extra to write"):
    # https://learn.microsoft.com/en-us/azure/foundry-classic/openai/how-to/prompt-caching
    whole = rates.get("input")
    output = rates.get("output", Decimal(0))
    if whole is None or output is None:
        return None
    cached, written = rates.get("cached_input", whole), rates.get("cache_write", whole)
    if cached is None or written is None:
        return None
    return Rates(input=whole, cached_input=cached, cache_write=written, output=output)
