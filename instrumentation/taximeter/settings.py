"""Process defaults of the app's side, read once from the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
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
    hash_key: str = field(default="", repr=False)
    """Keys the hashes of requests; "" leaves them out."""
    hosts: str = ""
    """Hosts beside OpenAI's and Azure's whose calls by httpx are metered, separated by commas."""
    export_delay_ms: int = 1000
    spool_dir: str = ""
    """Folder where spans wait on disk; "" keeps them in memory."""
    spool_mb: int = 64
    enabled: bool = True
    prompt_sizes: bool = False
    """Count the tokens of a prompt's parts, where `taximeter[estimate]` is installed."""
    budget_stop: bool = False
    """Ask the service which budgets stop calls, and do as they say."""
    inject_usage: bool = True
    inject_usage_hosts: str = ""
    """Hosts to ask for the usage of streams beside api.openai.com, by commas; "*" for all."""


def settings_in(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Give the settings and a complaint for each variable that was ignored."""
    values: dict[str, str | int | bool] = {}
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


def _parsed(key: str, text: str) -> str | int | bool:
    """Parse one value; the ValueError says what was expected and never quotes the value."""
    if key in _BOUNDS:
        unit, largest = _BOUNDS[key]
        if not text.isdecimal() or not 1 <= int(text) <= largest:
            raise ValueError(f"{unit} from 1 to {largest}")
        return int(text)
    if key in _SWITCHES:
        if text.lower() not in _FLAGS:
            raise ValueError("true or false")
        return _FLAGS[text.lower()]
    expected, fits = _EXPECTED.get(key, ("", None))
    if fits is not None and text and not fits(text):
        raise ValueError(expected)
    return text


@lru_cache(maxsize=64)
def host_names(text: str) -> tuple[str, ...]:
    return tuple(host.strip().lower() for host in text.split(",") if host.strip())


def _is_base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:  # an unfinished IPv6 address
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname)


def _are_host_names(text: str) -> bool:
    # One colon is a port, several are an IPv6 address.
    return not any("/" in host or " " in host or host.count(":") == 1 for host in host_names(text))


def _is_header_text(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_SWITCHES = {"budget_stop", "enabled", "inject_usage", "prompt_sizes"}
_BOUNDS = {"export_delay_ms": ("milliseconds", 600_000), "spool_mb": ("megabytes", 1_000_000)}
_HOSTS_OR_ALL = "host names without scheme and port, separated by commas, or *"
_HOSTS = ("names of hosts, without ports, separated by commas", _are_host_names)
_EXPECTED: dict[str, tuple[str, Callable[[str], bool] | None]] = {
    "endpoint": ("a base URL like http://127.0.0.1:4318", _is_base_url),
    "hash_key": ("at least 16 characters", lambda text: len(text) >= 16),
    "hosts": _HOSTS,
    "inject_usage_hosts": (_HOSTS_OR_ALL, _are_host_names),
    "spool_dir": ("an absolute path", lambda text: Path(text).is_absolute()),
    "token": ("printable ASCII without spaces", _is_header_text),
}
