"""The SDK's websocket connections: realtime, live, and responses over websocket."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

from taximeter.call_headers import parted
from taximeter.conversation import Conversation, Peer
from taximeter.endpoints import server_at
from taximeter.guard import never_raise
from taximeter.request import key_in

if TYPE_CHECKING:
    from taximeter.call import Call
    from taximeter.current import Meter

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


class Websockets:
    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._conversations: WeakKeyDictionary[Any, Conversation] = WeakKeyDictionary()
        self._tags: WeakKeyDictionary[Any, Mapping[str, str]] = WeakKeyDictionary()
        """Of connections, and of their managers until they have connected."""

    def hooks(self, class_name: str) -> dict[str, Callable[..., Any]]:
        # Every reading method of a connection ends in `recv_bytes`.
        return {
            f"{class_name}.recv_bytes": self._recv,
            f"{class_name}.send": self._send,
            f"{class_name}.close": self._close,
            f"Async{class_name}.recv_bytes": self._async_recv,
            f"Async{class_name}.send": self._async_send,
            f"Async{class_name}.close": self._async_close,
            f"{class_name}Manager.__init__": self._prepare,
            f"{class_name}Manager.__enter__": self._connect,
            f"{class_name}Manager.enter": self._connect,
            f"Async{class_name}Manager.__init__": self._prepare,
            f"Async{class_name}Manager.__aenter__": self._async_connect,
            f"Async{class_name}Manager.enter": self._async_connect,
        }

    def _prepare(self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any) -> Any:
        with never_raise("taking tags out of a websocket's headers"):
            others, tags = parted(kwargs.get("extra_headers") or {})
            if tags:
                kwargs = {**kwargs, "extra_headers": others}
                self._tags[owner] = tags
        return wrapped(*args, **kwargs)

    def _connect(self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any) -> Any:
        connection = wrapped(*args, **kwargs)
        self._connected(owner, connection)
        return connection

    async def _async_connect(
        self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any
    ) -> Any:
        connection = await wrapped(*args, **kwargs)
        self._connected(owner, connection)
        return connection

    def _connected(self, manager: Any, connection: Any) -> None:
        if tags := self._tags.get(manager):
            self._tags[connection] = tags

    def _recv(self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any) -> Any:
        try:
            message = wrapped(*args, **kwargs)
        except Exception as error:
            self._broke(owner, error)
            raise
        self._received(owner, message)
        return message

    async def _async_recv(
        self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any
    ) -> Any:
        try:
            message = await wrapped(*args, **kwargs)
        except Exception as error:
            self._broke(owner, error)
            raise
        self._received(owner, message)
        return message

    def _send(self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any) -> Any:
        call = self._asked(owner, *args, **kwargs)
        try:
            return wrapped(*args, **kwargs)
        except BaseException as error:
            if call is not None:
                self._conversation(owner).unsent(call, error)
            raise

    async def _async_send(
        self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any
    ) -> Any:
        call = self._asked(owner, *args, **kwargs)
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:
            if call is not None:
                self._conversation(owner).unsent(call, error)
            raise

    def _close(self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any) -> Any:
        try:
            return wrapped(*args, **kwargs)
        finally:
            self._ended(owner)

    async def _async_close(
        self, wrapped: Callable[..., Any], owner: Any, args: Any, kwargs: Any
    ) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        finally:
            self._ended(owner)

    def _asked(self, owner: Any, event: Any = None, **_: Any) -> Call | None:
        with never_raise("reading a websocket request"):
            told = event if isinstance(event, Mapping) else {"type": getattr(event, "type", "")}
            if told.get("type") != "response.create":
                return None
            parameters = event if isinstance(event, Mapping) else event.to_dict()
            return self._conversation(owner).asked(_given(parameters))
        return None

    def _received(self, owner: Any, message: bytes | str) -> None:
        with never_raise("reading a websocket event"):
            self._conversation(owner).received(message)

    def _broke(self, owner: Any, error: Exception) -> None:
        # A timeout or a second reader is no end of the connection.
        if type(error).__name__.startswith("ConnectionClosed"):
            self._ended(owner, None if type(error).__name__ == "ConnectionClosedOK" else error)

    def _ended(self, owner: Any, error: Exception | None = None) -> None:
        with never_raise("ending a websocket connection"):
            self._conversation(owner).ended(error)

    def _conversation(self, owner: Any) -> Conversation:
        known = self._conversations.get(owner)
        if known is None:
            # One thread may send while another reads.
            fresh = Conversation(self._meter, _peer(owner), self._tags.get(owner, {}))
            known = self._conversations.setdefault(owner, fresh)
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
        server=server_at(f"https://{uri.host}:{uri.port}", azure=False),
        model=model,
        api_key=key_in(dict(wire.request.headers.raw_items())),
        headers={name: told[key] for key, name in _HEADERS.items() if key in told},
    )
