"""Checks of the way that calls take: from an app's exporter through the service to channels."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from taximeter_api.checks.finding import Finding
from taximeter_api.commands.service import ServiceAway, ServiceRefused, ask, download
from taximeter_collector.settings import PREFIX, Settings

HOUR: Final = timedelta(hours=1)
SKEW: Final = timedelta(minutes=1)
TIMEOUT_S: Final = 10
REFUSED: Final = "taximeter_refused_spans"
CLOCK: Final = "let NTP (chrony) set the clock of the app's machine"
MENDS: Final = {
    401: f"give the app {PREFIX}INGEST_TOKEN as TAXIMETER_TOKEN",
    404: "give the app the OTLP port, mostly 4318, not the page's",
}


def exporter(settings: Settings) -> Iterator[Finding]:
    """Send what an app sends, without a call in it: with the service's address, and the app's."""
    token = settings.ingest_token.get_secret_value() if settings.ingest_token else ""
    yield _sent("exporter path", settings.otlp_url, token)
    if settings.otlp_grpc_port:
        yield _connected("exporter path by gRPC", settings.host, settings.otlp_grpc_port)
    if endpoint := os.environ.get("TAXIMETER_ENDPOINT"):
        yield _sent("TAXIMETER_ENDPOINT", endpoint, os.environ.get("TAXIMETER_TOKEN", ""))


def service(settings: Settings) -> Iterator[Finding]:
    try:
        ask(settings, "GET", "/readyz")
    except ServiceAway as away:
        yield Finding("service", str(away), "start it: taximeter serve")
        return
    except ServiceRefused as refused:
        yield Finding("service", str(refused), "see its log")
        return
    yield Finding("service", f"takes and stores calls at {settings.otlp_url}")
    try:
        yield from _calls(settings)
        yield from _channels(settings)
    except ServiceRefused as refused:
        yield Finding("service", str(refused), f"give this command the service's {PREFIX}... too")


def _sent(what: str, address: str, token: str) -> Finding:
    headers = {"Content-Type": "application/x-protobuf"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    url = f"{address.rstrip('/')}/v1/traces"
    try:
        parts = urlsplit(address)
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        answer = urllib3.request("POST", url, headers=headers, retries=False, timeout=TIMEOUT_S)
    except ValueError:
        return Finding(what, "is no address", "give one like http://127.0.0.1:4318")
    except urllib3.exceptions.HTTPError as error:
        words = f"nobody answers at {shown}: {type(error).__name__}"
        return Finding(what, words, "start the service, or open the way: address, firewall, proxy")
    if answer.status == 200:
        return Finding(what, f"spans arrive at {shown}")
    advice = MENDS.get(answer.status, "see the service's log and what else is wrong here")
    return Finding(what, f"{shown} answers {answer.status}", advice)


def _connected(what: str, host: str, port: int) -> Finding:
    try:
        socket.create_connection((host, port), TIMEOUT_S).close()
    except OSError as error:
        words = f"nobody answers at {host}:{port}: {error.strerror}"
        return Finding(what, words, "start the service, or open the port")
    return Finding(what, f"{host}:{port} listens")


def _calls(settings: Settings) -> Iterator[Finding]:
    now = datetime.now(UTC)
    told = ask(settings, "GET", "/api/quality", [("from", (now - 24 * HOUR).isoformat())])
    advice = "" if told["calls"] else "does the app's process have TAXIMETER_ENDPOINT set?"
    yield Finding("last 24 hours", f"{told['calls']:,} calls", advice)
    for reason, calls in told["unpriced_calls"].items():
        advice = f"add it to {settings.prices}, then taximeter reprice"
        yield Finding("without a price", f"{calls:,} calls: {reason}", advice)
    for service_, spans in told["lost_spans"].items():
        advice = "see whether that app always reaches the collector"
        yield Finding("lost on the way", f"{spans:,} spans of {service_}", advice)
    ahead = [("from", (now + SKEW).isoformat()), ("to", (now + 2 * HOUR).isoformat())]
    if calls := ask(settings, "GET", "/api/spend", ahead)["total"]["calls"]:
        yield Finding("clock", f"{calls:,} calls are of a moment to come", CLOCK)
    for reason, spans in _refused(settings):
        advice = f"{CLOCK}, or raise {PREFIX}KEEP_DAYS for old ones"
        words = f"{spans:,.0f} spans since the service's start: {reason}"
        yield Finding("refused", words, advice)


def _refused(settings: Settings) -> Iterator[tuple[str, float]]:
    with download(settings, "/metrics", ()) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == REFUSED else ():
            if sample.name.endswith("_total") and sample.value:
                yield sample.labels["reason"], sample.value


def _channels(settings: Settings) -> Iterator[Finding]:
    channels = ask(settings, "GET", "/api/channels")["channels"]
    known = {channel["name"] for channel in channels}
    for budget in ask(settings, "GET", "/api/budgets")["budgets"]:
        for name in sorted(set(budget["channels"]) - known):
            state = f"its channel {name} is not set up: its alerts wait"
            advice = f"add {name} to {settings.channels}, or name another"
            yield Finding(f"budget {budget['name']}", state, advice)
    for channel in channels:
        name, problem = channel["name"], channel["problem"]
        advice = f"mend it, then taximeter alerts test {name}" if problem else ""
        yield Finding(f"channel {name}", problem or "in use", advice)
