"""The wire contract (docs/wire.yaml) as tables: which attribute becomes which column of a call."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

TEXTS: Final = {
    "taximeter.feature": "feature",
    "taximeter.team": "team",
    "user.id": "user_id",
    "session.id": "session_id",
    "taximeter.prompt.name": "prompt_name",
    "taximeter.prompt.version": "prompt_version",
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.request.model": "request_model",
    "openai.api.type": "endpoint",
    "openai.request.service_tier": "request_service_tier",
    "server.address": "server_address",
    "taximeter.request.hash": "request_hash",
    "taximeter.request.prefix_hash": "prefix_hash",
    "taximeter.api_key": "api_key_id",
    "gen_ai.response.model": "model",
    "openai.response.service_tier": "service_tier",
    "taximeter.request.id": "request_id",
    "taximeter.openai.project": "project",
    "taximeter.openai.organization": "organization",
    "error.type": "error_type",
}
COUNTS: Final = {
    "taximeter.tags.altered": ("tags_altered", 2**16),
    "gen_ai.request.max_tokens": ("max_output_tokens", 2**32),
    "server.port": ("server_port", 2**16),
    "taximeter.request.system_tokens": ("system_tokens", 2**32),
    "taximeter.request.history_tokens": ("history_tokens", 2**32),
    "taximeter.request.tools_tokens": ("tools_tokens", 2**32),
    "http.response.status_code": ("http_status", 2**16),
    "taximeter.attempts": ("attempts", 2**8),
    "taximeter.ratelimit.remaining_requests": ("remaining_requests", 2**32),
    "taximeter.ratelimit.remaining_tokens": ("remaining_tokens", 2**32),
}
"""With the bound of the column."""
FLAGS: Final = {
    "gen_ai.request.stream": "stream",
    "taximeter.batch": "batch",
    "taximeter.request.timeout_set": "timeout_set",
}
TOKENS: Final = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_input_tokens",
    "gen_ai.usage.cache_write.input_tokens": "cache_write_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    "gen_ai.usage.audio.input_tokens": "audio_input_tokens",
    "gen_ai.usage.audio.output_tokens": "audio_output_tokens",
    "gen_ai.usage.image.input_tokens": "image_input_tokens",
    "gen_ai.usage.image.output_tokens": "image_output_tokens",
}


class Kind(Enum):
    TEXT = auto()
    TOKENS = auto()
    COUNT = auto()
    FLAG = auto()
    OTHER = auto()


NO_RULE: Final = (Kind.OTHER, "", 0)
RULES: Final = {
    **{key: (Kind.TEXT, name, 0) for key, name in TEXTS.items()},
    **{key: (Kind.TOKENS, name, 2**32) for key, name in TOKENS.items()},
    **{key: (Kind.COUNT, name, below) for key, (name, below) in COUNTS.items()},
    **{key: (Kind.FLAG, name, 0) for key, name in FLAGS.items()},
}
"""What becomes of an attribute: its kind, its column and the bound of a count."""

RESOURCE: Final = {"service.name": "service", "deployment.environment.name": "environment"}
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
ATTEMPT_STATUSES: Final = "taximeter.attempt.statuses"
ATTEMPT_WAITS: Final = "taximeter.attempt.waits"
USAGE_SOURCE: Final = "taximeter.usage.source"
METER: Final = "taximeter.meter."
TAG: Final = "taximeter.tag."

LOST: Final = "taximeter.dropped_spans"

# Only these give every answer an id of its own; some compatible servers return a constant.
OWN_IDS: Final = (
    ".openai.com",
    ".openai.azure.com",
    ".cognitiveservices.azure.com",
    ".ai.azure.com",
)
