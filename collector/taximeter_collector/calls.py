"""A call to the provider, as the service knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class CostStatus(StrEnum):
    """How a cost came about; an unknown cost is `UNPRICED`, never $0."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    FREE = "free"
    UNPRICED = "unpriced"


class UsageSource(StrEnum):
    REPORTED = "reported"
    ESTIMATED = "estimated"
    LOST = "lost"
    """The provider's answer carried no usage, or it never arrived."""
    INVALID = "invalid"
    """What was reported can't be: negative, or beyond any possible count."""
    NONE = "none"
    """Nothing was sent, so that nothing was billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the provider bills. A sub-count is part of its parent and never added to it."""

    source: UsageSource = UsageSource.REPORTED
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    meters: Mapping[str, Decimal] = field(default_factory=dict)
    """Units that are not tokens, like `seconds` or `searches`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """US dollars per token, discounts and uplifts multiplied in."""

    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    output: Decimal


class Priced(NamedTuple):
    """The cost of one call and where it comes from."""

    status: CostStatus
    usd: Decimal | None
    """US dollars to 12 places. None when `status` is `UNPRICED`."""
    reason: str = ""
    """Why the cost is not exact; empty when it is."""
    rate_card: str = ""
    rates: Rates | None = None
    """Of a call that is nothing but text, from which its components follow."""
    components: Mapping[str, Decimal] = MappingProxyType({})
    """US dollars by what was billed; they sum exactly to `usd`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Spans that an app could not deliver, as it says with the next ones that it could."""

    told_at: datetime
    """Start of the span that brought the news, and its trace and span id."""
    told_by: str
    service: str = ""
    environment: str = ""
    spans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One logical call, its retries included. Absent text is "", an absent count is None."""

    ts: datetime
    call_id: str
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    request_id: str = ""

    environment: str = ""
    service: str = ""
    feature: str = ""
    team: str = ""
    user_id: str = ""
    session_id: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    api_key_id: str = ""
    project: str = ""
    organization: str = ""

    provider: str = ""
    operation: str = ""
    endpoint: str = ""
    server_address: str = ""
    server_port: int | None = None
    model: str = ""
    """As answered; as asked for where no answer came."""
    request_model: str = ""
    service_tier: str = ""
    """As served; "" when the answer did not say."""
    request_service_tier: str = ""
    stream: bool = False
    batch: bool = False
    finish_reason: str = ""
    error_type: str = ""
    http_status: int | None = None

    attempts: int | None = None
    attempt_statuses: tuple[int, ...] = ()
    attempt_waits_ms: tuple[int, ...] = ()
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    max_output_tokens: int | None = None
    timeout_set: bool | None = None
    request_hash: str = ""
    prefix_hash: str = ""
    system_tokens: int | None = None
    history_tokens: int | None = None
    tools_tokens: int | None = None
    duration_ms: int = 0
    ttft_ms: int | None = None
    usage: Usage = field(default_factory=Usage)
    tags: Mapping[str, str] = field(default_factory=dict)
    tags_altered: int | None = None
