"""The price book as text: one published rate a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

PLACES: Final = Decimal("1e-12")
EVERY: Final = "*"
FACTOR: Final = "factor"
ROUNDED_FACTOR: Final = "factor to $0.001"
FACTORS: Final = (FACTOR, ROUNDED_FACTOR)

PER: Final[Mapping[str, int]] = {
    "1M tokens": 1_000_000,
    "1M characters": 1_000_000,
    "1K calls": 1_000,
    "call": 1,
    "hour": 3_600,
    "minute": 60,
    "second": 1,
    "image": 1,
    "session": 1,
    FACTOR: 1,
    ROUNDED_FACTOR: 1,
}
"""How many of a meter's units a published price is for. A meter of time counts seconds."""

TOKENS: Final = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_12h",
    "output",
    "audio_input",
    "cached_audio_input",
    "audio_output",
    "image_input",
    "cached_image_input",
    "image_output",
)
"""The meters that count tokens, none of them a part of another."""


class Row(NamedTuple):
    """A line of the book, as text."""

    provider: str
    """As in `gen_ai.provider.name`."""
    model: str
    """A name, or a pattern: `#` stands for a digit, `*` at the end for anything. A factor may be
    for several, with spaces between."""
    tier: str
    """The served tier; `*` for what tools cost in any."""
    place: str
    """`regional`, or Azure's deployment type and region, like `data_zone/eastus`; "" is the
    provider's standard one. A factor may be for several, with spaces between."""
    valid_from: str
    """A UTC day; "" is from the beginning."""
    input_above: str
    """Applies to requests with more input tokens than this, whole; "" is any number."""
    meter: str
    """What is counted; `*` with a factor on all of OpenAI's rates for tokens."""
    usd: str
    """US dollars; "" where there is no published price."""
    per: str
    """`factor to $0.001` rounds what a million tokens cost half up, as meters per 1,000 do."""
    source: str

    @property
    def key(self) -> tuple[str, ...]:
        return self[:7]

    @property
    def rate(self) -> Decimal | None:
        """US dollars for one unit, to 12 places."""
        if not self.usd:
            return None
        return rounded(Decimal(self.usd) / PER[self.per])

    @property
    def day(self) -> date:
        return date.fromisoformat(self.valid_from) if self.valid_from else date.min

    @property
    def bound(self) -> int:
        return int(self.input_above) if self.input_above else -1


def rounded(usd: Decimal) -> Decimal:
    """Round to the 12 places that rates and costs are kept with, half to even."""
    return usd.quantize(PLACES, ROUND_HALF_EVEN)


def read(csv_text: str) -> list[Row]:
    """Read a book; ValueError when it is not one."""
    header, *lines = csv.reader(csv_text.splitlines())
    if tuple(header) != Row._fields:
        raise ValueError(f"a price book begins with the columns {','.join(Row._fields)}")
    return [Row(*line) for line in lines]


def as_csv(book: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Row._fields, *book])
    return text.getvalue()
