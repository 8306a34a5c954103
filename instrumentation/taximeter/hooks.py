"""The places where every request of the openai SDK passes, of any version since 1.0."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from taximeter import httpx
from taximeter.around import Hook, Steps, after, around, async_around
from taximeter.attempts import FIRST, Attempts
from taximeter.begin import begun
from taximeter.call import Call, current_call, entered
from taximeter.estimate import kept_of
from taximeter.exceeded import BudgetExceededError
from taximeter.guard import never_raise, warn_once
from taximeter.inject import asking_for_usage, note_refusal, with_model
from taximeter.looks import look
from taximeter.meter import Meter, meter_on, switch
from taximeter.origin import follow, global_provider, unfollow
from taximeter.propagation import taken_from_options, taken_from_request
from taximeter.settings import settings_in
from taximeter.streams import read
from taximeter.websockets import CONNECTIONS, connection_hooks

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

MODULE = "openai._base_client"

_lock = threading.Lock()
_hooked: list[tuple[type, str, Any, Any]] = []
_awaited: set[str] = set()


def install(
    tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None = None
) -> None:
    """Set the hooks now, or as soon as what they belong to is imported."""
    settings, complaints = settings_in(os.environ)
    for complaint in complaints:
        warn_once(complaint, "%s", complaint)
    with _lock:
        if meter_on() is not None or not settings.enabled:
            return
        switch(Meter(tracer_provider, meter_provider, settings))
        modules = _HOOKS.keys() - _awaited
        _awaited.update(modules)
    follow(tracer_provider, global_provider())
    for module in modules:
        wrapt.register_post_import_hook(_imported, module)


def remove() -> None:
    """Put the SDK's own functions back, end what is open and flush."""
    with _lock:
        meter = switch(None)
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
    if meter is not None:
        meter.close()


def _imported(module: ModuleType) -> None:
    # An exception here would fail the app's import of the module.
    with never_raise(f"hooking {module.__name__}"), _lock:
        _awaited.discard(module.__name__)
        if meter_on() is None or (module.__name__ in httpx.MODULES and not httpx.is_wanted()):
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


def _requested(client: Any, args: Any, kwargs: Any) -> Steps:
    call, args, kwargs = _begun(client, args, kwargs)
    if call is None and current_call.get() is None:
        yield args, kwargs
        return
    try:
        with entered(call):
            yield _judged(call, args, kwargs)
    except BaseException as error:
        if call is not None:
            note_refusal(call, error)
            call.failed(error)
        raise
    if call is not None and not call.streaming:
        call.end()


def _built(_args: Any, _kwargs: Any, request: Any) -> None:
    with never_raise("taking tags out of a request"):
        tags, call = taken_from_request(request), current_call.get()
        if tags and call is not None and call.attribution is not None:
            call.attribution.add_of_client(tags)


def _processed(_: Any, args: Any, kwargs: Any) -> Steps:
    if (call := current_call.get()) is None:
        yield args, kwargs
        return
    with never_raise("reading an answer"):
        _read(call, **kwargs)
    try:
        yield args, kwargs
    finally:
        take_back(kwargs["response"])


def _refused(_: Any, args: Any, kwargs: Any) -> Steps:
    with never_raise("noting a refusal"):
        if (attempts := _attempts()) is not None:
            response = args[0] if args else kwargs["response"]
            attempts.refused(response.status_code)
    yield args, kwargs


def _waiting(args: Any, kwargs: Any, wait_s: float) -> None:
    with never_raise("noting a retry"):
        if (attempts := _attempts()) is not None:
            headers = args[2] if len(args) > 2 else kwargs.get("response_headers")
            attempts.waiting(wait_s, answered=headers is not None)


def _attempts() -> Attempts | None:
    call = current_call.get()
    if call is not None and call.attempts is FIRST:
        call.attempts = Attempts()
    return None if call is None else call.attempts


def _begun(client: Any, args: Any, kwargs: Any) -> tuple[Call | None, Any, Any]:
    """Start the call of these arguments of `request`; give them as the SDK shall see them."""
    with never_raise("starting a call"):
        options = _options(args, kwargs)
        tags = taken_from_options(options)
        if (meter := meter_on()) is None:
            return None, args, kwargs
        stream = bool(kwargs.get("stream"))
        call = begun(meter, client, options, stream=stream) or look(meter, client, options)
        if call is not None:
            if tags and call.attribution is not None:
                call.attribution.add(tags)
            if stream:
                asking = asking_for_usage(call, meter.settings, options)
                args, kwargs = _with_options(asking, args, kwargs)
        return call, args, kwargs
    return None, args, kwargs


def _judged(call: Call | None, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Give the arguments as budgets want them; raises BudgetExceededError."""
    meter = meter_on()
    if meter is None or meter.stops is None or call is None or not call.spends:
        return args, kwargs
    with never_raise("asking the budgets", but=BudgetExceededError):
        if model := meter.stops.judge(call.tag):
            return _with_options(with_model(model, _options(args, kwargs)), args, kwargs)
    return args, kwargs


def _options(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[1] if len(args) > 1 else kwargs["options"]


def _with_options(
    options: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, Any]:
    if len(args) > 1:
        return (args[0], options, *args[2:]), kwargs
    return args, {**kwargs, "options": options}


def _read(call: Call, *, response: Any, stream: bool, retries_taken: int = 0, **_: Any) -> None:
    call.answered(response, retries_taken)
    meter = meter_on()
    if meter is not None and meter.settings.prompt_sizes and call.kept is None:
        call.kept = kept_of(response, call.api_type, call.answer, parts=True)
    if (body := read(response, call, stream=stream)) is not None:
        hand_over(response, body)


# Parsing is most of what a plain answer costs, and so is done once, by whoever needs it first.
def hand_over(response: Any, body: Any) -> None:
    """Let `response.json()` give this body; options of its own parse anew."""

    def json(**options: Any) -> Any:
        return type(response).json(response, **options) if options else body

    response.json = json


def take_back(response: Any) -> None:
    """Leave nothing on the response that an app might keep, copy or pickle."""
    vars(response).pop("json", None)


_HOOKS: dict[str, dict[str, Hook]] = {
    MODULE: {
        "BaseClient._build_request": after(_built),
        "SyncAPIClient.request": around(_requested),
        "SyncAPIClient._process_response": around(_processed),
        "AsyncAPIClient.request": async_around(_requested),
        "AsyncAPIClient._process_response": async_around(_processed),
        "BaseClient._should_retry": around(_refused),
        "BaseClient._calculate_retry_timeout": after(_waiting),
    },
    **dict.fromkeys(httpx.MODULES, httpx.HOOKS),
    **{module: connection_hooks(name) for module, name in CONNECTIONS.items()},
}
