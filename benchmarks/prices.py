"""Time to price a call, ours and genai-prices' own, in one run: python benchmarks/prices.py"""

from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from timeit import Timer

from genai_prices import Usage as TheirUsage
from genai_prices import calc_price

from taximeter_collector.calls import Call, Usage
from taximeter_collector.prices import PriceBook, shipped_text

ROUNDS = 15
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CALL = Call(
    ts=NOW,
    call_id="c",
    trace_id="t",
    span_id="s",
    provider="openai",
    server_address="api.openai.com",
    model="gpt-5.5",
    service_tier="default",
    http_status=200,
    usage=Usage(
        input_tokens=1_000, cached_input_tokens=400, output_tokens=500, reasoning_tokens=300
    ),
)
THEIRS = TheirUsage(input_tokens=1_000, cache_read_tokens=400, output_tokens=500)


def main() -> None:
    book = PriceBook.shipped()
    text = shipped_text()
    plain = replace(CALL, usage=Usage(input_tokens=1_000, output_tokens=500))
    ours = Timer(lambda: book.priced(CALL))
    without_cache = Timer(lambda: book.priced(plain))
    cold = Timer(lambda: book.cards("openai", CALL.model, "default", "", NOW.date()))
    loading = Timer(lambda: PriceBook(text))
    theirs = Timer(
        lambda: calc_price(THEIRS, "gpt-5.5", provider_id="openai", genai_request_timestamp=NOW)
    )
    rows = [
        ("a call, warm card", ours, 50_000),
        ("the same without cached input", without_cache, 50_000),
        ("finding a card", cold, 20_000),
        ("genai-prices, the same call", theirs, 500),
        ("loading the book", loading, 3),
    ]
    for name, timer, number in rows:
        seconds = median(timer.repeat(ROUNDS, number)) / number
        print(f"{name:32}{seconds * 1e6:12.2f} us")


if __name__ == "__main__":
    main()
