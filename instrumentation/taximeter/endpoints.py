"""Which requests are calls that bill, and how the conventions name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit


class Endpoint(NamedTuple):
    operation: str
    api_type: str
    goes_on: bool = False
    """The answer may only name work whose usage a later request tells."""
    free: bool = False


_RUN = Endpoint("invoke_agent", "threads.runs", goes_on=True)
_VIDEO = Endpoint("video_generation", "videos", goes_on=True)

# Longer paths first: the last segments decide, whatever stands before them (Azure's deployments).
ENDPOINTS = {
    "chat/completions": Endpoint("chat", "chat.completions"),
    "completions": Endpoint("text_completion", "completions"),
    "responses": Endpoint("chat", "responses"),
    "responses/compact": Endpoint("chat", "responses.compact"),
    "embeddings": Endpoint("embeddings", "embeddings"),
    "moderations": Endpoint("moderation", "moderations", free=True),
    "decisions": Endpoint("decision", "decisions"),
    "images/generations": Endpoint("image_generation", "images.generations"),
    "images/edits": Endpoint("image_generation", "images.edits"),
    "images/variations": Endpoint("image_generation", "images.variations"),
    "audio/speech": Endpoint("speech", "audio.speech"),
    "audio/transcriptions": Endpoint("transcription", "audio.transcriptions"),
    "audio/translations": Endpoint("translation", "audio.translations"),
    "videos": _VIDEO,
    "videos/edits": _VIDEO,
    "videos/extensions": _VIDEO._replace(api_type="videos.extensions"),
    "videos/*/remix": _VIDEO,
    "threads/runs": _RUN,
    "threads/*/runs": _RUN,
    "containers": Endpoint("container", "containers"),
    "fine_tuning/alpha/graders/run": Endpoint("grading", "fine_tuning.graders"),
}
_PATHS = [
    (re.compile(f".*/{path.replace('*', '[^/]+')}"), endpoint)
    for path, endpoint in ENDPOINTS.items()
]

AZURE_HOST = ".openai.azure.com"
DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def endpoint_at(url: str) -> Endpoint | None:
    """Look up the path of a POST; None when it does not bill."""
    path = "/" + urlsplit(url).path.strip("/")
    return next((endpoint for pattern, endpoint in _PATHS if pattern.fullmatch(path)), None)


@lru_cache(maxsize=256)
def server_at(url: str, *, azure: bool) -> Mapping[str, str | int]:
    """Give the attributes of a server."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    provider = "azure.ai.openai" if azure or host.endswith(AZURE_HOST) else "openai"
    server: dict[str, str | int] = {"gen_ai.provider.name": provider, "server.address": host}
    if (port := parts.port or DEFAULT_PORTS.get(parts.scheme)) is not None:
        server["server.port"] = port
    return server
