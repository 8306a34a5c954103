"""Calls that the app makes by httpx or httpx2 itself, without the openai SDK.

Installing `taximeter[httpx]` switches this on. The SDK's own requests pass here, too, and are left
alone: they are metered already.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from taximeter.answer import AttributeValue
from taximeter.around import Steps, around, async_around
from taximeter.attempts import FIRST
from taximeter.begin import started
from taximeter.call import Call, current_call, entered
from taximeter.endpoints import AZURE_HOST, endpoint_at, server_at
from taximeter.guard import never_raise
from taximeter.meter import meter_on
from taximeter.request import hashes, key_in, key_name
from taximeter.settings import Settings, host_names
from taximeter.streams import read

MODULES = ("httpx", "httpx2")
OPENAI_HOST = "api.openai.com"
LARGEST = 1_000_000
"""Bytes. The parameters of a larger request stay unknown; its answer names the model."""
DEFAULT_TIMEOUT_S = 5.0


def is_wanted() -> bool:
    return importlib.util.find_spec("opentelemetry.instrumentation.httpx") is not None


def _sent(_: Any, args: Any, kwargs: Any) -> Steps | None:
    # Each call of the SDK comes by here, too.
    if current_call.get() is not None or (call := _begun(*args, **kwargs)) is None:
        return None
    return _metered(call, args, kwargs)


def _metered(call: Call, args: Any, kwargs: Any) -> Steps:
    try:
        with entered(call):
            response = yield args, kwargs
    except BaseException as error:
        call.failed(error)
        raise
    _answered(call, response)


HOOKS = {"Client.send": around(_sent), "AsyncClient.send": async_around(_sent)}


def _begun(request: Any = None, **_: Any) -> Call | None:
    if getattr(request, "method", "") != "POST":
        return None
    with never_raise("starting a call by httpx"):
        meter = meter_on()
        if meter is None or not _is_api(request.url.host, meter.settings.hosts):
            return None
        url = str(request.url)
        if (endpoint := endpoint_at(url)) is None:
            return None
        parameters = _parameters(request)
        facts = _facts(meter.settings, request, url, parameters)
        stream = bool(parameters.get("stream"))
        return started(meter, endpoint, facts, parameters, stream=stream, attempts=FIRST)
    return None


@functools.lru_cache(maxsize=1024)
def _is_api(host: str, hosts: str) -> bool:
    return f".{host}".endswith((f".{OPENAI_HOST}", AZURE_HOST)) or host.lower() in host_names(hosts)


def _parameters(request: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    try:
        if len(content := request.content) <= LARGEST:
            body = json.loads(content)
            parameters = body if isinstance(body, dict) else {}
    except (RuntimeError, ValueError):  # a body that is sent in pieces, or no JSON
        pass
    segments = urlsplit(str(request.url)).path.split("/")
    if "deployments" in segments[:-1]:
        parameters.setdefault("model", segments[segments.index("deployments") + 1])
    return parameters


def _facts(
    settings: Settings, request: Any, url: str, parameters: Mapping[str, Any]
) -> dict[str, AttributeValue]:
    facts: dict[str, AttributeValue] = {**server_at(url, azure=False)}
    timeouts = request.extensions.get("timeout")
    if isinstance(timeouts, dict):
        chosen = any(seconds != DEFAULT_TIMEOUT_S for seconds in timeouts.values())
        facts["taximeter.request.timeout_set"] = chosen
    if key := key_in(request.headers):
        facts["taximeter.api_key"] = key_name(key, settings.hash_key)
    if settings.hash_key and parameters:
        facts.update(hashes(settings.hash_key, parameters))
    return facts


def _answered(call: Call, response: Any) -> None:
    with never_raise("reading an answer to httpx"):
        call.answered(response, retries_taken=0)
        if response.status_code >= 400:
            call.attributes["error.type"] = str(response.status_code)
        read(response, call)
    if not call.streaming:
        call.end()
