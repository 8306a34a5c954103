"""Process defaults of the app's side, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    export_delay_ms: int = 1000
    spool_dir: str = ""
    """Folder where spans wait on disk; "" keeps them in memory."""
    spool_mb: int = 64
    enabled: bool = True


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
    if key == "enabled":
        if text.lower() not in _FLAGS:
            raise ValueError("true or false")
        return _FLAGS[text.lower()]
    if key == "export_delay_ms":
        if not text.isdecimal() or not 1 <= int(text) <= 600_000:
            raise ValueError("milliseconds from 1 to 600000")
        return int(text)
    if key == "spool_mb":
        if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
            raise ValueError("megabytes from 1 to 1000000")
        return int(text)
    if key == "spool_dir" and text and not Path(text).is_absolute():
        raise ValueError("an absolute path")
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
