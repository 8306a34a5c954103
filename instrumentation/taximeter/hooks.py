"""The places where every request of the openai SDK passes, of any version since 1.0."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from taximeter.call import Call, begun
from taximeter.guard import never_raise, warn_once
from taximeter.inject import asking_for_usage, note_refusal
from taximeter.settings import Settings, settings_in
from taximeter.streams import observe
from taximeter.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

MODULE = "openai._base_client"

_lock = threading.Lock()
_tracing: Tracing | None = None
_settings = Settings()
_hooked: list[tuple[type, str, Any, Any]] = []
_waits_for_openai = False

_current: ContextVar[Call | None] = ContextVar("taximeter_call", default=None)


def install(tracer_provider: TracerProvider | None) -> None:
    """Set the hooks now, or as soon as openai is imported."""
    global _tracing, _settings, _waits_for_openai
    settings, complaints = settings_in(os.environ)
    for complaint in complaints:
        warn_once(complaint, "%s", complaint)
    with _lock:
        if _tracing is not None or not settings.enabled:
            return
        _settings = settings
        _tracing = Tracing(tracer_provider, settings)
        register, _waits_for_openai = not _waits_for_openai, True
    if register:
        wrapt.register_post_import_hook(_openai_imported, MODULE)


def remove() -> None:
    """Put the SDK's own functions back, end what is open and flush."""
    global _tracing
    with _lock:
        tracing, _tracing = _tracing, None
        while _hooked:
            owner, name, original, wrapper = _hooked.pop()
            # Somebody who wrapped after us keeps our wrapper, which is inert from now on.
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)
    if tracing is not None:
        tracing.close()


def _openai_imported(module: ModuleType) -> None:
    global _waits_for_openai
    # An exception here would fail the app's import of openai.
    with never_raise("hooking openai"), _lock:
        _waits_for_openai = False
        if _tracing is None:
            return
        missing = [place for place, hook in _HOOKS.items() if not _hook(module, place, hook)]
        if missing:
            names = ", ".join(missing)
            warn_once("hooks", "this version of openai has no %s; calls may go uncounted", names)


def _hook(module: ModuleType, place: str, hook: Callable[..., Any]) -> bool:
    class_name, _, name = place.partition(".")
    owner = getattr(module, class_name, None)
    if owner is None or name not in vars(owner):
        return False
    original = vars(owner)[name]
    wrapper = wrapt.FunctionWrapper(original, hook)
    setattr(owner, name, wrapper)
    _hooked.append((owner, name, original, wrapper))
    return True


def _request(wrapped: Callable[..., Any], client: Any, args: Any, kwargs: Any) -> Any:
    call, outer = _begun(client, args, kwargs), _current.get()
    if call is None and outer is None:
        return wrapped(*args, **kwargs)
    _current.set(call)
    if call is not None:
        args, kwargs = asking_for_usage(call, _settings, args, kwargs)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        if call is not None:
            note_refusal(call, error)
            call.failed(error)
        raise
    finally:
        _current.set(outer)
    if call is not None and not call.streaming:
        call.end()
    return result


async def _async_request(wrapped: Callable[..., Any], client: Any, args: Any, kwargs: Any) -> Any:
    call, outer = _begun(client, args, kwargs), _current.get()
    if call is None and outer is None:
        return await wrapped(*args, **kwargs)
    _current.set(call)
    if call is not None:
        args, kwargs = asking_for_usage(call, _settings, args, kwargs)
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as error:
        if call is not None:
            note_refusal(call, error)
            call.failed(error)
        raise
    finally:
        _current.set(outer)
    if call is not None and not call.streaming:
        call.end()
    return result


def _process_response(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    call = _current.get()
    if call is not None:
        with never_raise("reading an answer"):
            _read(call, **kwargs)
    return wrapped(*args, **kwargs)


def _begun(client: Any, args: Any, kwargs: Any) -> Call | None:
    tracing = _tracing
    if tracing is None:
        return None
    with never_raise("starting a call"):
        tracer = tracing.tracer()
        if tracer is None:
            return None
        options = args[1] if len(args) > 1 else kwargs["options"]
        return begun(tracer, _settings, client, options, stream=bool(kwargs.get("stream")))
    return None


def _read(call: Call, *, response: Any, stream: bool, retries_taken: int = 0, **_: Any) -> None:
    call.answered(response, retries_taken)
    if stream or not response.is_closed:
        observe(response, call, events=stream)
        return
    call.body_ended()
    call.answer.read(response.content)


_HOOKS: dict[str, Callable[..., Any]] = {
    "SyncAPIClient.request": _request,
    "SyncAPIClient._process_response": _process_response,
    "AsyncAPIClient.request": _async_request,
    "AsyncAPIClient._process_response": _process_response,
}
