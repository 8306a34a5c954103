"""The beginning of a call: what its request says, and the span that starts with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind, get_current_span

from taximeter.answer import Answer, AttributeValue
from taximeter.attempts import Attempts
from taximeter.attribution import Attribution
from taximeter.call import Call, settle
from taximeter.current import Metering
from taximeter.endpoints import Endpoint, Server, endpoint_at, server_at
from taximeter.request import Facts, sdk_facts
from taximeter.units import units_asked


def begun(
    metering: Metering, client: Any, options: Any, *, stream: bool, facts: Facts = sdk_facts
) -> Call | None:
    """Start the span of a request; None when the request does not bill or is not recorded."""
    if options.method.lower() != "post" or (endpoint := endpoint_at(options.url)) is None:
        return None
    server, parameters = server_of(client, options.url), parameters_of(options)
    request = request_attributes(endpoint, server, parameters)
    request.update(facts(metering.settings, client, options, parameters))
    if stream:
        request["gen_ai.request.stream"] = True
    call = started(metering, endpoint, request, parameters)
    if call is not None:
        call.attempts = Attempts()
    return call


def started(
    metering: Metering,
    endpoint: Endpoint,
    request: dict[str, AttributeValue],
    parameters: Mapping[str, Any],
) -> Call | None:
    """Start the span of a request that these attributes describe; None when it is not recorded."""
    settle()
    tracer, settings, metrics = metering
    parent = get_current()
    operation, model = endpoint.operation, request.get("gen_ai.request.model")
    span = tracer.start_span(
        f"{operation} {model}" if model else operation,
        context=parent,
        kind=SpanKind.CLIENT,
        attributes=request,
    )
    if not span.is_recording():
        return None
    answer = Answer(endpoint.api_type, units_asked(endpoint.api_type, parameters))
    attribution = Attribution(settings, parameters, get_current_span(parent))
    call = Call(span, answer, attribution, request, metrics)
    call.goes_on = endpoint.goes_on or parameters.get("background") is True
    call.free = endpoint.free
    return call


def server_of(client: Any, url: str) -> Server:
    if "://" in url:
        return server_at(url, azure=_is_azure(type(client)))
    # Writing out a URL costs more than all the rest of this; a client seldom changes its own.
    known = _servers.get(client)
    if known is None or known[0] is not client.base_url:
        server = server_at(str(client.base_url), azure=_is_azure(type(client)))
        known = _servers[client] = (client.base_url, server)
    return known[1]


_servers: WeakKeyDictionary[Any, tuple[Any, Server]] = WeakKeyDictionary()


def _is_azure(client: type) -> bool:
    return any(base.__name__ == "BaseAzureClient" for base in client.__mro__)


def parameters_of(options: Any) -> Mapping[str, Any]:
    body = options.json_data if isinstance(options.json_data, Mapping) else {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if extra else body


def request_attributes(
    endpoint: Endpoint, server: Server, parameters: Mapping[str, Any]
) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": endpoint.operation,
        "gen_ai.provider.name": server.provider,
        "openai.api.type": endpoint.api_type,
        "server.address": server.address,
    }
    if server.port is not None:
        attributes["server.port"] = server.port
    for key, name in _PARAMETERS:
        value = parameters.get(key)
        if isinstance(value, str) and value:
            attributes.setdefault(name, value)
    for key in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        if type(limit := parameters.get(key)) is int:
            attributes["gen_ai.request.max_tokens"] = limit
            break
    return attributes


_PARAMETERS = (
    ("model", "gen_ai.request.model"),
    ("service_tier", "openai.request.service_tier"),
)
