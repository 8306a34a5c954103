"""Compile the price book from `genai-prices` and our overlay.

    python -m taximeter_collector.prices.compile [--check]

Prints what changed by model. With `--check` it leaves the book as it is and fails on a change.

The overlay has the book's columns, and rows that are rules: several models in one row, separated
by spaces; `x default` on the meter `*` makes a tier that many times as dear as the default one; and
`input tokens` on a tool adds that many tokens at the model's rate to each call of the tool.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

from genai_prices import data
from genai_prices import types as genai

from taximeter_collector.prices.book import BOOK
from taximeter_collector.prices.cards import OPENAI, STANDARD
from taximeter_collector.prices.rows import EVERY, FACTORS, Row, as_csv, read

OVERLAY: Final = "price_overlay.csv"
TIMES_DEFAULT: Final = "x default"
ON_TOP: Final = "input tokens"
VERIFIED: Final = (date(2026, 10, 12), date(2026, 10, 14))
"""The days on which genai-prices' authors read the tiers' prices; the tiers are older than that."""

Rate = Decimal | genai.TieredPrices
Prices = dict[str, Rate]

METERS: Final = {
    "input_mtok": ("input", "1M tokens"),
    "cache_read_mtok": ("cached_input", "1M tokens"),
    "cache_write_mtok": ("cache_write", "1M tokens"),
    "output_mtok": ("output", "1M tokens"),
    "input_audio_mtok": ("audio_input", "1M tokens"),
    "cache_audio_read_mtok": ("cached_audio_input", "1M tokens"),
    "output_audio_mtok": ("audio_output", "1M tokens"),
    "input_image_mtok": ("image_input", "1M tokens"),
    "cache_image_read_mtok": ("cached_image_input", "1M tokens"),
    "output_image_mtok": ("image_output", "1M tokens"),
    "input_mchars": ("characters", "1M characters"),
    "audio_hours": ("seconds", "hour"),
}
"""Our meters by the names of genai-prices, which prices tools, too: those come from the overlay."""
CACHED: Final = ("cache_read_mtok", "cache_audio_read_mtok", "cache_image_read_mtok")
PAINTERS: Final = ("gpt-image", "chatgpt-image")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the price book.")
    parser.add_argument("--check", action="store_true", help="fail when the book is out of date")
    check = parser.parse_args().check
    path = Path(__file__).with_name(BOOK)
    book = compiled()
    before, after = path.read_text("utf-8") if path.exists() else as_csv([]), as_csv(book)

    sys.stdout.writelines(f"{line}\n" for line in changes(read(before), book))
    sys.stdout.write(f"{BOOK}: {len(book)} rows, {'as before' if before == after else 'changed'}\n")
    if check:
        return int(before != after)
    path.write_text(after, "utf-8", newline="\n")
    return 0


def compiled() -> list[Row]:
    openai = next(provider for provider in data.providers if provider.id == OPENAI)
    book = {row.key: row for model in openai.models if _is_openais(model) for row in _rows(model)}
    overlay = [
        row._replace(model=name)
        for row in read(Path(__file__).with_name(OVERLAY).read_text("utf-8"))
        for name in ([row.model] if row.per in FACTORS else row.model.split())
    ]
    rules = (TIMES_DEFAULT, ON_TOP)
    book |= {row.key: row for row in overlay if row.per not in rules}
    for rule in overlay:
        if rule.per == TIMES_DEFAULT:
            book = {row.key: row for row in _multiplied(rule, list(book.values()))} | book
    book |= {row.key: row for row in _kept_for_12_hours(list(book.values()))}
    for rule in overlay:
        if rule.per == ON_TOP:
            book |= {row.key: row for row in _on_top(rule, list(book.values()))}
    return sorted(book.values())


def changes(before: Iterable[Row], after: Iterable[Row]) -> list[str]:
    """Say for each model that changed which of its rows went and came."""
    gone, new = set(before) - set(after), set(after) - set(before)
    return [
        f"{model}: "
        + ", ".join(
            sign + "/".join(row[2:-1])
            for sign, some in (("-", gone), ("+", new))
            for row in sorted(some)
            if row.model == model
        )
        for model in sorted({row.model for row in gone | new})
    ]


def _multiplied(rule: Row, book: list[Row]) -> Iterator[Row]:
    """Yield a tier's rows for the models that a rule names, in each period of the default tier."""
    for row in book:
        if (row.provider, row.model, row.tier) == (
            rule.provider,
            rule.model,
            "default",
        ) and row.usd:
            # Where the batch page lists no rate for cached input, there is no discount on it.
            if rule.tier == "batch" and row.meter.startswith("cached_"):
                continue
            usd = _plain(Decimal(row.usd) * Decimal(rule.usd))
            yield row._replace(tier=rule.tier, usd=usd, source=rule.source)


def _kept_for_12_hours(book: list[Row]) -> Iterator[Row]:
    """Yield the rates of cache writes that are kept longer, which cost twice the others."""
    for row in book:
        if row.meter == "cache_write" and row.usd:
            yield row._replace(meter="cache_write_12h", usd=_plain(Decimal(row.usd) * 2))


def _on_top(rule: Row, book: list[Row]) -> Iterator[Row]:
    fee = next(
        row for row in book if row.tier == EVERY and row.meter == rule.meter and row.model == EVERY
    )
    for row in book:
        if row[:2] == rule[:2] and row.meter == "input" and row.rate is not None and fee.rate:
            usd = _plain(fee.rate + row.rate * int(rule.usd))
            yield row._replace(meter=rule.meter, usd=usd, per="call", source=rule.source)


def _is_openais(model: genai.ModelInfo) -> bool:
    """Say whether the price is OpenAI's own, not a reseller's of often an open-weight model."""
    comments = model.price_comments or ""
    return "OpenRouter" not in comments or "Verified against OpenAI" in comments


def _rows(model: genai.ModelInfo) -> Iterator[Row]:
    standard = _standard(model)
    for tier, (opened, variant) in _variants(model, standard).items():
        for day in sorted({opened} | {start for start in standard if start > opened}):
            since = "" if day == date.min else day.isoformat()
            default = standard[max(start for start in standard if start <= day)]
            for above, prices in _by_context(
                tier, default, _of_day(tier, variant, default, standard)
            ):
                for name in _names(model):
                    for field, usd in prices.items():
                        for meter, per in _meters(name, field, prices):
                            yield Row(
                                OPENAI, name, tier, STANDARD, since, above, meter, usd, per,
                                f"genai-prices {model.id}",
                            )  # fmt: skip


def _meters(name: str, field: str, prices: dict[str, str]) -> Iterator[tuple[str, str]]:
    meter, per = METERS[field]
    yield meter, per
    # What an image model answers are images, whatever the table calls them.
    if meter == "output" and name.startswith(PAINTERS) and "output_image_mtok" not in prices:
        yield "image_output", per


def _of_day(tier: str, variant: Prices, default: Prices, standard: dict[date, Prices]) -> Prices:
    """Return a tier's prices beside a default of its day: those we know are today's."""
    today = standard[max(standard)]
    if tier not in ("batch", "flex") or default is today:
        return variant
    return {name: _half(rate) for name, rate in default.items() if name in variant}


def _half(rate: Rate) -> Rate:
    if isinstance(rate, genai.TieredPrices):
        tiers = [genai.Tier(start=tier.start, price=tier.price / 2) for tier in rate.tiers]
        return genai.TieredPrices(base=rate.base / 2, tiers=tiers)
    return rate / 2


def _by_context(
    tier: str, default: Prices, variant: Prices
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield bounds on the input, each with the prices above it; "" where none is published."""
    # What a tier has no rate of its own for, it takes from the default tier; but where the batch
    # page lists no rate for cached input, there is no discount on it:
    # https://platform.openai.com/docs/guides/prompt-caching
    taken = {
        name: rate for name, rate in default.items() if not (tier == "batch" and name in CACHED)
    }
    # A table that names no rate at all says that the tier costs what the default one does.
    prices = (taken | variant) if variant else default
    if not any(name in METERS for name in prices):
        return
    yield "", {name: _usd(rate, -1) for name, rate in prices.items()}
    tiered = [*default.values(), *prices.values()]
    for above in sorted({bound for rate in tiered for bound in _bounds(rate)}):
        # A tier's flat rate beside a default one that grows says nothing about long requests.
        known = all(_bounds(variant[name]) for name in variant if _bounds(default.get(name)))
        yield (
            str(above),
            {name: _usd(rate, above) if known else "" for name, rate in prices.items()},
        )


def _usd(rate: Rate, above: int) -> str:
    if isinstance(rate, genai.TieredPrices):
        rate = [rate.base, *(tier.price for tier in rate.tiers if tier.start <= above)][-1]
    return _plain(rate)


def _bounds(rate: Rate | None) -> list[int]:
    return [tier.start for tier in rate.tiers] if isinstance(rate, genai.TieredPrices) else []


def _standard(model: genai.ModelInfo) -> dict[date, Prices]:
    if isinstance(model.prices, genai.ModelPrice):
        return {date.min: _prices(model.prices)}
    return {_start(dated.constraint): _prices(dated.prices) for dated in model.prices}


def _variants(
    model: genai.ModelInfo, standard: dict[date, Prices]
) -> dict[str, tuple[date, Prices]]:
    """Return the first day of each tier and the rates that it has of its own."""
    tiers: dict[str, tuple[date, Prices]] = {"default": (date.min, {})}
    for variant in model.price_variants or ():
        ((condition, tier),) = variant.when.items()
        if condition not in ("service_tier", "processing"):
            raise ValueError(f"{model.id}: the book can't write down a price by {condition}")
        opened = _start(variant.constraint)
        if opened in VERIFIED:
            # Half is the published rule of these two; of the others only today's price is known.
            opened = date.min if tier in ("batch", "flex") else max(standard)
        tiers[tier] = opened, _prices(variant.prices)
    if tiers.pop("fast", None) != tiers.get("priority"):
        raise ValueError(f"{model.id}: `fast` no longer costs what `priority` does")
    return tiers


def _prices(prices: genai.ModelPrice) -> Prices:
    return {name: rate for name in METERS if (rate := getattr(prices, name, None)) is not None}


def _start(constraint: genai.StartDateConstraint | genai.TimeOfDateConstraint | None) -> date:
    if isinstance(constraint, genai.TimeOfDateConstraint):
        raise TypeError("prices by the time of day are new: the book has only days")
    return constraint.start_date if constraint else date.min


def _names(model: genai.ModelInfo) -> list[str]:
    match = model.match
    clauses = match.or_ if isinstance(match, genai.ClauseOr) else [match]
    names = [_name(clause) for clause in clauses if not isinstance(clause, genai.ClauseContains)]
    # A fine-tuned name in the entry of its base model has the base's price, which is a guess;
    # a `:` elsewhere is another vendor's spelling of a variant, as in `gpt-4o:extended`.
    tuned = model.id.startswith("ft:")
    return [name for name in names if tuned or ":" not in name]


def _name(clause: genai.MatchLogic) -> str:
    match clause:
        case genai.ClauseEquals(equals=name):
            return name
        case genai.ClauseStartsWith(starts_with=beginning):
            return f"{beginning}*"
        case genai.ClauseRegex(regex=regex):
            name = re.sub(r"\\d\{(\d)\}", lambda digits: "#" * int(digits[1]), regex)
            name = name.removeprefix("^").removesuffix("$").replace(r"\.", ".")
            if re.fullmatch(r"[\w.#:-]+", name):
                return name
    raise ValueError(f"the book can't write down the names {clause}")


def _plain(usd: Decimal) -> str:
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


if __name__ == "__main__":
    sys.exit(main())
