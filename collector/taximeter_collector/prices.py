"""What a call costs: the price book as rate cards, and one dot product over a card."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from typing import NamedTuple

from taximeter_collector.calls import Call, CostStatus, Priced, Rates, Usage, UsageSource

BOOK = "price_book.csv"
# A count above this is a broken sender. At today's rates it also keeps one call below the
# 1,000,000 dollars that the store's Decimal(18,12) holds.
MOST_TOKENS = 1_000_000_000
# `fast` is the name of `priority` since 2026-07-30.
TIERS = {"": "default", "auto": "default", "standard": "default", "fast": "priority"}

_PLACES = Decimal("1e-12")
_BILLABLE = (UsageSource.REPORTED, UsageSource.ESTIMATED)
_EXACT = (CostStatus.EXACT, "")
_ESTIMATED = (CostStatus.ESTIMATED, "the tokens were counted, not reported")
_FAILED, _FREE_MODEL, _NOT_SENT = (
    Priced(status=CostStatus.FREE, usd=Decimal(0), reason=f"OpenAI does not bill {what}")
    for what in ("failed requests", "this model", "what was never sent")
)


class Row(NamedTuple):
    """A line of the book, as text: US dollars per million tokens, "" for a rate that is absent."""

    model: str
    """A name, or a pattern: `#` stands for a digit, `*` at the end for anything."""
    tier: str
    valid_from: str
    """A UTC day; "" is from the beginning."""
    input_above: str
    """Applies to requests with more input tokens than this, whole; "" is any number."""
    input: str
    """When absent, OpenAI publishes no rate for these requests."""
    cached_input: str
    """When absent, cached tokens cost as much as others."""
    cache_write: str
    output: str
    """When absent, the model has no output."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """One row of the book as it applies: to which calls, and the dollars per token."""

    id: str
    valid_from: date
    valid_until: date
    """The first UTC day of the next card."""
    input_above: int
    rates: Rates | None
    """None where OpenAI publishes no rate."""
    bills_output: bool
    is_free: bool


class PriceBook:
    def __init__(self, csv_text: str) -> None:
        self.version = sha256(csv_text.encode()).hexdigest()[:12]
        """Changes with any change of the book."""
        self.cards = _cards(rows(csv_text))
        """By model or pattern and tier; the newest first, of a day the longest context first."""
        patterns = (name for name in self.cards if "*" in name or "#" in name)
        self._patterns = sorted(patterns, key=len, reverse=True)
        # Names come from the network, so the cache is bounded.
        self._cards_on = lru_cache(maxsize=4096)(self._find_cards)

    @classmethod
    @cache
    def shipped(cls) -> PriceBook:
        return cls(files(__package__).joinpath(BOOK).read_bytes().decode())

    def priced(self, call: Call) -> Priced:
        """Return what `call` cost, or why that is not known; never an amount that is too low."""
        if call.http_status is not None and call.http_status >= 400:
            return _FAILED
        usage = call.usage
        if usage.source is UsageSource.NONE:
            return _NOT_SENT
        tier = "batch" if call.batch else TIERS.get(call.service_tier, call.service_tier)
        known = call.provider == "openai"
        cards = self._cards_on(call.model, tier, call.ts.date()) if known else ()
        # Answers without usage are normal where nothing is billed, like moderations.
        if cards and cards[0].is_free:
            return _FREE_MODEL
        if fault := _fault(usage):
            return _unpriced(fault)
        if not cards:
            return _unpriced(self._why_no_card(call, tier))
        for card in cards:
            if usage.input_tokens > card.input_above:
                break
        if card.rates is None:
            return _unpriced(f"no {tier} price for {call.model} above {card.input_above} tokens")
        if unbilled := _class_without_rate(usage, card):
            return _unpriced(f"no price for {unbilled} of {call.model}")
        return _billed(usage, card.id, card.rates)

    def _find_cards(self, model: str, tier: str, day: date) -> tuple[RateCard, ...]:
        return tuple(
            card
            for card in self._tiers(model).get(tier, ())
            if card.valid_from <= day < card.valid_until
        )

    def _tiers(self, model: str) -> dict[str, list[RateCard]]:
        """Return the cards of the exact name, else of the longest pattern that fits."""
        if model in self.cards:
            return self.cards[model]
        fits = (name for name in self._patterns if fnmatchcase(model, name.replace("#", "[0-9]")))
        return self.cards.get(next(fits, ""), {})

    def _why_no_card(self, call: Call, tier: str) -> str:
        if call.provider != "openai":
            return f"no prices for provider {call.provider!r}"
        tiers = self._tiers(call.model)
        if not tiers:
            return f"no price for model {call.model!r}"
        if tier not in tiers:
            return f"no price for {call.model} in tier {tier!r}"
        return f"no {tier} price for {call.model} before {tiers[tier][-1].valid_from}"


def rows(csv_text: str) -> list[Row]:
    """Read a book; ValueError when it is not one."""
    header, *lines = csv.reader(csv_text.splitlines())
    if tuple(header) != Row._fields:
        raise ValueError(f"a price book begins with the columns {','.join(Row._fields)}")
    return [Row(*line) for line in lines]


def _cards(book: Iterable[Row]) -> dict[str, dict[str, list[RateCard]]]:
    cards: dict[str, dict[str, list[RateCard]]] = defaultdict(dict)
    order = sorted(book, key=lambda row: (row[:2], _day(row), _bound(row)), reverse=True)
    for (model, tier), of_tier in groupby(order, lambda row: row[:2]):
        until = date.max
        cards[model][tier] = []
        for day, of_day in groupby(of_tier, _day):
            cards[model][tier] += [_card(row, until) for row in of_day]
            until = day
    return dict(cards)


def _day(row: Row) -> date:
    return date.fromisoformat(row.valid_from) if row.valid_from else date.min


def _bound(row: Row) -> int:
    return int(row.input_above) if row.input_above else -1


def _card(row: Row, valid_until: date) -> RateCard:
    above = f">{row.input_above}" if row.input_above else ""
    return RateCard(
        id="/".join(part for part in (row.model, row.tier, row.valid_from, above) if part),
        valid_from=_day(row),
        valid_until=valid_until,
        input_above=_bound(row),
        rates=_rates(row) if row.input else None,
        bills_output=bool(row.output),
        is_free=all(rate and not Decimal(rate) for rate in (row.input, row.output)),
    )


def _rates(row: Row) -> Rates:
    # Where no rate for writes is published, they cost what other input does, not nothing. "Free
    # before GPT-5.6" means without a surcharge: the Usage API splits 1000 input tokens into 400
    # cached + 100 written + 500 uncached, so at zero the first request of a prompt that is then
    # cached would be free. Microsoft says it outright ("don't charge extra to write"):
    # https://learn.microsoft.com/en-us/azure/foundry-classic/openai/how-to/prompt-caching
    return Rates(
        input=Decimal(row.input).scaleb(-6),
        cached_input=Decimal(row.cached_input or row.input).scaleb(-6),
        cache_write=Decimal(row.cache_write or row.input).scaleb(-6),
        output=Decimal(row.output or 0).scaleb(-6),
    )


def _fault(usage: Usage) -> str:
    """Say why these quantities can't be billed; "" when they can."""
    if usage.source not in _BILLABLE:
        return f"the usage was {usage.source}"
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    whole, output, reasoning = usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
    if cached < 0 or written < 0 or whole < 0 or output < 0 or reasoning < 0:
        return "absurd usage: a negative number of tokens"
    if whole > MOST_TOKENS or output > MOST_TOKENS:
        return f"absurd usage: more than {MOST_TOKENS} tokens"
    if cached + written > whole:
        return "absurd usage: more cached and written than input tokens"
    if reasoning > output:
        return "absurd usage: more reasoning than output tokens"
    return ""


def _class_without_rate(usage: Usage, card: RateCard) -> str:
    """Name what was used and the card has no rate for; "" when there is no such thing."""
    if usage.output_tokens and not card.bills_output:
        return "output tokens"
    if usage.audio_input_tokens or usage.audio_output_tokens:
        return "audio tokens"
    if usage.image_input_tokens or usage.image_output_tokens:
        return "image tokens"
    if not usage.meters:
        return ""
    return ", ".join(sorted(name for name, quantity in usage.meters.items() if quantity))


def _billed(usage: Usage, rate_card: str, rates: Rates) -> Priced:
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    usd = rates.input * (usage.input_tokens - cached - written) + rates.output * usage.output_tokens
    if cached or written:
        usd += rates.cached_input * cached + rates.cache_write * written
    status, reason = _ESTIMATED if usage.source is UsageSource.ESTIMATED else _EXACT
    usd = usd.quantize(_PLACES, ROUND_HALF_EVEN)
    return Priced(status=status, usd=usd, reason=reason, rate_card=rate_card, rates=rates)


def _unpriced(reason: str) -> Priced:
    return Priced(status=CostStatus.UNPRICED, usd=None, reason=reason)
