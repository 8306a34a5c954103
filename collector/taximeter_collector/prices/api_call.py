"""Price a call given as what OpenAI returned, for imports, `taximeter prices test` and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from taximeter_collector.calls import Call, Priced, Usage, UsageSource
from taximeter_collector.prices.bill import unpriced
from taximeter_collector.prices.book import PriceBook
from taximeter_collector.prices.cards import OPENAI
from taximeter_collector.prices.overrides import AZURE, place_of
from taximeter_collector.prices.units import units_of
from taximeter_collector.prices.usage import Unusable, mapping, text, usage_of

PROVIDERS: Final = {"": OPENAI, "openai": OPENAI, "azure": AZURE, AZURE: AZURE}
_VERBS: Final = (".create", ".generate", ".edit", ".parse", ".stream", ".create_variation")
_SAME: Final = {
    "images": "images.generations",
    "images.generate": "images.generations",
    "images.edit": "images.edits",
    "images.create_variation": "images.variations",
    "chat": "chat.completions",
    "text_completion": "completions",
}


def price_api_call(call: Mapping[str, Any], book: PriceBook | None = None) -> Priced:
    """Return what a call cost; `book` is the shipped one when absent.

    `call` holds `endpoint`, `model` as answered, `timestamp` and `usage` as OpenAI returned it, and
    where they matter `provider` (openai, azure), `service_tier` as answered, `batch`,
    `requested_model`, `request` (input_characters, size, quality, n, seconds), `tools`,
    `output_items`, `tool_usage`, `base_url`, `azure` (deployment, deployment_type, region),
    `http_status`, `stream` and `finished`. What can't be understood leaves the call unpriced, with
    a reason that names field and value; nothing raises.
    """
    try:
        return _priced(call, book or PriceBook.shipped())
    except Unusable as fault:
        return unpriced(str(fault))


def _priced(call: Mapping[str, Any], book: PriceBook) -> Priced:
    endpoint = endpoint_of(text(call, "endpoint"))
    provider = PROVIDERS.get(text(call, "provider").lower(), text(call, "provider"))
    asked = Call(
        ts=_moment(call.get("timestamp")),
        call_id="",
        trace_id="",
        span_id="",
        provider=provider,
        endpoint=endpoint,
        server_address=_host(text(call, "base_url")),
        model=text(call, "model") or text(call, "requested_model"),
        request_model=text(mapping(call, "azure"), "deployment") or text(call, "requested_model"),
        service_tier=text(call, "service_tier"),
        batch=_flag(call, "batch")
        or "batch" in text(mapping(call, "azure"), "deployment_type").lower(),
        http_status=_status(call.get("http_status")),
        usage=_usage(call, endpoint),
    )
    if provider == AZURE and text(mapping(call, "azure"), "deployment_type"):
        return _at_azure(asked, mapping(call, "azure"), book)
    return book.priced(asked)


def endpoint_of(name: str) -> str:
    """Give an endpoint the name that `openai.api.type` has, like `chat.completions`."""
    dotted = name.strip("/").removeprefix("v1/").replace("/", ".").lower()
    if dotted in _SAME:
        return _SAME[dotted]
    for verb in _VERBS:
        dotted = dotted.removesuffix(verb)
    return _SAME.get(dotted, dotted)


def _at_azure(call: Call, azure: Mapping[str, Any], book: PriceBook) -> Priced:
    kind, region = text(azure, "deployment_type"), text(azure, "region")
    place = place_of(kind, region)
    if place is None:
        raise Unusable(f"azure.deployment_type is {kind!r}, which is not billed by the token")
    return book.price(
        model=call.model,
        moment=call.ts,
        usage=call.usage,
        provider=AZURE,
        service_tier=call.service_tier,
        batch=call.batch,
        place=place,
        http_status=call.http_status,
    )


def _usage(call: Mapping[str, Any], endpoint: str) -> Usage:
    model = text(call, "model") or text(call, "requested_model")
    status = _status(call.get("http_status"))
    if status is not None and status >= 400:
        return Usage(source=UsageSource.LOST)
    told = call.get("usage")
    usage = usage_of(told, endpoint) if told else None
    units = units_of(call, endpoint, model)
    if usage is None and units and endpoint not in ("chat.completions", "responses"):
        return Usage(meters=units)
    if usage is None:
        return Usage(source=UsageSource.LOST)
    meters = {**usage.meters}
    for name, quantity in units.items():
        meters[name] = meters.get(name, Decimal(0)) + quantity
    return replace(usage, meters=meters)


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            moment = datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            raise Unusable(f"timestamp is {value!r}, not a moment") from None
    else:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise Unusable(f"timestamp is {value!r}, not a moment like 2026-11-01T12:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _host(base_url: str) -> str:
    if not base_url:
        return ""
    try:
        return (urlsplit(base_url if "//" in base_url else f"//{base_url}").hostname or "").lower()
    except ValueError:
        raise Unusable(f"base_url is {base_url!r}, not an address") from None


def _flag(call: Mapping[str, Any], name: str) -> bool:
    value = call.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Unusable(f"{name} is {value!r}, not true or false")


def _status(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise Unusable(f"http_status is {value!r}, not a number")
