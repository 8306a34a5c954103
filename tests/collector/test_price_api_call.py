"""Calls as OpenAI answers them, each against a price that was published and multiplied by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from taximeter_collector.calls import CostStatus
from taximeter_collector.prices import PriceBook, price_api_call, shipped_text

NOW = "2026-11-01T12:00:00Z"
CHAT = {
    "provider": "openai",
    "endpoint": "chat.completions",
    "model": "gpt-5-2025-08-07",
    "timestamp": NOW,
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
}
RESPONSE = {
    **CHAT,
    "endpoint": "responses",
    "usage": {"input_tokens": 1_000, "output_tokens": 500, "total_tokens": 1_500},
    "output_items": [],
}
SEARCH = {"type": "web_search_call", "action": {"type": "search", "query": "x"}}
OPEN = {"type": "web_search_call", "action": {"type": "open_page"}}
INTERPRETER = {"type": "code_interpreter_call", "container_id": "cntr_1"}


def chat(**changes: Any) -> dict[str, Any]:
    return {**CHAT, **changes}


def response(**changes: Any) -> dict[str, Any]:
    return {**RESPONSE, **changes}


def azure(model: str, kind: str, region: str, **changes: Any) -> dict[str, Any]:
    return chat(
        provider="azure",
        model=model,
        azure={"deployment": "prod", "deployment_type": kind, "region": region},
        **changes,
    )


def tokens(asked: int, answered: int, **details: Any) -> dict[str, Any]:
    return {"prompt_tokens": asked, "completion_tokens": answered, "prompt_tokens_details": details}


# https://developers.openai.com/api/docs/pricing as of October 2026, where nothing else is said;
# amounts are US dollars per million tokens.
TEXT = [
    # 1,000 x 1.25 + 500 x 10
    (chat(), "0.00625"),
    (chat(endpoint="/v1/chat/completions"), "0.00625"),
    (chat(endpoint="chat.completions.create"), "0.00625"),
    (chat(base_url="https://api.openai.com/v1"), "0.00625"),
    # 600 x 1.25 + 400 x 0.125 + 500 x 10; reasoning is part of the output
    (
        chat(
            usage={
                **tokens(1_000, 500, cached_tokens=400),
                "completion_tokens_details": {"reasoning_tokens": 300},
            }
        ),
        "0.0058",
    ),
    # Details that are absent or null are none
    (chat(usage={"prompt_tokens": 1_000, "completion_tokens": 0}), "0.00125"),
    (
        chat(usage={"prompt_tokens": 0, "completion_tokens": 500, "prompt_tokens_details": None}),
        "0.005",
    ),
    (chat(usage={"prompt_tokens": 0, "completion_tokens": 0}), "0"),
    # 1,000 x 0.50 + 500 x 1.50
    (chat(model="gpt-3.5-turbo-0125"), "0.00125"),
    # 8 x 0.02
    (
        chat(
            endpoint="embeddings",
            model="text-embedding-3-small",
            usage={"prompt_tokens": 8, "total_tokens": 8},
        ),
        "0.00000016",
    ),
    # Images in the prompt of a text model are tokens of input
    (chat(usage=tokens(1_000, 500, image_tokens=700)), "0.00625"),
    # 500 x 2 + 400 x 0.20 + 60 x 2.50 + 40 x 5 (kept 12 hours, at twice the price) + 50 x 10
    (
        response(
            model="gpt-6-sol",
            usage={
                "input_tokens": 1_000,
                "input_tokens_details": {
                    "cached_tokens": 400,
                    "cache_write_tokens": 100,
                    "cache_write_tokens_details": {"ttl_30m": 60, "ttl_12h": 40},
                },
                "output_tokens": 50,
            },
        ),
        "0.00193",
    ),
    # 272,000 x 2 + 10 x 10, then 272,001 x 4 + 10 x 15
    (chat(model="gpt-6-sol", usage=tokens(272_000, 10)), "0.5441"),
    (chat(model="gpt-6-sol", usage=tokens(272_001, 10)), "1.088154"),
    # 272,001 x 2: gpt-4.1 has no long-context rates
    (chat(model="gpt-4.1", usage=tokens(272_001, 0)), "0.544002"),
]

TIERS = [
    # 1,000 x 2.50 + 500 x 20
    (chat(service_tier="priority"), "0.0125"),
    (chat(service_tier="fast"), "0.0125"),
    # A priority request that was served by default costs the default rates
    (chat(service_tier="default", requested_tier="priority"), "0.00625"),
    # 1,000 x 0.625 + 500 x 5, also long before genai-prices' first day of the tier
    (chat(service_tier="flex", timestamp="2025-09-01T00:00:00Z"), "0.003125"),
    (chat(batch=True, service_tier="default", timestamp="2025-09-01T00:00:00Z"), "0.003125"),
    # 1,000 x 4.25 + 500 x 17
    (
        chat(model="gpt-4o-2024-08-06", service_tier="priority", timestamp="2025-09-01"),
        "0.01275",
    ),
    # 600 x 1 + 400 x 1 + 500 x 4: the batch page lists no rate for cached input of gpt-4.1
    (chat(model="gpt-4.1", batch=True, usage=tokens(1_000, 500, cached_tokens=400)), "0.003"),
    # Half of what o3 cost before its cut, 10 and 40, and of its cached 2.50
    (
        chat(
            model="o3",
            service_tier="flex",
            timestamp="2025-06-09T23:59:59Z",
            usage=tokens(1_000, 500, cached_tokens=400),
        ),
        "0.0135",
    ),
    # 1,000 x 1 + 500 x 2: no discount
    (chat(model="gpt-3.5-turbo-1106", batch=True), "0.002"),
    # 1,000,000 x 0.065
    (
        chat(
            endpoint="embeddings",
            model="text-embedding-3-large",
            batch=True,
            usage={"prompt_tokens": 1_000_000},
        ),
        "0.065",
    ),
    # 1,000 x 12 + 500 x 60
    (chat(model="gpt-6.1-sol", service_tier="ultrafast"), "0.042"),
    # 272,001 x 60 of batch's long context is 30, 500 x 135
    (chat(model="gpt-5.5-pro", batch=True, usage=tokens(272_001, 500)), "8.22753"),
]

# The meters of https://prices.azure.com/api/retail/prices on 2026-08-11
AZURE = [
    # 1,000 x 1.25 + 500 x 10
    (azure("gpt-5-2025-08-07", "GlobalStandard", "swedencentral"), "0.00625"),
    (azure("gpt-5-2025-08-07", "global standard", ""), "0.00625"),
    # 600 x 0.165 + 400 x 0.083 + 500 x 0.66: a meter per 1,000 tokens has six places
    (
        azure(
            "gpt-4o-mini-2024-07-18",
            "DataZoneStandard",
            "East US",
            usage=tokens(1_000, 500, cached_tokens=400),
        ),
        "0.0004622",
    ),
    # 1,000 x 3 + 500 x 18 in Asia, 1,000 x 1.71875 + 500 x 13.75 for the government
    (azure("gpt-5.4", "DataZoneStandard", "japaneast"), "0.012"),
    (azure("gpt-5.1", "DataZoneStandard", "usgovvirginia"), "0.00859375"),
    # 272,001 x 5.50 + 10 x 24.75
    (azure("gpt-5.4", "DataZoneStandard", "eastus", usage=tokens(272_001, 10)), "1.496253"),
    # 600 x 3.025 + 400 x 1.513 + 500 x 12.10
    (
        azure(
            "gpt-4o-2024-11-20",
            "Standard",
            "swedencentral",
            usage=tokens(1_000, 500, cached_tokens=400),
        ),
        "0.0084702",
    ),
    # 1,000 x 1.25 + 500 x 7.50
    (azure("gpt-5.4", "GlobalBatch", "eastus"), "0.005"),
]

# The last moment of the old price and the first of the new one, in UTC.
HISTORY = [
    # https://github.com/langfuse/langfuse/pull/7223: 10 and 40, cached 2.50; then 2, 8 and 0.50
    (chat(model="o3", timestamp="2025-06-09T23:59:59.999Z"), "0.03"),
    (chat(model="o3", timestamp="2025-06-10T00:00:00Z"), "0.006"),
    (
        chat(model="o3", timestamp="2025-06-09", usage=tokens(1_000, 0, cached_tokens=1_000)),
        "0.0025",
    ),
    # https://openai.com/index/openai-o1-mini-advancing-cost-efficient-reasoning/: 3 and 12; the
    # page of o3-mini's day: 1.10 and 4.40
    (chat(model="o1-mini-2024-09-12", timestamp="2025-01-30T23:59:59Z"), "0.009"),
    (chat(model="o1-mini-2024-09-12", timestamp="2025-01-31T00:00:00Z"), "0.0033"),
    # The alias moved from gpt-4o-2024-05-13 (5 and 15) to gpt-4o-2024-08-06 (2.50 and 10)
    (chat(model="gpt-4o", timestamp="2024-10-01T23:59:59Z"), "0.0125"),
    (chat(model="gpt-4o", timestamp="2024-10-02T00:00:00Z"), "0.0075"),
    (chat(model="gpt-4o-2024-05-13", timestamp="2026-01-01T00:00:00Z"), "0.0125"),
    # 2 and 2, then 1.50 and 2, then 0.50 and 1.50
    (chat(model="gpt-3.5-turbo", timestamp="2023-06-12T23:59:59Z"), "0.003"),
    (chat(model="gpt-3.5-turbo", timestamp="2023-06-13T00:00:00Z"), "0.0025"),
    (chat(model="gpt-3.5-turbo", timestamp="2024-02-16T00:00:00Z"), "0.00125"),
    # 2026-08-21T00:30+02:00 is still the 20th in UTC: 5 and 30
    (chat(model="gpt-5.6-sol", timestamp="2026-08-21T00:30:00+02:00"), "0.02"),
    (chat(model="gpt-5.6-sol", timestamp="2026-08-21T00:30:00Z"), "0.014"),
]

FINE_TUNED = [
    # 600 x 3 + 400 x 0.75 + 500 x 12
    (
        chat(model="ft:gpt-4.1-2025-04-14:acme::9xY", usage=tokens(1_000, 500, cached_tokens=400)),
        "0.0081",
    ),
    # 1,000 x 0.80 + 500 x 3.20, and half
    (chat(model="ft:gpt-4.1-mini-2025-04-14:acme:bot:9xY"), "0.0024"),
    (chat(model="ft:gpt-4.1-mini-2025-04-14:acme:bot:9xY", batch=True), "0.0012"),
    # 1,000 x 0.20 + 500 x 0.80
    (chat(model="ft:gpt-4.1-nano-2025-04-14:acme::9xY"), "0.0006"),
    # 600 x 3.75 + 400 x 1.875 + 500 x 15
    (
        chat(model="ft:gpt-4o-2024-08-06:acme::9xY", usage=tokens(1_000, 500, cached_tokens=400)),
        "0.0105",
    ),
    # 1,000 x 4 + 500 x 16
    (chat(model="ft:o4-mini-2025-04-16:acme::9xY"), "0.012"),
    # 1,000 x 12 + 500 x 12
    (chat(endpoint="completions", model="ft:davinci-002:acme::9xY"), "0.018"),
]

AUDIO = [
    # 1,234 characters at 15 a million
    (
        chat(
            endpoint="audio.speech",
            model="tts-1",
            usage=None,
            request={"input_characters": 1_234},
        ),
        "0.01851",
    ),
    (
        chat(
            endpoint="audio.speech",
            model="tts-1-hd-1106",
            usage=None,
            request={"input_characters": 1_000},
        ),
        "0.03",
    ),
    # 95 seconds at 0.006 a minute
    (
        chat(
            endpoint="audio.transcriptions",
            model="whisper-1",
            usage={"type": "duration", "seconds": 95},
        ),
        "0.0095",
    ),
    # 100 x 2.50 + 900 x 6 + 200 x 10
    (
        chat(
            endpoint="audio.transcriptions",
            model="gpt-4o-transcribe",
            usage={
                "type": "tokens",
                "input_tokens": 1_000,
                "input_token_details": {"text_tokens": 100, "audio_tokens": 900},
                "output_tokens": 200,
            },
        ),
        "0.00765",
    ),
    # 20 x 0.60 + 600 x 12
    (
        chat(
            endpoint="audio.speech",
            model="gpt-4o-mini-tts",
            usage={"input_tokens": 20, "output_tokens": 600},
        ),
        "0.007212",
    ),
    # 100 x 2.50 + 900 x 40 + 50 x 10 + 450 x 80
    (
        chat(
            model="gpt-4o-audio-preview-2025-06-03",
            usage={
                **tokens(1_000, 500, audio_tokens=900),
                "completion_tokens_details": {"audio_tokens": 450},
            },
        ),
        "0.07275",
    ),
    # The first snapshot: 900 x 100 + 100 x 2.50 + 450 x 200 + 50 x 10
    (
        chat(
            model="gpt-4o-audio-preview-2024-10-01",
            usage={
                **tokens(1_000, 500, audio_tokens=900),
                "completion_tokens_details": {"audio_tokens": 450},
            },
        ),
        "0.18075",
    ),
    # 300 x 4 + 100 x 0.40 + 400 x 32 + 200 x 0.40 + 100 x 16 + 200 x 64
    (
        chat(
            endpoint="realtime",
            model="gpt-realtime-2025-08-28",
            usage={
                "input_tokens": 1_000,
                "input_token_details": {
                    "text_tokens": 400,
                    "audio_tokens": 600,
                    "cached_tokens": 300,
                    "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 200},
                },
                "output_tokens": 300,
                "output_token_details": {"text_tokens": 100, "audio_tokens": 200},
            },
        ),
        "0.02852",
    ),
]

PICTURES = [
    # https://platform.openai.com/docs/pricing
    (
        chat(
            endpoint="images.generate",
            model="dall-e-3",
            usage=None,
            request={"size": "1024x1792", "quality": "hd", "n": 1},
        ),
        "0.12",
    ),
    (chat(endpoint="images.generations", model="dall-e-3", usage=None), "0.04"),
    (
        chat(
            endpoint="images.create_variation",
            model="dall-e-2",
            usage=None,
            request={"size": "256x256", "n": 3},
        ),
        "0.048",
    ),
    # 50 x 5 + 1,056 x 40
    (
        chat(
            endpoint="images.generate",
            model="gpt-image-1",
            usage={"input_tokens": 50, "output_tokens": 1_056},
        ),
        "0.04249",
    ),
    # 50 x 5 + 300 x 10 + 1,056 x 40
    (
        chat(
            endpoint="images.edit",
            model="gpt-image-1",
            usage={
                "input_tokens": 350,
                "input_tokens_details": {"text_tokens": 50, "image_tokens": 300},
                "output_tokens": 1_056,
            },
        ),
        "0.04549",
    ),
    # 50 x 5 + 100 x 10 + 1,056 x 32, and half of it
    *(
        (
            chat(
                endpoint="images.generate",
                model="gpt-image-1.5",
                batch=batch,
                usage={
                    "input_tokens": 50,
                    "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
                    "output_tokens": 1_156,
                    "output_tokens_details": {"text_tokens": 100, "image_tokens": 1_056},
                },
            ),
            usd,
        )
        for batch, usd in ((False, "0.035042"), (True, "0.017521"))
    ),
    # 8 seconds at 0.10, 12 at 0.50
    (
        chat(
            endpoint="videos",
            model="sora-2",
            usage=None,
            request={"size": "720x1280", "seconds": "8"},
        ),
        "0.8",
    ),
    (
        chat(
            endpoint="videos",
            model="sora-2-pro",
            usage=None,
            request={"size": "1792x1024", "seconds": 12},
        ),
        "6",
    ),
]

# Beside the tokens, 0.00625.
TOOLS = [
    # 2 searches at 10 a thousand; opening a page is free
    (response(tools=[{"type": "web_search"}], output_items=[SEARCH, OPEN, SEARCH]), "0.02625"),
    # What the answer counts itself is what is billed
    (
        response(output_items=[SEARCH, SEARCH], tool_usage={"web_search": {"num_requests": 3}}),
        "0.03625",
    ),
    # The preview on a model that reasons costs 10 a thousand; on gpt-4.1 (1,000 x 2 + 500 x 8) 25
    (
        response(tools=[{"type": "web_search_preview"}], output_items=[SEARCH]),
        "0.01625",
    ),
    (
        response(
            model="gpt-4.1-2025-04-14",
            tools=[{"type": "web_search_preview_2025_03_11"}],
            output_items=[SEARCH],
        ),
        "0.031",
    ),
    # 1,000 x 0.40 + 500 x 1.60 + 0.01 + 8,000 x 0.40
    (
        response(
            model="gpt-4.1-mini-2025-04-14",
            tools=[{"type": "web_search"}],
            output_items=[SEARCH],
        ),
        "0.0144",
    ),
    # One search an answer: 1,000 x 2.50 + 500 x 10 + 0.025, and 1,000 x 1.25 + 500 x 10 + 0.01
    (chat(model="gpt-4o-search-preview-2025-03-11"), "0.0325"),
    (chat(model="gpt-5-search-api-2025-10-14"), "0.01625"),
    # 2 at 2.50 a thousand
    (
        response(
            tools=[{"type": "file_search"}],
            output_items=[{"type": "file_search_call"}, {"type": "file_search_call"}],
        ),
        "0.01125",
    ),
    # One container, however often it ran
    (
        response(
            tools=[{"type": "code_interpreter", "container": {"type": "auto"}}],
            output_items=[INTERPRETER, INTERPRETER],
        ),
        "0.03625",
    ),
    (
        response(
            tools=[
                {
                    "type": "code_interpreter",
                    "container": {"type": "auto", "memory_limit": "64g"},
                }
            ],
            output_items=[INTERPRETER],
        ),
        "1.92625",
    ),
    (response(output_items=[{"type": "function_call"}, {"type": "message"}]), "0.00625"),
    # 100 x 5 + 272 x 40 of gpt-image-1
    (
        response(
            tools=[{"type": "image_generation", "model": "gpt-image-1"}],
            output_items=[{"type": "image_generation_call"}],
            tool_usage={"image_gen": {"input_tokens": 100, "output_tokens": 272}},
        ),
        "0.01763",
    ),
    (
        {
            "endpoint": "containers",
            "timestamp": NOW,
            "request": {"memory_limit": "16g"},
            "usage": None,
        },
        "0.48",
    ),
]

PLACES = [
    # 1,000 x 2.50 + 500 x 15, and 10 % more
    (chat(model="gpt-5.4", base_url="https://api.openai.com/v1"), "0.01"),
    (chat(model="gpt-5.4", base_url="https://eu.api.openai.com/v1"), "0.011"),
    # Released before 2026-03-05
    (chat(base_url="https://us.api.openai.com/v1"), "0.00625"),
]


@pytest.mark.parametrize(
    ("call", "usd"),
    [*TEXT, *TIERS, *AZURE, *HISTORY, *FINE_TUNED, *AUDIO, *PICTURES, *TOOLS, *PLACES],
)
def test_a_call_costs_what_was_published(call: Mapping[str, Any], usd: str) -> None:
    priced = price_api_call(call)

    assert (priced.status, priced.usd, priced.reason) == (CostStatus.EXACT, Decimal(usd), "")
    assert sum(priced.components.values()) == priced.usd
    assert priced.rate_card


@pytest.mark.parametrize(
    ("call", "components"),
    [
        (
            response(
                tools=[{"type": "web_search"}, {"type": "file_search"}],
                output_items=[SEARCH, {"type": "file_search_call"}],
                usage={
                    "input_tokens": 1_000,
                    "input_tokens_details": {"cached_tokens": 400},
                    "output_tokens": 500,
                },
            ),
            {
                "input": "0.00075",
                "cached_input": "0.00005",
                "output": "0.005",
                "web_searches": "0.01",
                "file_searches": "0.0025",
            },
        ),
        (AUDIO[-3][0], {"input": "0.00025", "audio_input": "0.036"}),
        (PICTURES[4][0], {"input": "0.00025", "image_input": "0.003", "image_output": "0.04224"}),
    ],
)
def test_a_cost_is_told_by_what_was_billed(
    call: Mapping[str, Any], components: dict[str, str]
) -> None:
    priced = price_api_call(call)

    assert (
        priced.components.items()
        >= {name: Decimal(usd) for name, usd in components.items()}.items()
    )


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (chat(endpoint="moderations", model="omni-moderation-latest", usage=None), "this model"),
        (chat(http_status=429, usage=None, service_tier="flex"), "failed requests"),
        (chat(http_status=500, usage=None, model="gpt-9"), "failed requests"),
    ],
)
def test_what_openai_does_not_bill_is_free(call: Mapping[str, Any], why: str) -> None:
    priced = price_api_call(call)

    assert (priced.status, priced.usd) == (CostStatus.FREE, Decimal(0))
    assert priced.reason == f"OpenAI does not bill {why}"


UNKNOWN = [
    (chat(model="gpt-9"), "no price for model 'gpt-9'"),
    (chat(model=None), "no price for model ''"),
    (chat(service_tier="scale"), "no price for gpt-5-2025-08-07 in tier 'scale'"),
    (chat(usage=None, stream=True, finished=False), "the usage was lost"),
    (chat(usage={}), "the usage was lost"),
    (chat(usage={"completion_tokens": 5}), "usage has output tokens but no input tokens"),
    (chat(usage=[1]), "usage is [1], not an object"),
    (chat(usage={"prompt_tokens": "7"}), "prompt_tokens is '7', not a whole number"),
    (chat(usage={"prompt_tokens": True}), "prompt_tokens is True, not a whole number"),
    (chat(usage={"prompt_tokens": 7.5}), "prompt_tokens is 7.5, not a whole number"),
    (chat(usage={"prompt_tokens": float("nan")}), "prompt_tokens is nan, not a whole number"),
    (chat(usage=tokens(-1, 0)), "absurd usage: a negative number of tokens"),
    (chat(usage=tokens(9, 0, cached_tokens=10)), "more cached and written than input tokens"),
    (
        chat(usage={**tokens(9, 1), "completion_tokens_details": {"reasoning_tokens": 2}}),
        "more reasoning than output tokens",
    ),
    (chat(usage=tokens(9, 1, audio_tokens=10)), "absurd usage: a part is larger than the whole"),
    (chat(timestamp="yesterday"), "timestamp is 'yesterday', not a moment"),
    (chat(timestamp=None), "timestamp is None, not a moment"),
    (chat(timestamp=1e30), "timestamp is 1e+30, not a moment"),
    (chat(batch="yes"), "batch is 'yes', not true or false"),
    (chat(base_url="http://localhost:8000/v1"), "no prices for 'localhost'"),
    (chat(base_url="https://gateway.example/openai"), "no prices for 'gateway.example'"),
    (chat(provider="mistral"), "no prices for 'mistral'"),
    (
        chat(provider="azure", azure={"deployment": "prod"}),
        "no entry for deployment 'prod' of Azure in prices.yaml",
    ),
    (azure("gpt-5.4", "DataZoneStandard", ""), "no price for model 'gpt-5.4' (data_zone)"),
    (azure("gpt-5.4", "Standard", "eastus"), "no price for model 'gpt-5.4' (regional/eastus)"),
    (azure("gpt-5.6-sol", "GlobalStandard", "eastus"), "no price for model 'gpt-5.6-sol' (global)"),
    (
        chat(provider="azure", azure={"deployment": "x", "deployment_type": "ProvisionedManaged"}),
        "azure.deployment_type is 'ProvisionedManaged', which is not billed by the token",
    ),
    # Which of the cached tokens were audio, which costs eighty times as much?
    (
        chat(model="gpt-realtime", usage=tokens(1_000, 0, cached_tokens=300, audio_tokens=600)),
        "which of the cached tokens were text is not known",
    ),
    # Dearer than the rate of another day, or of another snapshot
    (chat(model="gpt-4o-search-preview", timestamp="2025-05-01"), "no price for web_searches"),
    (chat(model="ft:gpt-4-0613:acme::9xY"), "no price for model"),
    (chat(model="gpt-5.4", usage=tokens(272_001, 0), service_tier="priority"), "no priority price"),
    (
        chat(endpoint="threads.runs", tools=[{"type": "code_interpreter"}]),
        "output_items is missing: how often code_interpreter ran is not known",
    ),
    (chat(endpoint="audio.speech", model="tts-1", usage=None), "request.input_characters is None"),
    (
        chat(
            endpoint="audio.speech",
            model="gpt-4o-mini-tts",
            usage=None,
            request={"input_characters": 9},
        ),
        "the usage was lost",
    ),
    (chat(endpoint="audio.transcriptions", model="whisper-1", usage=None), "the usage was lost"),
    (
        chat(
            endpoint="images.generate",
            model="dall-e-3",
            usage=None,
            request={"quality": "auto", "size": "1024x1024"},
        ),
        "no price for images.auto.1024x1024",
    ),
    (
        chat(
            endpoint="images.edit",
            model="gpt-image-1",
            usage={"input_tokens": 350, "output_tokens": 10},
        ),
        "usage.input_tokens_details is missing",
    ),
    (
        response(output_items=None, tools=[{"type": "web_search"}]),
        "output_items is missing: how often web_search ran is not known",
    ),
    (
        response(
            tools=[{"type": "code_interpreter", "container": "cntr_1"}],
            output_items=[INTERPRETER],
        ),
        "the memory of the container 'cntr_1' is not known",
    ),
    (
        response(output_items=[{"type": "image_generation_call"}]),
        "tool_usage.image_gen is missing",
    ),
    (
        response(output_items=[{"type": "teleport_call"}]),
        "no price for the tool 'teleport_call' in output_items",
    ),
    (response(output_items="none"), "output_items is 'none', not a list of objects"),
    (chat(model="gpt-image-2", base_url="https://eu.api.openai.com/v1"), "(regional)"),
]


@pytest.mark.parametrize(("call", "reason"), UNKNOWN)
def test_what_is_not_known_is_unpriced_and_says_why(call: Mapping[str, Any], reason: str) -> None:
    priced = price_api_call(call)

    assert (priced.status, priced.usd) == (CostStatus.UNPRICED, None)
    assert reason in priced.reason


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize("value", [None, "", 0, -1, [], {}, "x", 1e400, b"x", object()])
def test_no_value_of_a_field_raises(name: str, value: Any) -> None:
    priced = price_api_call({**CHAT, name: value})

    assert (priced.usd is None) == (priced.status is CostStatus.UNPRICED)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-06-09T23:30:00Z",
        "2025-06-10T01:30:00+02:00",
        "2025-06-09T23:30:00",
        1_749_511_800,
        1_749_511_800.5,
        datetime(2025, 6, 9, 23, 30, tzinfo=UTC),
        datetime(2025, 6, 10, 1, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(2025, 6, 9, 23, 30),  # noqa: DTZ001 - naive is taken as UTC
    ],
)
def test_a_moment_may_be_given_in_any_usual_form(timestamp: Any) -> None:
    assert price_api_call(chat(model="o3", timestamp=timestamp)).usd == Decimal("0.03")


def test_a_book_prices_values() -> None:
    from taximeter_collector.calls import Usage

    priced = PriceBook.shipped().price(
        model="gpt-5",
        moment=datetime(2026, 11, 1, tzinfo=UTC),
        usage=Usage(input_tokens=1_000, output_tokens=500),
        batch=True,
    )

    assert priced.usd == Decimal("0.003125")


def test_the_order_of_calls_changes_nothing() -> None:
    calls = [call for call, _ in (*TEXT, *TIERS, *AZURE, *HISTORY, *TOOLS)]

    forwards, backwards = PriceBook(shipped_text()), PriceBook(shipped_text())

    there = [price_api_call(call, forwards) for call in calls]
    back = [price_api_call(call, backwards) for call in reversed(calls)]
    assert there == back[::-1]


def test_the_examples_of_the_guide_cost_what_it_says() -> None:
    guide = (Path(__file__).parents[2] / "docs/pricing.md").read_text()
    calls = guide.partition("```json\n")[2].partition("```")[0].splitlines()
    rows = re.findall(r"^\| \d+ \|.*\| ([\d.]+) \|$", guide, re.MULTILINE)

    assert len(calls) == len(rows) == 10
    for call, usd in zip(calls, rows, strict=True):
        assert price_api_call(json.loads(call)).usd == Decimal(usd)
