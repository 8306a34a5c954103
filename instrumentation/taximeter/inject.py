"""Asking for the usage of a stream where the app did not, of servers known to take the option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taximeter.call import Call
from taximeter.guard import never_raise, warn_once
from taximeter.settings import Settings, host_names

OPENAI = "api.openai.com"
_API_TYPES = {"chat.completions", "completions"}
_REFUSALS = {400, 422}

_refusing: set[str] = set()


def asking_for_usage(call: Call, settings: Settings, options: Any) -> Any:
    """Give the options of a stream with the usage asked for, in a copy where it was not."""
    if not settings.inject_usage or not _is_safe(call, settings):
        return options
    with never_raise("asking for usage"):
        asking = _asking(options)
        if asking is not None:
            call.asked_usage = True
            return asking
    return options


def with_model(model: str, options: Any) -> Any:
    """Give the options for another model, in a copy."""
    if not isinstance(options.json_data, Mapping) or "model" not in options.json_data:
        return options
    return _updated(options, "json_data", {**options.json_data, "model": model})


def note_refusal(call: Call, error: BaseException) -> None:
    """Leave a server alone that does not know the option."""
    status = getattr(error, "status_code", None)
    if call.asked_usage and status in _REFUSALS and "stream_options" in str(error):
        _refusing.add(call.host)
        warn_once(call.host, "%s refused stream_options; it is not asked again", call.host)


def _is_safe(call: Call, settings: Settings) -> bool:
    if call.api_type not in _API_TYPES or call.host in _refusing:
        return False
    listed = host_names(settings.inject_usage_hosts)
    return call.host == OPENAI or call.host in listed or "*" in listed


def _asking(options: Any) -> Any | None:
    body, extra = options.json_data, getattr(options, "extra_json", None) or {}
    if not isinstance(body, Mapping) or {**body, **extra}.get("stream") is not True:
        return None
    name, holder = ("extra_json", extra) if "stream_options" in extra else ("json_data", body)
    chosen = holder.get("stream_options")
    if chosen is None:
        chosen = {}
    if not isinstance(chosen, Mapping) or "include_usage" in chosen:
        return None
    asked = {**holder, "stream_options": {**chosen, "include_usage": True}}
    return _updated(options, name, asked)


def _updated(options: Any, name: str, value: Mapping[str, Any]) -> Any:
    # Pydantic 1, which the SDK still supports, has only `copy`.
    copied = getattr(options, "model_copy", None) or options.copy
    return copied(update={name: value})
