"""Which requests are calls that bill, and how the conventions name them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit


class Endpoint(NamedTuple):
    operation: str
    api_type: str


# Longer paths first: the last segments decide, whatever stands before them (Azure's deployments).
ENDPOINTS = {
    "chat/completions": Endpoint("chat", "chat.completions"),
    "completions": Endpoint("text_completion", "completions"),
    "responses": Endpoint("chat", "responses"),
    "embeddings": Endpoint("embeddings", "embeddings"),
}

AZURE_HOST = ".openai.azure.com"
DEFAULT_PORTS = {"http": 80, "https": 443}


class Server(NamedTuple):
    provider: str
    address: str
    port: int | None


@lru_cache(maxsize=256)
def endpoint_at(url: str) -> Endpoint | None:
    """Look up the path of a POST; None when it does not bill."""
    path = "/" + urlsplit(url).path.strip("/")
    return next((found for key, found in ENDPOINTS.items() if path.endswith("/" + key)), None)


@lru_cache(maxsize=256)
def server_at(url: str, *, azure: bool) -> Server:
    parts = urlsplit(url)
    host = parts.hostname or ""
    provider = "azure.ai.openai" if azure or host.endswith(AZURE_HOST) else "openai"
    return Server(provider, host, parts.port or DEFAULT_PORTS.get(parts.scheme))
