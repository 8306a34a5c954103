"""Spans of other instrumentations, in the words of our wire contract.

A span is a call of a model if its operation or one of `KINDS` says so. Spans of agents, chains and
tools repeat the tokens of the calls inside of them and are none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from taximeter_collector.contract import TOKENS, USAGE_SOURCE
from taximeter_collector.prices.usage import Unusable, usage_of

Values = Mapping[str, Any]

OURS: Final = "taximeter"
OPERATION: Final = "gen_ai.operation.name"
STATUS: Final = "http.response.status_code"

NOT_CALLS: Final = frozenset(
    {"create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "plan", "retrieval"}
)
KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "openinference.span.kind": {"LLM": "chat", "EMBEDDING": "embeddings"},
    "langfuse.observation.type": {"generation": "chat", "embedding": "embeddings"},
    "langsmith.span.kind": {"llm": "chat"},
    "llm.request.type": {
        "chat": "chat",
        "completion": "text_completion",
        "embedding": "embeddings",
    },
    "ai.operationId": {
        "ai.generateText.doGenerate": "chat",
        "ai.streamText.doStream": "chat",
        "ai.generateObject.doGenerate": "chat",
        "ai.streamObject.doStream": "chat",
        "ai.embed.doEmbed": "embeddings",
        "ai.embedMany.doEmbed": "embeddings",
    },
}
"""The operation by the attribute with which a dialect tells the sort of its span."""
MARKERS: Final = tuple(name.encode() for name in (OPERATION, *KINDS))
"""What the bytes of a span contain if it may be a call."""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_ai.provider.name": (
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ai.model.provider",
        "langsmith.metadata.ls_provider",
    ),
    "gen_ai.request.model": (
        "llm.request.model",
        "ai.model.id",
        "llm.model_name",
        "embedding.model_name",
        "langfuse.observation.model.name",
        "langsmith.metadata.ls_model_name",
    ),
    "gen_ai.response.model": (
        "llm.response.model",
        "ai.response.model",
        "llm.model_name",
        "embedding.model_name",
        "langfuse.observation.model.name",
    ),
    "gen_ai.response.id": ("ai.response.id",),
    "gen_ai.request.stream": ("gen_ai.is_streaming", "llm.is_streaming"),
    "gen_ai.response.time_to_first_chunk": ("gen_ai.server.time_to_first_token",),
    "gen_ai.usage.input_tokens": (
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.promptTokens",
        "ai.usage.inputTokens",
        "ai.usage.tokens",
    ),
    "gen_ai.usage.cache_read.input_tokens": (
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.cachedInputTokens",
    ),
    "gen_ai.usage.cache_write.input_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "gen_ai.usage.output_tokens": (
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.completionTokens",
        "ai.usage.outputTokens",
    ),
    "gen_ai.usage.reasoning.output_tokens": (
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.reasoningTokens",
    ),
    "gen_ai.usage.audio.input_tokens": ("llm.token_count.prompt_details.audio",),
    "gen_ai.usage.audio.output_tokens": ("llm.token_count.completion_details.audio",),
    "openai.response.service_tier": (
        "gen_ai.openai.response.service_tier",
        "gen_ai.response.service_tier",
    ),
    STATUS: ("http.status_code",),
    "user.id": ("langfuse.user.id", "traceloop.association.properties.user_id", "enduser.id"),
    "session.id": (
        "gen_ai.conversation.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
    ),
    "taximeter.feature": ("traceloop.workflow.name", "langfuse.trace.name", "gen_ai.agent.name"),
}
"""Our attributes by the names that others have for them, the better ones first."""

RAW_USAGE: Final = ("gen_ai.usage.raw", "langfuse.observation.usage_details")
PARAMETERS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")
ADDRESSES: Final = ("gen_ai.openai.api_base", "llm.openai.api_base")
PROVIDERS: Final = {"azure": "azure.ai.openai", "az.ai.openai": "azure.ai.openai"}
ERROR_CODE: Final = re.compile(r"Error code: (\d{3})\b")
REFUSALS: Final = {
    "BadRequestError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "InternalServerError": 500,
}
"""The status of an answer by the SDK's name of its error."""


def may_be_a_call(raw: bytes) -> bool:
    """Tell quickly whether a span need be looked at."""
    return MARKERS[0] in raw or any(marker in raw for marker in MARKERS)


def in_our_words(scope: str, span: Span, values: Values) -> Values | None:
    """Return the attributes of a call by our names; None where the span is no call of its own."""
    if scope == OURS or USAGE_SOURCE in values:
        return values if isinstance(values.get(OPERATION), str) else None
    operation = _operation(values)
    if operation is None or operation in NOT_CALLS:
        return None
    told = {OPERATION: operation} | _renamed(values)
    _read_usage(values, told)
    _read_provider(scope, span, told)
    _read_request(values, told)
    if (status := _status(span, told)) is not None:
        told.setdefault(STATUS, status)
    if scope == "logfire.openai" and _announces_a_stream(values, told):
        return None
    if _is_a_guess(scope, told):
        told[USAGE_SOURCE] = "estimated"
    return told


def _operation(values: Values) -> str | None:
    if isinstance(operation := values.get(OPERATION), str):
        return operation
    for attribute, operations in KINDS.items():
        if (kind := values.get(attribute)) is not None:
            return operations.get(str(kind))
    return None


def _renamed(values: Values) -> dict[str, Any]:
    """Return the attributes with those of our names that only others' names have."""
    found = {
        ours: next(values[name] for name in names if name in values)
        for ours, names in NAMES.items()
        if values.get(ours) is None and any(name in values for name in names)
    }
    return {**values, **found}


def _read_usage(values: Values, told: dict[str, Any]) -> None:
    """Take the usage as OpenAI answered it, where a dialect carries it whole."""
    for name in RAW_USAGE:
        raw = _parsed(values.get(name))
        if isinstance(raw, Mapping) and set(raw) == {"input"}:
            raw = {"input_tokens": raw["input"]}
        try:
            usage = usage_of(raw, "") if raw else None
        except Unusable:
            continue
        if usage is not None:
            counts = {ours: getattr(usage, name) for ours, name in TOKENS.items()}
            told |= {ours: count for ours, count in counts.items() if count}
            told.setdefault("gen_ai.usage.input_tokens", 0)


def _read_provider(scope: str, span: Span, told: dict[str, Any]) -> None:
    name = told.get("gen_ai.provider.name")
    if name is None and scope == "langfuse-sdk" and span.name.startswith("OpenAI-"):
        name = "openai"
    if isinstance(name, str):
        # The AI SDK says `openai.chat` or `openai.responses`.
        plain = name.lower()
        plain = "openai" if plain.startswith("openai.") else plain
        told["gen_ai.provider.name"] = PROVIDERS.get(plain, plain)


def _read_request(values: Values, told: dict[str, Any]) -> None:
    for name in PARAMETERS:
        asked = _parsed(values.get(name))
        if isinstance(asked, Mapping) and isinstance(asked.get("model"), str):
            told["gen_ai.request.model"] = asked["model"]
    if "server.address" not in values:
        for name in ADDRESSES:
            if isinstance(address := values.get(name), str) and (host := _host(address)):
                told["server.address"] = host
    reasons = _parsed(values.get("gen_ai.response.finish_reasons"))
    if isinstance(reasons, list):
        told["gen_ai.response.finish_reasons"] = reasons


def _status(span: Span, told: Values) -> int | None:
    if span.status.code != Status.STATUS_CODE_ERROR:
        return None
    if found := ERROR_CODE.search(span.status.message):
        return int(found[1])
    return REFUSALS.get(str(told.get("error.type")).rpartition(".")[2])


def _announces_a_stream(values: Values, told: Values) -> bool:
    """Tell the span that Logfire ends as a stream begins; another one follows with its usage."""
    is_span = values.get("logfire.span_type") in ("span", "pending_span")
    return is_span and not (set(TOKENS) & set(told)) and STATUS not in told


def _is_a_guess(scope: str, told: Values) -> bool:
    """Tell tokens that are not, or not all, what OpenAI counted."""
    if scope == "opentelemetry.instrumentation.openai_v2":
        return "gen_ai.usage.input_tokens" in told  # cached input is not told apart
    is_lit_stream = scope.startswith("openlit") and told.get("gen_ai.request.stream") is True
    return is_lit_stream and "gen_ai.usage.cache_read.input_tokens" not in told


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
