"""What a request tells beyond its parameters: server, key, timeout, and whether it recurs."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile
from typing import Any
from weakref import WeakKeyDictionary

from taximeter.answer import AttributeValue
from taximeter.endpoints import server_at
from taximeter.settings import Settings

SHORTEST_KEY = 16
"""Characters. The last four of a shorter API key would give too much of it away."""

# What the provider bills, stores or names by, but does not answer by.
_NO_CONTENT = frozenset(
    {
        "background",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
_STABLE = frozenset({"functions", "instructions", "response_format", "text", "tools"})
_CONVERSATIONS = ("messages", "input")
_LEADING_ROLES = {"system", "developer"}


def facts_of(
    settings: Settings, client: Any, options: Any, parameters: Mapping[str, Any]
) -> dict[str, AttributeValue]:
    """Give the facts of a request of the openai SDK."""
    facts = dict(_facts_of_client(client, settings.hash_key))
    if "://" in options.url:
        facts.update(server_of(client, options.url))
    if type(options.timeout).__name__ != "NotGiven":
        facts["taximeter.request.timeout_set"] = True
    if isinstance(options.headers, dict) and (key := key_in(options.headers)):
        facts["taximeter.api_key"] = key_name(key, settings.hash_key)
    # The content of an upload is in its files, and hashing those would cost too much.
    if settings.hash_key and not getattr(options, "files", None):
        facts.update(hashes(settings.hash_key, parameters))
    return facts


def server_of(client: Any, url: str) -> Mapping[str, str | int]:
    """Give the attributes of the server that a request of this client goes to."""
    azure = any(base.__name__ == "BaseAzureClient" for base in type(client).__mro__)
    return server_at(url if "://" in url else str(client.base_url), azure=azure)


_clients: WeakKeyDictionary[Any, tuple[object, Mapping[str, AttributeValue]]] = WeakKeyDictionary()
"""What the requests of a client have in common, with what it was told from."""


def _facts_of_client(client: Any, hash_key: str) -> Mapping[str, AttributeValue]:
    key, timeout = getattr(client, "api_key", ""), client.timeout
    told_from = (client.base_url, key, timeout, hash_key)
    # Writing out a URL costs more than all the rest of this; a client seldom changes.
    known = _clients.get(client)
    if known is not None and known[0] == told_from:
        return known[1]
    facts: dict[str, AttributeValue] = {**server_of(client, "")}
    if (chosen := _timeout_set(timeout)) is not None:
        facts["taximeter.request.timeout_set"] = chosen
    # What a provider hands out is renewed by the hour and names nobody.
    provided = any(getattr(client, name, None) is not None for name in _PROVIDERS)
    if not provided and isinstance(key, str) and (lasting := _lasting(key)):
        facts["taximeter.api_key"] = key_name(lasting, hash_key)
    _clients[client] = (told_from, facts)
    return facts


def key_in(headers: Mapping[str, Any]) -> str:
    """Give the API key that the headers carry; "" when there is none or it is a passing token."""
    for name, value in headers.items():
        if isinstance(value, str) and name.lower() in {"authorization", "api-key"}:
            return _lasting(value.removeprefix("Bearer "))
    return ""


@lru_cache(maxsize=64)
def key_name(key: str, hash_key: str) -> str:
    if not hash_key:
        return key[-4:]
    digest = _keyed(hash_key, size=4)
    digest.update(key.encode())
    return f"{key[-4:]}-{digest.hexdigest()}"


def hashes(hash_key: str, parameters: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Hash the content that decides the answer, and the part of it that other calls share."""
    prefix, rest = _split(parameters)
    digest = _keyed(hash_key, size=16)
    facts: dict[str, AttributeValue] = {}
    try:
        digest.update(_canonical({"model": parameters.get("model"), **prefix}))
        if prefix:
            facts["taximeter.request.prefix_hash"] = digest.hexdigest()
        digest.update(_canonical(rest))
    except (TypeError, ValueError):  # what JSON cannot say the SDK encodes by rules of its own
        return {}
    return facts | {"taximeter.request.hash": digest.hexdigest()}


def _keyed(hash_key: str, *, size: int) -> hashlib.blake2b:
    return hashlib.blake2b(key=_secret(hash_key), digest_size=size)


@lru_cache(maxsize=4)
def _secret(hash_key: str) -> bytes:
    # BLAKE2 takes at most 64 bytes of key.
    return hashlib.sha256(hash_key.encode()).digest()


def _canonical(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _split(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the content into what opens every prompt of its kind, and the rest."""
    prefix: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in _CONVERSATIONS and isinstance(value, list):
            leading = list(takewhile(_is_instruction, value))
            if leading:
                prefix[name] = leading
            rest[name] = value[len(leading) :]
        elif name in _STABLE or (name == "prompt" and isinstance(value, dict)):
            prefix[name] = value
        elif name not in _NO_CONTENT:
            rest[name] = value
    return prefix, rest


def _is_instruction(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") in _LEADING_ROLES


def _timeout_set(timeout: object) -> bool | None:
    """Say whether the app chose the client's timeout; None if it can't be known."""
    default = getattr(sys.modules.get("openai._constants"), "DEFAULT_TIMEOUT", None)
    return None if default is None else bool(timeout is not default and timeout != default)


_PROVIDERS = (
    "_api_key_provider",
    "_azure_ad_token_provider",
    "_azure_ad_token",
    "workload_identity",
)


def _lasting(key: str) -> str:
    """Give the key unless it is too short to tell a part of, a JSON web token or a placeholder."""
    is_key = len(key) >= SHORTEST_KEY and "." not in key and key[0] != "<"
    return key if is_key else ""
