"""The price book: which card a call has, and what it costs by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final

from taximeter_collector.calls import Call, CostStatus, Priced, Usage, UsageSource
from taximeter_collector.prices.bill import billed, fault_of, unpriced
from taximeter_collector.prices.cards import OPENAI, STANDARD, RateCard, Shelf, adjusted
from taximeter_collector.prices.overrides import AZURE, NO_OVERRIDES, Overrides, read_overrides
from taximeter_collector.prices.rows import read

BOOK: Final = "price_book.csv"
# `fast` is the name of `priority` since 2026-07-30.
TIERS: Final = {"": "default", "auto": "default", "standard": "default", "fast": "priority"}
OPENAI_HOST: Final = "api.openai.com"
REGIONAL: Final = "regional"
IMAGE_TOOL: Final = "image_tool."
"""Tokens of the image model that a response called: `image_tool.image_output.gpt-image-1`."""

_FAILED, _FREE_MODEL, _NOT_SENT = (
    Priced(status=CostStatus.FREE, usd=Decimal(0), reason=f"OpenAI does not bill {what}")
    for what in ("failed requests", "this model", "what was never sent")
)


class PriceBook:
    def __init__(self, csv_text: str, overrides: Overrides = NO_OVERRIDES) -> None:
        self.version = sha256(f"{csv_text}{overrides.text}".encode()).hexdigest()[:12]
        """Changes with any change of the book or the overrides."""
        self.overrides = overrides
        self._has_overrides = bool(overrides)
        self.rows = read(csv_text)
        self._shelf = Shelf(self.rows)
        # Names come from the network, so the cache is bounded.
        self._cards_on = lru_cache(maxsize=4096)(self.cards)
        self._why_none_on = lru_cache(maxsize=4096)(self._why_none)

    @classmethod
    @cache
    def shipped(cls) -> PriceBook:
        return cls(shipped_text())

    def priced(self, call: Call) -> Priced:
        """Return what `call` cost, or why that is not known; never an amount that is too low."""
        provider, model, place = call.provider, call.model, STANDARD
        if provider != OPENAI or call.server_address != OPENAI_HOST or self._has_overrides:
            provider, model, place = self._seller(call)
        return self.price(
            model,
            call.ts,
            call.usage,
            provider,
            call.service_tier,
            call.batch,
            place,
            call.http_status,
        )

    def price(
        self,
        model: str,
        moment: datetime,
        usage: Usage,
        provider: str = OPENAI,
        service_tier: str = "",
        batch: bool = False,
        place: str = STANDARD,
        http_status: int | None = None,
    ) -> Priced:
        """Return the cost in US dollars at the rates of `moment`, and its components.

        `model` and `service_tier` are as answered; `moment` is aware; `place` is `regional` for
        OpenAI's regional hosts, or Azure's deployment type.
        """
        if http_status is not None and http_status >= 400:
            return _FAILED
        if usage.source is UsageSource.NONE:
            return _NOT_SENT
        tier = "batch" if batch else TIERS.get(service_tier, service_tier)
        day = moment.date()
        cards = self._cards_on(provider, model, tier, place, day)
        # Answers without usage are normal where nothing is billed, like moderations.
        if cards and cards[0].is_free:
            return _FREE_MODEL
        if fault := fault_of(usage):
            return unpriced(fault)
        if not cards or (not model and usage.input_tokens):
            return unpriced(self._why_none_on(provider, model, tier, place, day))
        for card in cards:
            if usage.input_tokens > card.input_above:
                break
        if card.input_above >= 0 and card.rates.get("input") is None:
            return unpriced(f"no {tier} price for {model} above {card.input_above} tokens")
        if usage.meters and any(meter.startswith(IMAGE_TOOL) for meter in usage.meters):
            card = _with_painters(
                usage, card, lambda name: self._cards_on(provider, name, "default", place, day)
            )
        return billed(usage, card)

    def text_cards(self, call: Call) -> tuple[RateCard, ...]:
        """Return the cards by which such calls of nothing but text are billed; () if by no rate."""
        provider, model, place = self._seller(call)
        tier = "batch" if call.batch else TIERS.get(call.service_tier, call.service_tier)
        cards = self._cards_on(provider, model, tier, place, call.ts.date())
        return cards if all(card.text and not card.is_free for card in cards) else ()

    def cards(
        self, provider: str, model: str, tier: str, place: str, day: date
    ) -> tuple[RateCard, ...]:
        """Return the cards of that day, the one for the longest input first."""
        cards = self._shelf.cards(provider, model, tier, place, day)
        own = self.overrides.rates(provider, model, tier, day)
        factor = self.overrides.factor(provider, model, day)
        if own is None and factor == 1:
            return cards
        cards = cards or (RateCard.of(f"{model}/{tier}", -1, {}),) if own is not None else cards
        return tuple(
            adjusted(card, own or {} if card.input_above < 0 else {}, factor) for card in cards
        )

    def _seller(self, call: Call) -> tuple[str, str, str]:
        """Return who bills the call, for which model and where; an unknown host bills itself."""
        host = call.server_address
        if host in self.overrides.hosts:
            return self.overrides.hosts[host], call.model, STANDARD
        if call.provider == AZURE:
            deployment = self.overrides.deployments.get(call.request_model)
            if deployment is None:
                return AZURE, call.model, f"deployment {call.request_model!r}"
            return AZURE, deployment.model or call.model, deployment.place
        if call.provider == OPENAI and (not host or host == OPENAI_HOST):
            return OPENAI, call.model, STANDARD
        if call.provider == OPENAI and host.endswith(f".{OPENAI_HOST}"):
            return OPENAI, call.model, REGIONAL
        return (host or call.provider), call.model, STANDARD

    def _why_none(self, provider: str, model: str, tier: str, place: str, day: date) -> str:
        if place.startswith("deployment "):
            return f"no entry for {place} of Azure in prices.yaml"
        if self._shelf.knows(provider):
            return self._shelf.why_none(provider, model, tier, place, day)
        if provider in self.overrides.own_hosts:
            return f"no price for model {model!r} at {provider!r} in prices.yaml"
        return f"no prices for {provider!r}; prices.yaml can name them"


def _with_painters(
    usage: Usage, card: RateCard, cards_of: Callable[[str], tuple[RateCard, ...]]
) -> RateCard:
    """Put the rates of the image models on the card that the tool of a response called."""
    rates = dict(card.rates)
    for meter in usage.meters:
        if meter.startswith(IMAGE_TOOL):
            _, part, model = (*meter.split(".", 2), "", "")[:3]
            rates[meter] = next((one.rates.get(part) for one in cards_of(model)), None)
    return RateCard.of(card.id, card.input_above, rates)


def book_with(path: Path) -> PriceBook:
    """Return the shipped book with a team's `prices.yaml`; raises OverridesError."""
    return PriceBook(shipped_text(), read_overrides(path))


def shipped_text() -> str:
    return files(__package__).joinpath(BOOK).read_bytes().decode()
