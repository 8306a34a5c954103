"""Tokens of a request and of the events that answered it, where a true count can be had.

The framing of chats is OpenAI's own: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
What else a request can have (tools, images, schemas, earlier responses) adds tokens that nobody
outside can count, and so does reasoning: such calls have no count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

PER_MESSAGE = 3
PER_NAME = 1
PRIMING = 3

_ENCODINGS = (
    ("o200k_base", r"gpt-4o(-mini)?|gpt-4\.1(-mini|-nano)?|gpt-4\.5-preview"),
    ("o200k_base", r"chatgpt-4o-latest|gpt-5-chat-latest"),
    ("cl100k_base", r"gpt-4(-32k|-turbo|-turbo-preview)?|gpt-4-(0125|1106)-preview"),
    ("cl100k_base", r"gpt-3\.5-turbo(-16k|-instruct)?|davinci-002|babbage-002"),
)
_DATE = r"(-\d{4}|-\d{4}-\d\d-\d\d)?"
_MODELS = tuple((name, re.compile(f"({models}){_DATE}")) for name, models in _ENCODINGS)

# What a request may set without adding a token to what the model reads.
_PLAIN = {
    *("model", "stream", "stream_options", "n", "temperature", "top_p", "seed", "stop", "user"),
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "logprobs", "top_logprobs"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "metadata", "store", "service_tier"),
    *("safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
}
_TEXTS = {
    "chat.completions": {"messages"},
    "completions": {"prompt"},
    "responses": {"input", "instructions"},
}
_MESSAGE = {"type", "role", "content", "name"}
_ROLES = {"system", "developer", "user", "assistant"}
_TEXT_PARTS = {"text", "input_text", "output_text"}
_TEXT_EVENTS = {"response.output_text.delta", "response.refusal.delta"}


# What only the input needs: how these reason is hidden, how they read is not.
_REASONING = re.compile(r"(o1|o3|o4|gpt-5)\b.*")


class Counts(NamedTuple):
    input: int
    output: int


class Uncountable(Exception):
    """The call has tokens that are not in any text of it."""


def encoding_of(model: str) -> str | None:
    """Name the encoding; None for an unknown model and for one that may reason unseen."""
    base = model.split(":")[1] if model.startswith("ft:") and model.count(":") > 1 else model
    return next((name for name, models in _MODELS if models.fullmatch(base)), None)


def counted(api_type: str, model: str, request: bytes, events: bytes) -> Counts | None:
    """Count a call's tokens; None where the texts alone don't tell them."""
    try:
        asked = json.loads(request)
        encoding = encoding_of(model or str(asked.get("model")))
        if encoding is None:
            return None
        read, framing = _read(api_type, asked)
        written = _written(api_type, events)
    except Uncountable:
        return None
    import toktok

    tokens = toktok.batch_count([*read, *written], encoding, threads=1)
    return Counts(framing + sum(tokens[: len(read)]), sum(tokens[len(read) :]))


def prompt_parts(api_type: str, model: str, request: bytes) -> dict[str, int]:
    """Count the texts of a prompt's parts: `system`, `history` (all turns but the last), `tools`.

    Tools are counted as the JSON that the app sent. A part without any text is absent.
    """
    asked = json.loads(request)
    model = model or str(asked.get("model"))
    encoding = encoding_of(model) or ("o200k_base" if _REASONING.fullmatch(model) else None)
    if encoding is None:
        return {}
    items = _conversation(api_type, asked)
    instructions = [item for item in items if _is_instruction(item)]
    turns = [item for item in items if not _is_instruction(item)]
    tools = asked.get("tools") or asked.get("functions")
    texts = {
        "system": _texts(instructions),
        "history": _texts(turns[:-1]),
        "tools": [json.dumps(tools, separators=(",", ":"), ensure_ascii=False)] if tools else [],
    }
    import toktok

    return {
        part: sum(toktok.batch_count(of_part, encoding, threads=1))
        for part, of_part in texts.items()
        if any(of_part)
    }


def _texts(value: Any) -> list[str]:
    """Collect what a model reads as text; images and audio are none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if isinstance(value, dict):
        return [text for key in _SAID if key in value for text in _texts(value[key])]
    return []


_SAID = ("content", "text", "name", "arguments", "output", "summary", "tool_calls", "function")


CONVERSATIONS = {"chat.completions": "messages", "responses": "input"}


def _conversation(api_type: str, asked: Mapping[str, Any]) -> list[Any]:
    """Give the messages of a request, its instructions as the first of them."""
    given = asked.get(CONVERSATIONS[api_type])
    messages = given if isinstance(given, list) else [{"role": "user", "content": given}]
    if api_type == "responses" and (instructions := asked.get("instructions")):
        return [{"role": "system", "content": instructions}, *messages]
    return messages


def _is_instruction(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") in {"system", "developer"}


def _read(api_type: str, asked: Mapping[str, Any]) -> tuple[list[str], int]:
    """Give the texts that the model reads, and the tokens that frame them."""
    _only(asked, _PLAIN | _TEXTS[api_type])
    if api_type == "completions":
        prompt = asked.get("prompt")
        return [_text(part) for part in (prompt if isinstance(prompt, list) else [prompt])], 0
    return _messages(_conversation(api_type, asked))


def _messages(messages: list[Any]) -> tuple[list[str], int]:
    texts = [text for message in messages for text in _message(message)]
    names = sum(bool(message.get("name")) for message in messages)
    return texts, PER_MESSAGE * len(messages) + PER_NAME * names + PRIMING


def _message(message: Mapping[str, Any]) -> Iterator[str]:
    _only(message, _MESSAGE)
    if message.get("type", "message") != "message":
        raise Uncountable
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise Uncountable
    yield role
    if name := message.get("name"):
        yield _text(name)
    for part in content if isinstance(content, list) else [content]:
        yield _text_of(part)


def _text_of(part: Any) -> str:
    if isinstance(part, dict) and part.get("type") in _TEXT_PARTS:
        return _text(part.get("text"))
    return _text(part)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Uncountable
    return value


def _only(given: Mapping[str, Any], plain: set[str]) -> None:
    if any(key not in plain for key, value in given.items() if value is not None):
        raise Uncountable


def _written(api_type: str, events: bytes) -> list[str]:
    """Join what was written piece by piece: a token may lie over the end of an event."""
    texts: dict[Any, list[str]] = {}
    pieces = _response_pieces if api_type == "responses" else _choice_pieces
    for line in events.splitlines():
        if line.startswith(b"data:") and (event := _json(line[5:])):
            for place, text in pieces(event):
                texts.setdefault(place, []).append(text)
    if not texts:
        raise Uncountable
    return ["".join(text) for text in texts.values()]


def _choice_pieces(event: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    for choice in event.get("choices") or ():
        delta = choice.get("delta", choice)
        if any(delta.get(key) for key in delta if key not in _WRITTEN):
            raise Uncountable
        yield choice.get("index", 0), delta.get("content") or delta.get("text") or ""
        if refusal := delta.get("refusal"):
            yield (choice.get("index", 0), "refusal"), refusal


_WRITTEN = {"role", "content", "refusal", "text", "index", "logprobs", "finish_reason"}


def _response_pieces(event: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    kind = str(event.get("type"))
    if kind in _TEXT_EVENTS:
        yield (event.get("output_index"), event.get("content_index")), _text(event.get("delta"))
    elif kind.endswith(".delta"):
        raise Uncountable


def _json(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:  # the end of the stream, or an event that was cut off
        return {}
    return event if isinstance(event, dict) else {}
