"""The team's own prices: what `prices.yaml` may say, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from taximeter_collector.calls import Call, CostStatus, Usage
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import (
    OverridesError,
    PriceBook,
    book_with,
    price_api_call,
    read_overrides,
    shipped_text,
)
from taximeter_collector.prices.overrides import parse_overrides

CALL = Call(
    ts=datetime(2026, 11, 1, 12, tzinfo=UTC),
    call_id="resp_1",
    trace_id="t1",
    span_id="s1",
    provider="openai",
    server_address="api.openai.com",
    model="gpt-5",
    service_tier="default",
    http_status=200,
    usage=Usage(input_tokens=1_000, cached_input_tokens=400, output_tokens=500),
)


def book(text: str) -> PriceBook:
    return PriceBook(shipped_text(), parse_overrides(text, "prices.yaml"))


def cost(text: str, call: Call = CALL) -> Decimal | None:
    return book(text).priced(call).usd


def test_without_an_entry_the_published_price_stays() -> None:
    # 600 x 1.25 + 400 x 0.125 + 500 x 10
    assert cost("") == cost("currency: USD") == Decimal("0.0058")


def test_own_rates_replace_the_published_ones_and_leave_the_others() -> None:
    text = """
rates:
  - model: gpt-5*
    usd_per_million_tokens: {input: 1, output: 8}
"""
    # 600 x 1 + 400 x 0.125 + 500 x 8
    assert cost(text) == Decimal("0.00465")
    assert cost(text, replace(CALL, model="gpt-4.1")) == Decimal("0.0054")
    # 600 x 2.50 + 400 x 0.25 + 500 x 20: the entry is for the default tier
    assert cost(text, replace(CALL, service_tier="priority")) == Decimal("0.0116")


def test_own_rates_hold_from_their_first_day_to_before_their_last() -> None:
    text = """
rates:
  - model: gpt-5
    since: 2026-10-01
    until: 2026-11-01
    usd_per_million_tokens: {input: 0, cached_input: 0, output: 8}
"""
    days = [(9, 30), (10, 1), (10, 31), (11, 1)]

    costs = [cost(text, replace(CALL, ts=CALL.ts.replace(month=m, day=d))) for m, d in days]

    published, own = Decimal("0.0058"), Decimal("0.004")
    assert costs == [published, own, own, published]


def test_a_discount_is_percent_off_every_token_and_off_no_tool() -> None:
    text = "discounts: [{percent: 12.5, model: 'gpt-5*'}]"
    searched = replace(CALL.usage, meters={"web_searches": Decimal(1)})

    # 600 x 1.09375 + 400 x 0.109375 + 500 x 8.75
    assert cost(text) == Decimal("0.005075")
    assert cost(text, replace(CALL, usage=searched)) == Decimal("0.015075")
    assert cost(text, replace(CALL, model="gpt-4.1")) == Decimal("0.0054")


def test_a_discounted_rate_is_rounded_once_to_twelve_places() -> None:
    # 1.25 x (1 - 0.33333) = 0.8333375 per million
    usage = Usage(input_tokens=3)

    priced = book("discounts: [{percent: 33.333}]").priced(replace(CALL, usage=usage))

    # 0.00000125 x 0.66667 = 0.0000008333375, half-even 0.000000833338 (twelve places), times 3
    assert priced.usd == Decimal("0.000002500014")
    assert priced.rate_card == "gpt-5/default+prices.yaml"


def test_a_gateway_that_openai_bills_costs_what_openai_costs() -> None:
    call = replace(CALL, server_address="llm.internal")

    assert cost("", call) is None
    assert cost("hosts: {llm.internal: openai}", call) == Decimal("0.0058")


def test_a_compatible_server_costs_its_own_rates_and_nothing_else() -> None:
    text = """
rates:
  - provider: vllm.internal
    model: llama-*
    usd_per_million_tokens: {input: 0.10, output: 0.30}
    usd_per_unit: {seconds: 0.0002}
"""
    call = replace(CALL, server_address="vllm.internal", model="llama-4-70b")

    # 1,000 x 0.10 (no rate for cached input) + 500 x 0.30
    assert cost(text, call) == Decimal("0.00025")
    heard = replace(call, usage=Usage(meters={"seconds": Decimal(10)}))
    assert cost(text, heard) == Decimal("0.002")
    other = book(text).priced(replace(call, model="gpt-5"))
    assert other.status is CostStatus.UNPRICED
    assert other.reason == "no price for model 'gpt-5' at 'vllm.internal' in prices.yaml"


def test_an_azure_deployment_is_priced_by_what_it_is() -> None:
    text = """
deployments:
  prod: {type: global standard, model: gpt-4o-2024-08-06}
  eu: {type: data zone, region: Sweden Central}
"""
    azure = replace(
        CALL,
        provider="azure.ai.openai",
        server_address="acme.openai.azure.com",
        model="gpt-4o-2024-08-06",
    )

    # 600 x 2.50 + 400 x 1.25 + 500 x 10, and 10 % more
    assert cost(text, replace(azure, request_model="prod", model="")) == Decimal("0.007")
    assert cost(text, replace(azure, request_model="eu")) == Decimal("0.0077")
    assert cost(text, replace(azure, request_model="dev")) is None


def test_api_calls_are_priced_by_the_same_book() -> None:
    call = {
        "endpoint": "chat.completions",
        "model": "gpt-5",
        "timestamp": "2026-11-01",
        "base_url": "https://llm.internal/v1",
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 500},
    }

    assert price_api_call(call, book("hosts: {llm.internal: openai}")).usd == Decimal("0.00625")


def test_the_version_of_a_book_changes_with_the_overrides() -> None:
    versions = {book(text).version for text in ("", "currency: USD", "discounts: [{percent: 1}]")}

    assert len(versions) == 3


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    assert not read_overrides(tmp_path / "prices.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("currency: EUR", ":1: currency: 'EUR': only USD; nothing is converted"),
        ("prices: []", ":1: prices: give some of currency, hosts, rates, discounts, deployments"),
        ("- 1", ":1: "),
        ("rates:\n  - model: a\n    usd_per_million_tokens: {inptu: 1}", ":3: usd_per_million"),
        ("rates:\n  - {usd_per_million_tokens: {input: 1}}", ":2: model: is missing; give model"),
        (
            "rates:\n  - model: a\n    usd_per_million_tokens:\n      input: -1",
            ":4: usd_per_million_tokens.input: '-1': ",
        ),
        (
            "rates:\n  - model: a\n    usd_per_million_tokens:\n      input: NaN",
            ":4: usd_per_million_tokens.input: 'NaN': ",
        ),
        ("rates:\n  - model: a\n    since: soon", ":3: since: 'soon': "),
        (
            "rates:\n  - model: a\n    price: 1",
            ":3: price: not a field of a rate; give some of model, provider, tier, since, until",
        ),
        ("discounts:\n  - percent: 101", ":2: percent: '101': "),
        ("hosts:\n  llm.internal: azure", ":2: "),
        (
            "deployments:\n  prod:\n    type: provisioned",
            ":3: type: 'provisioned': give global, data zone or regional",
        ),
        (
            "deployments:\n  prod:\n    type: data zone",
            ":2: region: '': give the region: the price of 'data zone' depends on it",
        ),
        ("discounts:\n  - percent: 1\n    percent: 2", ":3: percent: given twice; give it once"),
        (
            "hosts: &h\n  a: openai\ndeployments:\n  <<: *h",
            ":4: <<: merges are not read; write out what it stands for",
        ),
        ("rates: {model: a}", ":1: "),
        ("{", ":1: not YAML"),
    ],
)
def test_a_mistake_is_refused_with_line_field_and_form(text: str, message: str) -> None:
    with pytest.raises(OverridesError) as refused:
        parse_overrides(text, "prices.yaml")

    assert f"prices.yaml{message}" in str(refused.value)


def test_the_example_of_the_guide_is_understood() -> None:
    guide = (Path(__file__).parents[2] / "docs/pricing.md").read_text()
    text = guide.partition("```yaml\n")[2].partition("```")[0]

    read = parse_overrides(text, "docs/pricing.md")

    assert (len(read.own), len(read.discounts)) == (3, 1)
    assert read.hosts == {"llm.internal": "openai"}
    assert read.deployments["prod"].place == "data_zone/swedencentral"


def test_an_edit_counts_at_once_and_a_broken_one_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    prices = LiveFile(path, book_with)
    costs = [prices.current().priced(CALL).usd]
    for text in ("discounts: [{percent: 50}]", "discounts: [{percent: 101}]"):
        path.write_text(text)
        costs.append(prices.current().priced(CALL).usd)

    assert costs == [Decimal("0.0058"), Decimal("0.0029"), Decimal("0.0029")]
    assert "percent: '101'" in prices.problem
