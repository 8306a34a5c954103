"""Compile OpenAI's prices from `genai-prices` into the price book.

    python -m taximeter_collector.compile_prices [--check]

Prints what changed by model. With `--check` it leaves the book as it is and fails on a change.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

from genai_prices import data
from genai_prices import types as genai

from taximeter_collector.prices import BOOK, Row, rows

Rate = Decimal | genai.TieredPrices
Prices = dict[str, Rate]

RATES = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
# Text tokens alone don't say what these cost: images have rates of their own that not every
# answer tells apart, and search models charge each request.
# https://developers.openai.com/api/docs/pricing
NOT_BY_TEXT = ("image", "search-preview", "search-api")

_MODERATION = "https://developers.openai.com/api/docs/models/omni-moderation-latest"
# genai-prices has the cached rate of today for the days before the price cut too.
_O3 = "https://github.com/langfuse/langfuse/pull/7223"
OVERLAY = [
    *(
        Row(f"{model}-moderation*", tier, "", "", "0", "", "", "0", _MODERATION)
        for model in ("omni", "text")
        for tier in ("batch", "default")
    ),
    *(Row(o3, "default", "", "", "10", "2.5", "", "40", _O3) for o3 in ("o3", "o3-2025-04-16")),
]
"""Replaces the compiled row of the same model, tier, day and bound, or stands beside them."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the price book from genai-prices.")
    parser.add_argument("--check", action="store_true", help="fail when the book is out of date")
    check = parser.parse_args().check
    path = Path(__file__).with_name(BOOK)
    book = compiled()
    before, after = path.read_text("utf-8") if path.exists() else as_csv([]), as_csv(book)

    sys.stdout.writelines(f"{line}\n" for line in changes(rows(before), book))
    sys.stdout.write(f"{BOOK}: {len(book)} rows, {'as before' if before == after else 'changed'}\n")
    if check:
        return int(before != after)
    path.write_text(after, "utf-8", newline="\n")
    return 0


def compiled() -> list[Row]:
    openai = next(provider for provider in data.providers if provider.id == "openai")
    book = [row for model in openai.models if _is_openais(model) for row in _rows(model)]
    return sorted({row[:4]: row for row in (*book, *OVERLAY)}.values())


def as_csv(book: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Row._fields, *book])
    return text.getvalue()


def changes(before: Iterable[Row], after: Iterable[Row]) -> list[str]:
    """Say for each model that changed which of its rows went and came."""
    gone, new = set(before) - set(after), set(after) - set(before)
    return [
        f"{model}: "
        + ", ".join(
            sign + "/".join(row[1:-1])
            for sign, some in (("-", gone), ("+", new))
            for row in sorted(some)
            if row.model == model
        )
        for model in sorted({row.model for row in gone | new})
    ]


def _is_openais(model: genai.ModelInfo) -> bool:
    """Say whether the price is OpenAI's own, not a reseller's of often an open-weight model."""
    comments = model.price_comments or ""
    return "OpenRouter" not in comments or "Verified against OpenAI" in comments


def _rows(model: genai.ModelInfo) -> Iterator[Row]:
    """Yield the rows of all names of a model; none for one that is not billed by the token."""
    standard = _standard(model)
    for tier, (opened, variant) in _variants(model).items():
        for day in sorted({opened} | {start for start in standard if start > opened}):
            since = "" if day == date.min else day.isoformat()
            default = standard[max(start for start in standard if start <= day)]
            for rates in _by_context(default, variant):
                for name in _names(model):
                    yield Row._make([name, tier, since, *rates, f"genai-prices {model.id}"])


def _by_context(default: Prices, variant: Prices) -> Iterator[list[str]]:
    """Yield bounds on the input, each with the rates above it."""
    # What a tier has no rate of its own for, it takes from the default tier.
    prices = default | variant
    if "input_mtok" not in prices:
        return
    yield ["", *(_rate(prices.get(name), -1) for name in RATES)]
    tiered = [*default.values(), *prices.values()]
    for above in sorted({bound for rate in tiered for bound in _bounds(rate)}):
        # A tier's flat rate beside a default one that grows says nothing about long requests.
        known = all(_bounds(variant[name]) for name in variant if _bounds(default.get(name)))
        yield [str(above), *(_rate(prices.get(name), above) if known else "" for name in RATES)]


def _rate(rate: Rate | None, above: int) -> str:
    if isinstance(rate, genai.TieredPrices):
        rate = [rate.base, *(tier.price for tier in rate.tiers if tier.start <= above)][-1]
    return "" if rate is None else f"{rate:f}"


def _bounds(rate: Rate | None) -> list[int]:
    return [tier.start for tier in rate.tiers] if isinstance(rate, genai.TieredPrices) else []


def _standard(model: genai.ModelInfo) -> dict[date, Prices]:
    if isinstance(model.prices, genai.ModelPrice):
        return {date.min: _prices(model.prices)}
    return {_start(dated.constraint): _prices(dated.prices) for dated in model.prices}


def _variants(model: genai.ModelInfo) -> dict[str, tuple[date, Prices]]:
    """Return the first day of each tier and the rates that it has of its own."""
    tiers: dict[str, tuple[date, Prices]] = {"default": (date.min, {})}
    for variant in model.price_variants or ():
        ((condition, tier),) = variant.when.items()
        if condition not in ("service_tier", "processing"):
            raise ValueError(f"{model.id}: the book can't write down a price by {condition}")
        tiers[tier] = _start(variant.constraint), _prices(variant.prices)
    if tiers.pop("fast", None) != tiers.get("priority"):
        raise ValueError(f"{model.id}: `fast` no longer costs what `priority` does")
    return tiers


def _prices(prices: genai.ModelPrice) -> Prices:
    return {name: rate for name in RATES if (rate := getattr(prices, name)) is not None}


def _start(constraint: genai.StartDateConstraint | genai.TimeOfDateConstraint | None) -> date:
    if isinstance(constraint, genai.TimeOfDateConstraint):
        raise TypeError("prices by the time of day are new: the book has only days")
    return constraint.start_date if constraint else date.min


def _names(model: genai.ModelInfo) -> list[str]:
    match = model.match
    clauses = match.or_ if isinstance(match, genai.ClauseOr) else [match]
    names = [_name(clause) for clause in clauses]
    # A fine-tuned name in the entry of its base model has the base's price, which is a guess;
    # a `:` elsewhere is another vendor's spelling of a variant, as in `gpt-4o:extended`.
    tuned = model.id.startswith("ft:")
    names = [name for name in names if tuned or ":" not in name]
    return [name for name in names if not any(word in name for word in NOT_BY_TEXT)]


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


if __name__ == "__main__":
    sys.exit(main())
