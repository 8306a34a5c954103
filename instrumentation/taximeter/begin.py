"""The beginning of a call: what its request says, and the span that starts with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind, get_current_span

from taximeter.answer import Answer, AttributeValue
from taximeter.attempts import FIRST, Attempts
from taximeter.attribution import Attribution
from taximeter.call import Call, settle
from taximeter.endpoints import Endpoint, endpoint_at
from taximeter.request import facts_of
from taximeter.units import units_asked

if TYPE_CHECKING:
    from taximeter.meter import Meter

_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def begun(meter: Meter, client: Any, options: Any, *, stream: bool) -> Call | None:
    """Start the span of a request of the SDK; None when it does not bill or is not recorded."""
    if options.method.lower() != "post" or (endpoint := endpoint_at(options.url)) is None:
        return None
    parameters = parameters_of(options)
    request = facts_of(meter.settings, client, options, parameters)
    return started(meter, endpoint, request, parameters, stream=stream, attempts=FIRST)


def started(
    meter: Meter,
    endpoint: Endpoint,
    request: dict[str, AttributeValue],
    parameters: Mapping[str, Any],
    *,
    stream: bool = False,
    attempts: Attempts | None = None,
) -> Call | None:
    """Start the span of a request with these attributes; None when it is not recorded."""
    settle()
    if stream:
        request["gen_ai.request.stream"] = True
    parent = get_current()
    operation = request["gen_ai.operation.name"] = endpoint.operation
    request["openai.api.type"] = endpoint.api_type
    _add_parameters(request, parameters)
    model = request.get("gen_ai.request.model")
    span = meter.tracer().start_span(
        f"{operation} {model}" if model else operation,
        context=parent,
        kind=SpanKind.CLIENT,
        attributes=request,
    )
    if not span.is_recording():
        return None
    answer = Answer(endpoint.api_type, units_asked(endpoint.api_type, parameters))
    attribution = Attribution(meter.settings, parameters, get_current_span(parent))
    call = Call(span, answer, attribution, request, meter.metrics)
    call.attempts = attempts
    call.goes_on = endpoint.goes_on or parameters.get("background") is True
    call.spends = not endpoint.free
    return call


def parameters_of(options: Any) -> Mapping[str, Any]:
    body = options.json_data if isinstance(options.json_data, Mapping) else {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if extra else body


def _add_parameters(request: dict[str, AttributeValue], parameters: Mapping[str, Any]) -> None:
    if isinstance(model := parameters.get("model"), str) and model:
        request["gen_ai.request.model"] = model
    if isinstance(tier := parameters.get("service_tier"), str) and tier:
        request["openai.request.service_tier"] = tier
    for key in _LIMITS:
        if type(limit := parameters.get(key)) is int:
            request["gen_ai.request.max_tokens"] = limit
            return
