"""Process defaults of the app's side, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PREFIX = "TAXIMETER_"
SERVER_PREFIX = "TAXIMETER_SERVER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    feature: str = ""
    team: str = ""
    environment: str = ""
    endpoint: str = ""
    """Base URL of the collector; "" leaves it to the OTEL_EXPORTER_OTLP_* variables."""
    token: str = field(default="", repr=False)
    export_delay_ms: int = 1000
    enabled: bool = True
    inject_usage: bool = True
    inject_usage_hosts: tuple[str, ...] = ()
    """Servers to ask for the usage of streams beside api.openai.com; "*" for all."""


def settings_in(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Give the settings and a complaint for each variable that was ignored."""
    values: dict[str, str | int | bool | tuple[str, ...]] = {}
    complaints = []
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name.startswith(SERVER_PREFIX):
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in Settings.__dataclass_fields__:
            complaints.append(f"{name} is not a setting of taximeter and is ignored")
            continue
        try:
            values[key] = _parsed(key, text.strip())
        except ValueError as expected:
            complaints.append(f"{name} is ignored: expected {expected}")
    return Settings(**values), complaints  # type: ignore[arg-type]


def _parsed(key: str, text: str) -> str | int | bool | tuple[str, ...]:
    """Parse one value; the ValueError says what was expected and never quotes the value."""
    if key in {"enabled", "inject_usage"}:
        if text.lower() not in _FLAGS:
            raise ValueError("true or false")
        return _FLAGS[text.lower()]
    if key == "export_delay_ms":
        if not text.isdecimal() or not 1 <= int(text) <= 600_000:
            raise ValueError("milliseconds from 1 to 600000")
        return int(text)
    if key == "inject_usage_hosts":
        hosts = tuple(host.strip().lower() for host in text.split(",") if host.strip())
        if any("/" in host or host.count(":") == 1 for host in hosts):
            raise ValueError("host names without scheme and port, separated by commas, or *")
        return hosts
    if key == "endpoint" and text and not _is_base_url(text):
        raise ValueError("a base URL like http://127.0.0.1:4318")
    if key == "token" and not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("printable ASCII without spaces")
    return text


_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _is_base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:  # an unfinished IPv6 address
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname)
