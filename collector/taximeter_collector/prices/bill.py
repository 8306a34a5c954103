"""The dot product of what was used and a rate card."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from taximeter_collector.calls import CostStatus, Priced, Rates, Usage, UsageSource
from taximeter_collector.prices.cards import RateCard
from taximeter_collector.prices.rows import TOKENS, rounded

# A count above this is a broken sender. At today's rates it also keeps one call below the
# 1,000,000 dollars that the store's Decimal(18,12) holds.
MOST_TOKENS: Final = 1_000_000_000
MOST_USD: Final = Decimal(1_000_000)

# Parts of the token counts that travel as meters, because few calls have them.
CACHED_AUDIO: Final = "cached_audio_input_tokens"
CACHED_IMAGE: Final = "cached_image_input_tokens"
WRITTEN_12H: Final = "cache_write_12h_tokens"

INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "cached_input": ("input",),
    "cache_write": ("input",),
    # Text models are fed with images by the token of text.
    "image_input": ("input",),
    "cached_image_input": ("image_input", "cached_input", "input"),
    "cached_audio_input": ("audio_input",),
}
"""Whose rate a meter has when it has none of its own."""

_BILLABLE = (UsageSource.REPORTED, UsageSource.ESTIMATED)
_EXACT = (CostStatus.EXACT, "")
_ESTIMATED = (CostStatus.ESTIMATED, "the tokens were counted, not reported")


def unpriced(reason: str) -> Priced:
    return Priced(status=CostStatus.UNPRICED, usd=None, reason=reason)


def fault_of(usage: Usage) -> str:
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


def billed(usage: Usage, card: RateCard) -> Priced:
    """Multiply; unpriced when the card lacks a rate for something that was used."""
    if (text := card.text) and not (
        usage.meters
        or usage.audio_input_tokens
        or usage.audio_output_tokens
        or usage.image_input_tokens
        or usage.image_output_tokens
    ):
        return _text_billed(usage, card, text)
    quantities = _quantities(usage)
    if any(quantity < 0 for quantity in quantities.values()):
        return unpriced("absurd usage: a part is larger than the whole")
    if card.searches and "web_searches" not in usage.meters:
        return unpriced("how often the model searched the web was not told")
    if _mixes_cached(usage, card):
        return unpriced("which of the cached tokens were text is not known")
    components: dict[str, Decimal] = {}
    for meter, quantity in quantities.items():
        if not quantity:
            continue
        rate = _rate(card, meter)
        if rate is None:
            return unpriced(f"no price for {_spoken(meter)} of {card.id.partition('/')[0]}")
        component = meter.partition(".")[0]
        usd = rounded(rate * quantity)
        components[component] = components.get(component, Decimal(0)) + usd
    return _priced(usage, card, sum(components.values(), Decimal(0)), None, components)


def _text_billed(usage: Usage, card: RateCard, rates: Rates) -> Priced:
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    output = usage.output_tokens
    if output and "output" not in card.rates:
        return unpriced(f"no price for output tokens of {card.id.partition('/')[0]}")
    usd = rates.input * (usage.input_tokens - cached - written)
    components = {"input": usd}
    if cached:
        components["cached_input"] = part = rates.cached_input * cached
        usd += part
    if written:
        components["cache_write"] = part = rates.cache_write * written
        usd += part
    if output:
        components["output"] = part = rates.output * output
        usd += part
    return _priced(usage, card, usd, rates, components)


def _quantities(usage: Usage) -> dict[str, int | Decimal]:
    """Cut the counts into meters of which none is a part of another."""
    meters = dict(usage.meters)
    cached_audio, cached_image, written_12h = (
        int(meters.pop(name, 0)) for name in (CACHED_AUDIO, CACHED_IMAGE, WRITTEN_12H)
    )
    cached = usage.cached_input_tokens - cached_audio - cached_image
    audio, image = (
        usage.audio_input_tokens - cached_audio,
        usage.image_input_tokens - cached_image,
    )
    return {
        "input": usage.input_tokens - cached - usage.cache_write_tokens
        - usage.audio_input_tokens - usage.image_input_tokens,
        "cached_input": cached,
        "cache_write": usage.cache_write_tokens - written_12h,
        "cache_write_12h": written_12h,
        "audio_input": audio,
        "cached_audio_input": cached_audio,
        "image_input": image,
        "cached_image_input": cached_image,
        "output": usage.output_tokens - usage.audio_output_tokens - usage.image_output_tokens,
        "audio_output": usage.audio_output_tokens,
        "image_output": usage.image_output_tokens,
        **meters,
    }  # fmt: skip


def _mixes_cached(usage: Usage, card: RateCard) -> bool:
    """Say whether cached tokens may be of several kinds and nobody told how many of which."""
    if (
        not usage.cached_input_tokens
        or CACHED_AUDIO in usage.meters
        or CACHED_IMAGE in usage.meters
    ):
        return False
    images = usage.image_input_tokens if "image_input" in card.rates else 0
    return bool(usage.audio_input_tokens or images)


def _rate(card: RateCard, meter: str) -> Decimal | None:
    for name in (meter, *INSTEAD.get(meter, ())):
        if name in card.rates:
            return card.rates[name]
    return None


def _spoken(meter: str) -> str:
    return f"{meter.replace('_', ' ')} tokens" if meter in TOKENS else meter


def _priced(
    usage: Usage,
    card: RateCard,
    usd: Decimal,
    rates: Rates | None,
    components: Mapping[str, Decimal],
) -> Priced:
    if usd >= MOST_USD:
        return unpriced(f"absurd usage: a cost of ${usd:.0f}")
    status, reason = _ESTIMATED if usage.source is UsageSource.ESTIMATED else _EXACT
    return Priced(status, usd, reason, card.id, rates, components)
