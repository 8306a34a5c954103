from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from taximeter_collector.calls import Call, CostStatus, Usage, UsageSource
from taximeter_collector.prices import PriceBook, shipped_text
from taximeter_collector.prices.compile import changes, compiled
from taximeter_collector.prices.rows import TOKENS, Row, as_csv, read

SHIPPED = shipped_text()
ROWS = read(SHIPPED)
CALL = Call(
    ts=datetime(2026, 11, 1, 12, tzinfo=UTC),
    call_id="resp_1",
    trace_id="t1",
    span_id="s1",
    provider="openai",
    model="gpt-4o",
    service_tier="default",
    http_status=200,
    usage=Usage(input_tokens=1_000, output_tokens=500),
)
THOUSANDS = Usage(input_tokens=1_000, output_tokens=1_000)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.shipped()


# Multiplied by hand from dollars per million tokens, as genai-prices 0.2.3 quotes them from
# https://developers.openai.com/api/docs/pricing (verified there in October 2026).
@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        # 1,000 x 2.50 + 500 x 10
        ("gpt-4o", Usage(input_tokens=1_000, output_tokens=500), "0.0075"),
        # 600 x 2.50 + 400 x 1.25 + 500 x 10
        ("gpt-4o", Usage(input_tokens=1_000, cached_input_tokens=400, output_tokens=500), "0.007"),
        # 1,000 x 5 + 500 x 15: this snapshot has no rate for cached input
        (
            "gpt-4o-2024-05-13",
            Usage(input_tokens=1_000, cached_input_tokens=400, output_tokens=500),
            "0.0125",
        ),
        # 500 x 2 + 400 x 0.20 + 100 x 2.50 + 50 x 10
        (
            "gpt-6-sol",
            Usage(
                input_tokens=1_000,
                cached_input_tokens=400,
                cache_write_tokens=100,
                output_tokens=50,
            ),
            "0.00183",
        ),
        # 1,000 x 1.25: before GPT-5.6 a write costs what other input does
        ("gpt-5", Usage(input_tokens=1_000, cache_write_tokens=100), "0.00125"),
        # 100 x 1.25 + 1,000 x 10: reasoning is part of the output
        (
            "gpt-5",
            Usage(input_tokens=100, output_tokens=1_000, reasoning_tokens=900),
            "0.010125",
        ),
        # 7 x 0.02
        ("text-embedding-3-small", Usage(input_tokens=7), "0.00000014"),
        ("text-embedding-3-large", Usage(input_tokens=1_000_000), "0.13"),
        # 1 x 0.005, the smallest rate there is
        ("gpt-5-nano", Usage(input_tokens=1, cached_input_tokens=1), "0.000000005"),
        # 1,000 x 0.30 + 1,000 x 1.20
        ("ft:gpt-4o-mini-2024-07-18:acme::9xY", THOUSANDS, "0.0015"),
        # 1,000 x 3.75 + 1,000 x 15
        ("ft:gpt-4o-2024-08-06:acme:search:9xY", THOUSANDS, "0.01875"),
        # 1,000 x 2 + 1,000 x 10
        ("gpt-6.1-sol-2026-09-29", THOUSANDS, "0.012"),
        # 1,000 x 0.05 + 1,000 x 0.40
        ("gpt-5-nano-2025-08-07", THOUSANDS, "0.00045"),
    ],
)
def test_a_call_costs_its_tokens_at_the_published_rates(
    book: PriceBook, model: str, usage: Usage, usd: str
) -> None:
    priced = book.priced(replace(CALL, model=model, usage=usage))

    assert (priced.status, priced.usd, priced.reason) == (CostStatus.EXACT, Decimal(usd), "")


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        # 272,000 x 5 + 1,000 x 30
        ("gpt-5.5", Usage(input_tokens=272_000, output_tokens=1_000), "1.39"),
        # 272,001 x 10 + 1,000 x 45
        ("gpt-5.5", Usage(input_tokens=272_001, output_tokens=1_000), "2.76501"),
        # 72,001 x 10 + 200,000 x 1 + 1,000 x 45
        (
            "gpt-5.5",
            Usage(input_tokens=272_001, cached_input_tokens=200_000, output_tokens=1_000),
            "0.96501",
        ),
        # 300,000 x 2: this model has no long-context rates
        ("gpt-4.1", Usage(input_tokens=300_000), "0.6"),
    ],
)
def test_a_request_with_more_than_272000_input_tokens_costs_the_long_context_rates_as_a_whole(
    book: PriceBook, model: str, usage: Usage, usd: str
) -> None:
    assert book.priced(replace(CALL, model=model, usage=usage)).usd == Decimal(usd)


@pytest.mark.parametrize(
    ("model", "tier", "usd"),
    [
        ("gpt-5.5", "", "0.02"),  # 1,000 x 5 + 500 x 30
        ("gpt-5.5", "auto", "0.02"),
        ("gpt-5.5", "standard", "0.02"),
        ("gpt-5.5", "default", "0.02"),
        ("gpt-5.5", "flex", "0.01"),  # 1,000 x 2.50 + 500 x 15
        ("gpt-5.5", "priority", "0.05"),  # 1,000 x 12.50 + 500 x 75
        ("gpt-5.5", "fast", "0.05"),  # the name of priority since 2026-07-30
        ("gpt-5-mini", "default", "0.00125"),  # 1,000 x 0.25 + 500 x 2
        ("gpt-5-mini", "priority", "0.00225"),  # 1,000 x 0.45 + 500 x 3.60
    ],
)
def test_a_call_costs_the_rates_of_the_tier_that_served_it(
    book: PriceBook, model: str, tier: str, usd: str
) -> None:
    call = replace(CALL, model=model, service_tier=tier, request_service_tier="priority")

    assert book.priced(call).usd == Decimal(usd)


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-5.5", "0.0088"),  # 600 x 2.50 + 400 x 0.25 + 480 x 15
        ("gpt-4o", "0.00365"),  # 600 x 1.25 + 400 x 1.25 (the standard cached rate) + 480 x 5
        ("gpt-3.5-turbo-1106", "0.00196"),  # 1,000 x 1 + 480 x 2: no discount
    ],
)
def test_work_of_the_batch_api_costs_the_batch_rates_whatever_tier_its_lines_say(
    book: PriceBook, model: str, usd: str
) -> None:
    usage = Usage(input_tokens=1_000, cached_input_tokens=400, output_tokens=480)

    priced = book.priced(replace(CALL, model=model, batch=True, usage=usage))

    assert priced.usd == Decimal(usd)


@pytest.mark.parametrize(
    ("model", "first_day", "usage", "before", "since"),
    [
        # https://github.com/langfuse/langfuse/pull/7223: 10 and 40, then 2 and 8
        ("o3", datetime(2025, 6, 10, tzinfo=UTC), THOUSANDS, "0.05", "0.01"),
        # cached input 2.50, then 0.50
        (
            "o3-2025-04-16",
            datetime(2025, 6, 10, tzinfo=UTC),
            Usage(input_tokens=1_000, cached_input_tokens=1_000),
            "0.0025",
            "0.0005",
        ),
        # https://developers.openai.com/api/docs/changelog: 5 and 30, then 4 and 20
        ("gpt-5.6-sol", datetime(2026, 8, 21, tzinfo=UTC), THOUSANDS, "0.035", "0.024"),
        # 1 and 6, then 0.20 and 1.20
        ("gpt-5.6-luna", datetime(2026, 7, 30, tzinfo=UTC), THOUSANDS, "0.007", "0.0014"),
    ],
)
def test_a_price_change_applies_from_midnight_utc_of_its_day(
    book: PriceBook, model: str, first_day: datetime, usage: Usage, before: str, since: str
) -> None:
    last_moment = first_day - timedelta(microseconds=1)

    costs = [
        book.priced(replace(CALL, model=model, ts=ts, usage=usage)).usd
        for ts in (last_moment, first_day)
    ]

    assert costs == [Decimal(before), Decimal(since)]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (replace(CALL, model="gpt-7"), "no price for model 'gpt-7'"),
        (replace(CALL, model="gpt-4o-2031-01-01"), "no price for model 'gpt-4o-2031-01-01'"),
        (replace(CALL, model="gpt-6-sol-latest"), "no price for model 'gpt-6-sol-latest'"),
        (replace(CALL, model=""), "no price for model ''"),
        (
            replace(CALL, provider="azure.ai.openai", request_model="prod"),
            "no entry for deployment 'prod' of Azure in prices.yaml",
        ),
        (replace(CALL, provider=""), "no prices for ''; prices.yaml can name them"),
        (
            replace(CALL, server_address="llm.internal"),
            "no prices for 'llm.internal'; prices.yaml can name them",
        ),
        (
            replace(CALL, server_address="api.openai.com.evil.example"),
            "no prices for 'api.openai.com.evil.example'; prices.yaml can name them",
        ),
        (replace(CALL, service_tier="scale"), "no price for gpt-4o in tier 'scale'"),
        (replace(CALL, service_tier="flex"), "no price for gpt-4o in tier 'flex'"),
        (
            replace(
                CALL,
                model="gpt-5.6-luna",
                service_tier="priority",
                ts=datetime(2026, 7, 29, 23, 59, 59, tzinfo=UTC),
            ),
            "no priority price for gpt-5.6-luna before 2026-07-30",
        ),
        (
            replace(
                CALL, model="gpt-5.5-pro", service_tier="flex", usage=Usage(input_tokens=272_001)
            ),
            "no flex price for gpt-5.5-pro above 272000 tokens",
        ),
        (
            replace(CALL, model="text-embedding-3-small"),
            "no price for output tokens of text-embedding-3-small",
        ),
    ],
)
def test_a_call_without_a_published_price_is_unpriced_and_says_why(
    book: PriceBook, call: Call, reason: str
) -> None:
    priced = book.priced(call)

    assert (priced.status, priced.usd, priced.reason) == (CostStatus.UNPRICED, None, reason)


@pytest.mark.parametrize(
    "model",
    [
        # Prices of resellers, or of the base model
        *("gpt-oss-120b", "gpt-4o:extended", "ft:gpt-4-0613:acme::9xY"),
    ],
)
def test_a_model_whose_price_would_be_another_ones_is_not_in_the_book(
    book: PriceBook, model: str
) -> None:
    assert book.priced(replace(CALL, model=model)).reason == f"no price for model '{model}'"


@pytest.mark.parametrize(
    ("usage", "what"),
    [
        (Usage(input_tokens=1_000, audio_input_tokens=1), "audio input tokens"),
        (Usage(output_tokens=1_000, audio_output_tokens=1), "audio output tokens"),
        (Usage(output_tokens=1_000, image_output_tokens=1), "image output tokens"),
        (Usage(input_tokens=1, meters={"container_sessions": Decimal(1)}), "container_sessions"),
        (Usage(meters={"images.auto.1024x1024": Decimal(1)}), "images.auto.1024x1024"),
        (Usage(input_tokens=1, meters={"searches": Decimal(1)}), "searches"),
    ],
)
def test_what_has_no_rate_on_the_card_leaves_the_call_unpriced(
    book: PriceBook, usage: Usage, what: str
) -> None:
    priced = book.priced(replace(CALL, usage=usage))

    assert (priced.usd, priced.reason) == (None, f"no price for {what} of gpt-4o")


def test_a_model_that_always_searches_is_unpriced_where_its_searches_were_not_counted(
    book: PriceBook,
) -> None:
    searched = replace(CALL, model="gpt-4o-search-preview-2025-03-11")
    counted = replace(searched.usage, meters={"web_searches": Decimal(1)})

    priced = book.priced(searched)

    assert priced.usd is None
    assert priced.reason == "how often the model searched the web was not told"
    # The tokens of `CALL` and one search at 25 a thousand
    assert book.priced(replace(searched, usage=counted)).usd == Decimal("0.0325")


def test_a_meter_that_stands_at_zero_changes_nothing(book: PriceBook) -> None:
    usage = replace(CALL.usage, meters={"searches": Decimal(0)})

    assert book.priced(replace(CALL, usage=usage)).usd == Decimal("0.0075")


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (Usage(input_tokens=-1), "a negative number of tokens"),
        (Usage(output_tokens=-1), "a negative number of tokens"),
        (Usage(input_tokens=9, cached_input_tokens=-1), "a negative number of tokens"),
        (Usage(input_tokens=9, cache_write_tokens=-1), "a negative number of tokens"),
        (Usage(output_tokens=9, reasoning_tokens=-1), "a negative number of tokens"),
        (Usage(input_tokens=1_000_000_001), "more than 1000000000 tokens"),
        (Usage(output_tokens=1_000_000_001), "more than 1000000000 tokens"),
        (
            Usage(input_tokens=9, cached_input_tokens=5, cache_write_tokens=5),
            "more cached and written than input tokens",
        ),
        (Usage(output_tokens=9, reasoning_tokens=10), "more reasoning than output tokens"),
    ],
)
def test_absurd_quantities_are_never_priced(book: PriceBook, usage: Usage, reason: str) -> None:
    priced = book.priced(replace(CALL, usage=usage))

    assert (priced.usd, priced.reason) == (None, f"absurd usage: {reason}")


@pytest.mark.parametrize("source", [UsageSource.LOST, UsageSource.INVALID])
def test_usage_that_was_lost_or_invalid_is_unpriced(book: PriceBook, source: UsageSource) -> None:
    priced = book.priced(replace(CALL, usage=Usage(source=source)))

    assert (priced.status, priced.usd) == (CostStatus.UNPRICED, None)
    assert priced.reason == f"the usage was {source}"


def test_what_was_never_sent_is_free(book: PriceBook) -> None:
    priced = book.priced(replace(CALL, model="gpt-7", usage=Usage(source=UsageSource.NONE)))

    assert (priced.status, priced.usd) == (CostStatus.FREE, Decimal(0))


def test_tokens_that_were_counted_offline_give_an_estimate(book: PriceBook) -> None:
    usage = replace(CALL.usage, source=UsageSource.ESTIMATED)

    priced = book.priced(replace(CALL, usage=usage))

    assert (priced.status, priced.usd) == (CostStatus.ESTIMATED, Decimal("0.0075"))


@pytest.mark.parametrize("http_status", [400, 401, 429, 500, 503])
def test_a_failed_request_is_free(book: PriceBook, http_status: int) -> None:
    usage = Usage(source=UsageSource.LOST)

    priced = book.priced(replace(CALL, model="gpt-7", http_status=http_status, usage=usage))

    assert (priced.status, priced.usd) == (CostStatus.FREE, Decimal(0))
    assert priced.reason == "OpenAI does not bill failed requests"


@pytest.mark.parametrize("model", ["omni-moderation-latest", "text-moderation-007"])
def test_moderation_is_free_though_it_reports_no_usage(book: PriceBook, model: str) -> None:
    priced = book.priced(replace(CALL, model=model, usage=Usage(source=UsageSource.LOST)))

    assert (priced.status, priced.usd) == (CostStatus.FREE, Decimal(0))


@pytest.mark.parametrize(
    ("model", "batch", "input_tokens", "rate_card"),
    [
        ("gpt-4o", False, 1_000, "gpt-4o/default/2024-10-02"),
        ("gpt-4o-2024-08-06", True, 1_000, "gpt-4o-2024-08-06/batch"),
        ("gpt-5.5", True, 300_000, "gpt-5.5/batch/>272000"),
        ("gpt-6-sol-2026-09-01", False, 1_000, "gpt-6-sol-####-##-##/default"),
    ],
)
def test_a_cost_names_the_rate_card_and_is_its_rates_times_the_quantities(
    book: PriceBook, model: str, batch: bool, input_tokens: int, rate_card: str
) -> None:
    usage = Usage(input_tokens=input_tokens, cached_input_tokens=300, output_tokens=7)

    priced = book.priced(replace(CALL, model=model, batch=batch, usage=usage))

    assert priced.rate_card == rate_card
    assert priced.rates is not None
    assert priced.usd == (
        priced.rates.input * (input_tokens - 300)
        + priced.rates.cached_input * 300
        + priced.rates.output * 7
    )


def test_an_exact_name_wins_over_patterns_and_a_longer_pattern_over_a_shorter() -> None:
    book = PriceBook(
        as_csv(
            Row("openai", model, "default", "", "", "", "input", usd, "1M tokens", "test")
            for model, usd in [("a-*", "1"), ("a-b-*", "2"), ("a-b-##", "3"), ("a-b-07", "4")]
        )
    )
    usage = Usage(input_tokens=1_000_000)

    costs = [
        book.priced(replace(CALL, model=model, usage=usage)).usd
        for model in ("a-x", "a-b-x", "a-b-77", "a-b-07")
    ]

    assert costs == [1, 2, 3, 4]


def test_any_change_of_the_book_changes_its_version(book: PriceBook) -> None:
    changed = PriceBook(
        SHIPPED.replace("gpt-5,default,,,,input,1.25,", "gpt-5,default,,,,input,1.26,")
    )

    assert len(book.version) == 12
    assert book.version == PriceBook(SHIPPED).version != changed.version


def test_no_rate_is_negative_or_finer_than_the_twelve_places_of_a_stored_cost() -> None:
    for row in ROWS:
        assert row.source, row
        assert row.rate is None or row.rate >= 0, row
        if row.meter in TOKENS and row.usd:
            assert row.rate == Decimal(row.usd) / 1_000_000, row


def test_no_plausible_call_costs_more_than_a_stored_cost_can_hold() -> None:
    # The column has six digits before the point and a call at most 1e9 tokens each way.
    dearest: dict[tuple[str, ...], list[Decimal]] = {}
    for row in ROWS:
        if row.per == "1M tokens" and row.rate:
            dearest.setdefault(row.key[:6], []).append(row.rate)
    for key, rates in dearest.items():
        assert sum(sorted(rates)[-2:]) < Decimal("0.001"), key


def test_the_committed_book_is_what_the_sources_compile_to() -> None:
    assert as_csv(compiled()) == SHIPPED


def test_a_changed_price_is_told_by_model_with_both_rates() -> None:
    before = Row("openai", "gpt-4o", "default", "", "", "", "output", "10", "1M tokens", "test")

    assert changes([before], [before._replace(usd="9")]) == [
        "gpt-4o: -default////output/10/1M tokens, +default////output/9/1M tokens"
    ]


def test_every_compiled_card_agrees_with_genai_prices_own_calculation(book: PriceBook) -> None:
    cards: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in ROWS:
        if row.per == "1M tokens":
            cards.setdefault(row.key[:6], {})[row.meter] = row
    compiled_cards = [
        card
        for card in cards.values()
        if all(row.source.startswith("genai-prices") for row in card.values())
        and card["input"].usd
        and is_in_force(card["input"])
        and "-search-" not in card["input"].model  # whose searches their engine does not count
    ]

    differing = [
        card["input"]
        for card in compiled_cards
        if book.priced(a_call_on(card)).usd != theirs(a_call_on(card))
    ]

    assert len(compiled_cards) > 700
    assert differing == []


VERIFIED = datetime(2026, 10, 14, tzinfo=UTC)


def is_in_force(row: Row) -> bool:
    """Their tiers begin on the days on which they were read; before it ours are older."""
    later = [
        other.valid_from
        for other in ROWS
        if other.key[:4] == row.key[:4] and row.valid_from < other.valid_from < "2026-10-14"
    ]
    return row.tier == "default" or not later


def a_call_on(card: dict[str, Row]) -> Call:
    row = card["input"]
    since = datetime.fromisoformat(f"{row.valid_from or '2020-01-01'}T00:00:00+00:00")
    # Ours is the decision that a batch without a rate for cached input has no discount on it.
    cached = 0 if row.tier == "batch" and "cached_input" not in card else 100
    return replace(
        CALL,
        model=row.model.replace("#", "1").replace("*", "x"),
        ts=since if row.tier == "default" else max(since, VERIFIED),
        service_tier=row.tier,
        batch=row.tier == "batch",
        usage=Usage(
            input_tokens=int(row.input_above or 999) + 1,
            cached_input_tokens=cached,
            cache_write_tokens=50,
            output_tokens=10 if "output" in card else 0,
        ),
    )


def theirs(call: Call) -> Decimal:
    usage = TheirUsage(
        input_tokens=call.usage.input_tokens,
        cache_read_tokens=call.usage.cached_input_tokens,
        cache_write_tokens=call.usage.cache_write_tokens,
        output_tokens=call.usage.output_tokens,
    )
    price = calc_price(
        usage,
        call.model,
        provider_id="openai",
        genai_request_timestamp=call.ts,
        price_context={"processing": "batch"}
        if call.batch
        else {"service_tier": call.service_tier},
    )
    return price.total_price


@st.composite
def some_usage(draw: st.DrawFn) -> Usage:
    """Draw counts that fit together, of every kind."""
    parts = {name: draw(st.integers(0, 400_000)) for name in ("a", "b", "c", "d", "e", "f", "g")}
    cached = draw(st.integers(0, parts["a"]))
    return Usage(
        input_tokens=sum(parts[name] for name in "abcd"),
        cached_input_tokens=cached,
        cache_write_tokens=parts["b"],
        audio_input_tokens=parts["c"],
        image_input_tokens=parts["d"],
        output_tokens=sum(parts[name] for name in "efg"),
        reasoning_tokens=draw(st.integers(0, parts["e"])),
        audio_output_tokens=parts["f"],
        image_output_tokens=parts["g"],
        meters={"cached_audio_input_tokens": Decimal(0), "cached_image_input_tokens": Decimal(0)}
        | draw(st.dictionaries(st.sampled_from(METERS), st.decimals(0, 999, places=6), max_size=3)),
    )


METERS = ["seconds", "characters", "web_searches", "file_searches", "container_sessions.1g"]
MODELS = sorted({row.model.replace("#", "1").replace("*", "x") for row in ROWS})


@given(
    model=st.sampled_from(MODELS), tier=st.sampled_from(["", "flex", "batch"]), usage=some_usage()
)
def test_components_sum_to_the_cost_whatever_was_used(model: str, tier: str, usage: Usage) -> None:
    priced = PriceBook.shipped().price(
        model, CALL.ts, usage, service_tier=tier, batch=tier == "batch"
    )

    if priced.usd is None:
        assert priced.reason
        assert not priced.components
    else:
        assert sum(priced.components.values()) == priced.usd
        assert priced.usd == priced.usd.quantize(Decimal("1e-12"))
        assert all(usd >= 0 for usd in priced.components.values())
