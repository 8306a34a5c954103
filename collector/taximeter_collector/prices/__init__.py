"""What a call costs: dated rate cards from the price book, and one dot product over a card."""

from taximeter_collector.prices.api_call import price_api_call
from taximeter_collector.prices.book import PriceBook, book_with, shipped_text
from taximeter_collector.prices.mending import what_helps
from taximeter_collector.prices.overrides import Overrides, OverridesError, read_overrides

__all__ = [
    "Overrides",
    "OverridesError",
    "PriceBook",
    "book_with",
    "price_api_call",
    "read_overrides",
    "shipped_text",
    "what_helps",
]
