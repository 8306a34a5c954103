"""Checks of what a command sees from outside: the service, and an app's way to it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import urllib3

from taximeter_api.checks import Finding, engine, files
from taximeter_api.commands.service import ServiceAway, ServiceRefused, ask
from taximeter_collector.settings import PREFIX, Settings

TIMEOUT_S: Final = 10
HERE: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    files.disk,
    files.journal,
    engine.store,
    engine.state,
    files.prices,
    files.budgets,
    files.channels,
)
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
    """Say what the service knows of itself; where none answers, what its files here say."""
    try:
        told = ask(settings, "GET", "/api/checks")["checks"]
    except ServiceAway as away:
        yield Finding("service", str(away), "start it: taximeter serve")
    except ServiceRefused as refused:
        token = f"give this command the service's {PREFIX}READ_TOKEN too"
        yield Finding("service", str(refused), token if refused.status == 401 else "see its log")
    else:
        yield from (Finding(**one) for one in told)
        return
    yield Finding("files", f"as they are in {Path.cwd()}; a service may read others")
    for check in HERE:
        yield from check(settings)


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
