"""Where spans are sent and how, from our settings and OpenTelemetry's standard variables."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, build_opener

from opentelemetry.util.re import parse_env_headers

from taximeter.settings import Settings

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from urllib.request import Request

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
TIMEOUT_S = 10.0
QUEUE_SIZE = 2048
BATCH_SIZE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = TIMEOUT_S
    tls: ssl.SSLContext | None = None
    queue_size: int = QUEUE_SIZE
    batch_size: int = BATCH_SIZE

    def opener(self) -> OpenerDirector:
        """Give what makes requests of it."""
        return build_opener(_NoRedirect(), HTTPSHandler(context=self.tls))

    @property
    def address(self) -> str:
        """Name the collector without path, query or credentials."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nothing: the token is for the collector alone."""


class Standard:
    """OpenTelemetry's variables; one that is wrong is complained of and passed over."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.complaints: list[str] = []

    def text(self, *names: str) -> str:
        """Give the first of these that is set."""
        return next(filter(None, (self._environ.get(name, "").strip() for name in names)), "")

    def otlp(self, name: str) -> str:
        """Give the variable of traces, else the one of all signals."""
        return self.text(f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")

    def number(self, name: str, default: float, accepted: Callable[[float], bool]) -> float:
        text = self.text(name)
        if not text:
            return default
        with contextlib.suppress(ValueError):
            if accepted(value := float(text)):
                return value
        self.complaints.append(f"{name} is ignored: expected a positive number")
        return default


def destination_in(environ: Mapping[str, str], settings: Settings) -> tuple[Destination, list[str]]:
    """Give the destination and a complaint for each variable that was ignored."""
    standard = Standard(environ)
    url = _url(standard, settings)
    timeout_s = standard.number("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_S, _is_timeout)
    queue_size = int(standard.number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SIZE, _is_count))
    batch_size = int(standard.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SIZE, _is_count))
    destination = Destination(
        url=url,
        headers=_headers(standard, settings),
        timeout_s=standard.number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", timeout_s, _is_timeout),
        tls=_tls(standard) if url.startswith("https:") else None,
        queue_size=queue_size,
        batch_size=min(batch_size, queue_size),
    )
    return destination, standard.complaints


def _is_timeout(value: float) -> bool:
    return 0 < value <= 3600


def _is_count(value: float) -> bool:
    return 1 <= value <= 10_000_000 and value.is_integer()


def _url(standard: Standard, settings: Settings) -> str:
    if settings.endpoint:
        return f"{settings.endpoint.rstrip('/')}/v1/traces"
    for name, path in (
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "/v1/traces"),
    ):
        if text := standard.text(name):
            if text.lower().startswith(("http://", "https://")):
                return text.rstrip("/") + path if path else text
            standard.complaints.append(f"{name} is ignored: expected an http or https URL")
    return f"{DEFAULT_ENDPOINT}/v1/traces"


def _headers(standard: Standard, settings: Settings) -> dict[str, str]:
    headers = dict(parse_env_headers(standard.otlp("HEADERS"), liberal=True))
    if settings.token:
        headers["authorization"] = f"Bearer {settings.token}"
    return headers


def _tls(standard: Standard) -> ssl.SSLContext:
    authority = standard.otlp("CERTIFICATE")
    certificate, key = standard.otlp("CLIENT_CERTIFICATE"), standard.otlp("CLIENT_KEY")
    try:
        context = ssl.create_default_context(cafile=authority or _bundled())
        if not authority:
            context.load_default_certs()
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except OSError as error:
        standard.complaints.append(
            f"a certificate of OTEL_EXPORTER_OTLP_* is ignored: {type(error).__name__}"
        )
        return ssl.create_default_context()
    return context


def _bundled() -> str | None:
    """Find certifi's authorities, which openai brings: slim images have none of their own."""
    try:
        import certifi
    except ImportError:
        return None
    where = certifi.where()
    return where if Path(where).exists() else None
