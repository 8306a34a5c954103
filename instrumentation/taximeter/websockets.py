"""The SDK's websocket connections: realtime, live, and responses over websocket."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

from taximeter.around import Hook, Steps, around, async_around
from taximeter.conversation import Conversation, Peer
from taximeter.endpoints import server_at
from taximeter.guard import never_raise
from taximeter.propagation import parted
from taximeter.request import key_in

if TYPE_CHECKING:
    from taximeter.call import Call

CONNECTIONS = {
    "openai.resources.beta.realtime.realtime": "RealtimeConnection",
    "openai.resources.beta.responses.responses": "ResponsesConnection",
    "openai.resources.live.forks": "ForksConnection",
    "openai.resources.live.live": "LiveConnection",
    "openai.resources.live.sideband": "SidebandConnection",
    "openai.resources.realtime.realtime": "RealtimeConnection",
    "openai.resources.responses.responses": "ResponsesConnection",
}
_API_TYPES = {"RealtimeConnection": "realtime", "ResponsesConnection": "responses"}
_HEADERS = {
    "openai-project": "taximeter.openai.project",
    "openai-organization": "taximeter.openai.organization",
}


_conversations: WeakKeyDictionary[Any, Conversation] = WeakKeyDictionary()
_tags: WeakKeyDictionary[Any, Mapping[str, str]] = WeakKeyDictionary()
"""Of connections, and of their managers until they have connected."""


def connection_hooks(class_name: str) -> dict[str, Hook]:
    hooks = {}
    for prefix, way in (("", around), ("Async", async_around)):
        connection = f"{prefix}{class_name}"
        # Every reading method of a connection ends in `recv_bytes`.
        hooks[f"{connection}.recv_bytes"] = way(_receiving)
        hooks[f"{connection}.send"] = way(_sending)
        hooks[f"{connection}.close"] = way(_closing)
        hooks[f"{connection}Manager.__init__"] = around(_preparing)
        hooks[f"{connection}Manager.__{'a' if prefix else ''}enter__"] = way(_connecting)
        hooks[f"{connection}Manager.enter"] = way(_connecting)
    return hooks


def _preparing(manager: Any, args: Any, kwargs: Any) -> Steps:
    with never_raise("taking tags out of a websocket's headers"):
        others, tags = parted(kwargs.get("extra_headers") or {})
        if tags:
            kwargs = {**kwargs, "extra_headers": others}
            _tags[manager] = tags
    yield args, kwargs


def _connecting(manager: Any, args: Any, kwargs: Any) -> Steps:
    connection = yield args, kwargs
    if tags := _tags.get(manager):
        _tags[connection] = tags


def _receiving(connection: Any, args: Any, kwargs: Any) -> Steps:
    try:
        message = yield args, kwargs
    except Exception as error:
        _broke(connection, error)
        raise
    with never_raise("reading a websocket event"):
        _conversation(connection).received(message)


def _sending(connection: Any, args: Any, kwargs: Any) -> Steps:
    call = _asked(connection, *args, **kwargs)
    try:
        yield args, kwargs
    except BaseException as error:
        if call is not None:
            _conversation(connection).unsent(call, error)
        raise


def _closing(connection: Any, args: Any, kwargs: Any) -> Steps:
    try:
        yield args, kwargs
    finally:
        _ended(connection)


def _asked(owner: Any, event: Any = None, **_: Any) -> Call | None:
    with never_raise("reading a websocket request"):
        told = event if isinstance(event, Mapping) else {"type": getattr(event, "type", "")}
        if told.get("type") != "response.create":
            return None
        parameters = event if isinstance(event, Mapping) else event.to_dict()
        return _conversation(owner).asked(_given(parameters))
    return None


def _broke(owner: Any, error: Exception) -> None:
    # A timeout or a second reader is no end of the connection.
    if type(error).__name__.startswith("ConnectionClosed"):
        _ended(owner, None if type(error).__name__ == "ConnectionClosedOK" else error)


def _ended(owner: Any, error: Exception | None = None) -> None:
    with never_raise("ending a websocket connection"):
        _conversation(owner).ended(error)


def _conversation(owner: Any) -> Conversation:
    known = _conversations.get(owner)
    if known is None:
        # One thread may send while another reads.
        fresh = Conversation(_peer(owner), _tags.get(owner, {}))
        known = _conversations.setdefault(owner, fresh)
        weakref.finalize(owner, known.abandon).atexit = False
    return known


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in parameters.items()
        if type(value).__name__ not in {"NotGiven", "Omit"}
    }


def _peer(owner: Any) -> Peer:
    wire = owner._connection
    protocol = wire.protocol
    uri = getattr(protocol, "uri", None) or protocol.wsuri
    query = parse_qs(urlsplit(uri.resource_name).query)
    model = next((query[name][0] for name in ("model", "deployment") if name in query), "")
    told = wire.response.headers if wire.response is not None else {}
    return Peer(
        api_type=_API_TYPES.get(type(owner).__name__.removeprefix("Async"), "live"),
        model=model,
        api_key=key_in(dict(wire.request.headers.raw_items())),
        attributes={
            **server_at(f"https://{uri.host}:{uri.port}", azure=False),
            **{name: told[key] for key, name in _HEADERS.items() if key in told},
        },
    )
