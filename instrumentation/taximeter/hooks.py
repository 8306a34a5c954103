"""The places where every request of the openai SDK passes, of any version since 1.0."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from taximeter import attempts, httpx
from taximeter.begin import begun
from taximeter.call import Call
from taximeter.call_headers import taken_from_options, taken_from_request
from taximeter.current import Metering, current_call, entered
from taximeter.estimate import prompt_of
from taximeter.exceeded import BudgetExceededError
from taximeter.guard import never_raise, warn_once
from taximeter.handover import hand_over, take_back
from taximeter.httpx import Httpx
from taximeter.inject import asking_for_usage, note_refusal, with_model
from taximeter.looks import look
from taximeter.metrics import Metrics
from taximeter.origin import follow, global_provider, unfollow
from taximeter.settings import Settings, settings_in
from taximeter.streams import observe, read_whole
from taximeter.tracing import Tracing
from taximeter.websockets import CONNECTIONS, Websockets

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from taximeter.stop import Stops

MODULE = "openai._base_client"
Hook = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Gives what stands in the place of a function."""

_lock = threading.Lock()
_tracing: Tracing | None = None
_settings = Settings()
_hooked: list[tuple[type, str, Any, Any]] = []
_metrics: Metrics | None = None
_stops: Stops | None = None
_awaited: set[str] = set()


def install(
    tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None = None
) -> None:
    """Set the hooks now, or as soon as what they belong to is imported."""
    global _tracing, _metrics, _settings, _stops
    settings, complaints = settings_in(os.environ)
    for complaint in complaints:
        warn_once(complaint, "%s", complaint)
    with _lock:
        if _tracing is not None or not settings.enabled:
            return
        _settings = settings
        _tracing = Tracing(tracer_provider, settings)
        _metrics = Metrics(meter_provider)
        _stops = _stops_of(settings)
        modules = _HOOKS.keys() - _awaited
        _awaited.update(modules)
    follow(tracer_provider, global_provider())
    for module in modules:
        wrapt.register_post_import_hook(_imported, module)


def remove() -> None:
    """Put the SDK's own functions back, end what is open and flush."""
    global _tracing, _stops
    with _lock:
        tracing, _tracing = _tracing, None
        stops, _stops = _stops, None
        while _hooked:
            owner, name, original, wrapper = _hooked.pop()
            # Somebody who wrapped after us keeps our wrapper, which is inert from now on.
            if vars(owner).get(name) is not wrapper:
                continue
            if original is None:  # it was inherited
                delattr(owner, name)
            else:
                setattr(owner, name, original)
    unfollow()
    if stops is not None:
        stops.close()
    if tracing is not None:
        tracing.close()


def flush(timeout_s: float) -> bool:
    tracing = _tracing
    return tracing is None or tracing.flush(timeout_s)


def _imported(module: ModuleType) -> None:
    # An exception here would fail the app's import of the module.
    with never_raise(f"hooking {module.__name__}"), _lock:
        _awaited.discard(module.__name__)
        if _tracing is None or (module.__name__ in httpx.MODULES and not httpx.is_wanted()):
            return
        hooks = _HOOKS[module.__name__]
        missing = [place for place, hook in hooks.items() if not _hook(module, place, hook)]
        if missing:
            names = ", ".join(missing)
            warn_once("hooks", "this version of openai has no %s; calls may go uncounted", names)


def _hook(module: ModuleType, place: str, hook: Hook) -> bool:
    class_name, _, name = place.partition(".")
    owner = getattr(module, class_name, None)
    if owner is None and module.__name__ != MODULE:
        return True  # a connection that this version does not have yet, or no longer
    function = getattr(owner, name, None)
    if owner is None or function is None:
        return False
    wrapper = hook(function)
    _hooked.append((owner, name, vars(owner).get(name), wrapper))
    setattr(owner, name, wrapper)
    return True


# Plain functions: wrapt's proxies would add a microsecond to each of them.
def _request(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    def metered(client: Any, *args: Any, **kwargs: Any) -> Any:
        call, args, kwargs = _begun(client, args, kwargs)
        if call is None and current_call.get() is None:
            return request(client, *args, **kwargs)
        try:
            with entered(call):
                args, kwargs = _judged(call, args, kwargs)
                result = request(client, *args, **kwargs)
        except BaseException as error:
            _failed(call, error)
            raise
        if call is not None and not call.streaming:
            call.end()
        return result

    return metered


def _async_request(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    async def metered(client: Any, *args: Any, **kwargs: Any) -> Any:
        call, args, kwargs = _begun(client, args, kwargs)
        if call is None and current_call.get() is None:
            return await request(client, *args, **kwargs)
        try:
            with entered(call):
                args, kwargs = _judged(call, args, kwargs)
                result = await request(client, *args, **kwargs)
        except BaseException as error:
            _failed(call, error)
            raise
        if call is not None and not call.streaming:
            call.end()
        return result

    return metered


def _build_request(build: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def metered(client: Any, *args: Any, **kwargs: Any) -> Any:
        request = build(client, *args, **kwargs)
        with never_raise("taking tags out of a request"):
            tags, call = taken_from_request(request), current_call.get()
            if tags and call is not None and call.attribution is not None:
                call.attribution.add_of_client(tags)
        return request

    return metered


def _process_response(process: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(process)
    def metered(client: Any, *args: Any, **kwargs: Any) -> Any:
        if (call := current_call.get()) is None:
            return process(client, *args, **kwargs)
        with never_raise("reading an answer"):
            _read(call, **kwargs)
        try:
            return process(client, *args, **kwargs)
        finally:
            take_back(kwargs["response"])

    return metered


def _async_process_response(process: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(process)
    async def metered(client: Any, *args: Any, **kwargs: Any) -> Any:
        if (call := current_call.get()) is None:
            return await process(client, *args, **kwargs)
        with never_raise("reading an answer"):
            _read(call, **kwargs)
        try:
            return await process(client, *args, **kwargs)
        finally:
            take_back(kwargs["response"])

    return metered


def _begun(client: Any, args: Any, kwargs: Any) -> tuple[Call | None, Any, Any]:
    """Start the call of these arguments of `request`; give them as the SDK shall see them."""
    with never_raise("starting a call"):
        options = args[1] if len(args) > 1 else kwargs["options"]
        tags = taken_from_options(options)
        if (metering := _metering()) is None:
            return None, args, kwargs
        stream = bool(kwargs.get("stream"))
        call = begun(metering, client, options, stream=stream) or look(metering, client, options)
        if call is not None:
            if tags and call.attribution is not None:
                call.attribution.add(tags)
            if stream:
                args, kwargs = asking_for_usage(call, _settings, args, kwargs)
        return call, args, kwargs
    return None, args, kwargs


def _judged(call: Call | None, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Give the arguments as budgets want them; raises BudgetExceededError."""
    stops = _stops
    if stops is None or call is None or not call.spends:
        return args, kwargs
    refused = None
    with never_raise("asking the budgets"):
        try:
            if model := stops.judge(call.tag):
                return with_model(model, args, kwargs)
        except BudgetExceededError as error:
            refused = error
    if refused is not None:
        raise refused
    return args, kwargs


def _failed(call: Call | None, error: BaseException) -> None:
    if call is not None:
        note_refusal(call, error)
        call.failed(error)


def _stops_of(settings: Settings) -> Stops | None:
    if not settings.budget_stop:
        return None
    from taximeter.stop import Stops, fetching_from

    return Stops(fetching_from(settings))


def _metering() -> Metering | None:
    tracing, metrics = _tracing, _metrics
    if tracing is None or metrics is None or (tracer := tracing.tracer()) is None:
        return None
    return Metering(tracer, _settings, metrics)


def _read(call: Call, *, response: Any, stream: bool, retries_taken: int = 0, **_: Any) -> None:
    call.answered(response, retries_taken)
    if _settings.prompt_sizes and call.prompt is None:
        call.prompt = prompt_of(response, call.api_type, call.answer)
    if stream or not response.is_closed:
        observe(response, call, events=stream)
        return
    call.body_ended()
    if (body := read_whole(response.content, call)) is not None:
        hand_over(response, body)


def _by_wrapt(hooks: Mapping[str, Callable[..., Any]]) -> dict[str, Hook]:
    return {
        place: functools.partial(wrapt.FunctionWrapper, wrapper=hook)
        for place, hook in hooks.items()
    }


_httpx, _websockets = Httpx(_metering), Websockets(_metering)
_HOOKS: dict[str, dict[str, Hook]] = {
    MODULE: {
        "BaseClient._build_request": _build_request,
        "SyncAPIClient.request": _request,
        "SyncAPIClient._process_response": _process_response,
        "AsyncAPIClient.request": _async_request,
        "AsyncAPIClient._process_response": _async_process_response,
        **_by_wrapt(attempts.HOOKS),
    },
    **{module: _httpx.hooks() for module in httpx.MODULES},
    **{module: _by_wrapt(_websockets.hooks(name)) for module, name in CONNECTIONS.items()},
}
