"""The calls inside one websocket connection, told from the events that pass over it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from taximeter.answer import AttributeValue
from taximeter.begin import started
from taximeter.call import Call
from taximeter.endpoints import Endpoint
from taximeter.meter import meter_on
from taximeter.request import hashes, key_name

HEAD = 200
# Nearly all messages are pieces of an answer; they say so in their first bytes.
_PIECE = re.compile(rb'"type"\s*:\s*"[a-z_.]*\.delta"')


class Peer(NamedTuple):
    """The other end of a connection, as its handshake tells it."""

    api_type: str
    model: str
    api_key: str
    attributes: Mapping[str, str | int]
    """Those of every call of the connection."""


class Asked(NamedTuple):
    lane: object
    """The `stream_id`: requests of one lane are answered in turn."""
    event_id: object
    call: Call


class Conversation:
    def __init__(self, peer: Peer, tags: Mapping[str, str]) -> None:
        self._peer = peer
        self._tags = tags
        self._served = ""
        self._transcriber = ""
        self._asked: list[Asked] = []
        self._open: dict[object, Call] = {}
        self._silent: dict[object, Call] = {}
        """Calls whose answer has begun without a piece of it yet, by lane or else by id."""

    def asked(self, event: Mapping[str, Any]) -> Call | None:
        """Start the call that a `response.create` asks for."""
        parameters = event if self._peer.api_type == "responses" else event.get("response") or {}
        call = self._started("chat", parameters)
        if call is not None:
            self._asked.append(Asked(event.get("stream_id"), event.get("event_id"), call))
        return call

    def unsent(self, call: Call, error: BaseException) -> None:
        self._asked = [asked for asked in self._asked if asked.call is not call]
        call.failed(error)

    def received(self, message: bytes | str) -> None:
        content = message.encode() if isinstance(message, str) else message
        if _PIECE.search(content, 0, HEAD):
            if self._silent:
                self._note_first_piece(content)
        elif _NEWS.search(content):
            self._read(json.loads(content))

    def ended(self, error: BaseException | None = None) -> None:
        """End what the connection left unfinished."""
        for call in self._take_unfinished():
            call.end() if error is None else call.failed(error)

    def abandon(self) -> None:
        for call in self._take_unfinished():
            call.abandon()

    def _take_unfinished(self) -> list[Call]:
        calls = [asked.call for asked in self._asked] + list(self._open.values())
        self._asked.clear()
        self._open.clear()
        self._silent.clear()
        return calls

    def _read(self, event: Mapping[str, Any]) -> None:
        if reader := _READERS.get(event.get("type", "")):
            reader(self, event)

    def _session(self, event: Mapping[str, Any]) -> None:
        session = event.get("session") or {}
        self._served = session.get("model") or self._served
        audio = (session.get("audio") or {}).get("input") or {}
        transcription = audio.get("transcription") or session.get("input_audio_transcription")
        self._transcriber = (transcription or {}).get("model") or self._transcriber

    def _created(self, event: Mapping[str, Any]) -> None:
        asked = next((asked for asked in self._asked if asked.lane == event.get("stream_id")), None)
        if asked is not None:
            self._asked.remove(asked)
        # Nobody asks for an answer that begins when the server hears the end of speech.
        body = event["response"]
        call = asked.call if asked is not None else self._started("chat", _model_of(body))
        if call is not None:
            self._open[body.get("id")] = self._silent[_lane(event)] = call

    def _note_first_piece(self, content: bytes) -> None:
        lane = next(iter(self._silent))
        if len(self._silent) > 1:
            lane = _lane(json.loads(content))
        if call := self._silent.pop(lane, None):
            call.first_chunk()

    def _done(self, event: Mapping[str, Any]) -> None:
        body = event["response"]
        self._silent.pop(_lane(event), None)
        call = self._open.pop(body.get("id"), None) or self._started("chat", _model_of(body))
        if call is None:
            return
        call.answer.take({**event, "response": _as_response(body)})
        if self._served:
            call.answer.attributes.setdefault("gen_ai.response.model", self._served)
        call.end()

    def _transcribed(self, event: Mapping[str, Any]) -> None:
        self._at_once("transcription", self._transcriber, event.get("item_id"), event.get("usage"))

    def _closed(self, event: Mapping[str, Any]) -> None:
        if self._peer.api_type == "live":
            session = event.get("session") or {}
            model = session.get("model") or self._served
            self._at_once("chat", model, session.get("id"), event.get("usage"))

    def _at_once(self, operation: str, model: str, identity: object, usage: object) -> None:
        """Tell of a call that only its usage tells of."""
        call = self._started(operation, {"model": model})
        if call is None:
            return
        body = {"id": identity, "model": model, "usage": usage}
        call.answer.take(_as_response(body))
        if isinstance(usage, dict) and isinstance(usage.get("seconds"), int | float):
            call.answer.attributes["taximeter.meter.seconds"] = float(usage["seconds"])
        call.end()

    def _nested(self, event: Mapping[str, Any]) -> None:
        inner = event.get("event") or {}
        if str(inner.get("type")).startswith("response."):
            self._read(inner)

    def _refused(self, event: Mapping[str, Any]) -> None:
        error = event.get("error") or {}
        key = (event.get("stream_id"), error.get("event_id"))
        asked = next((asked for asked in self._asked if asked[:2] == key), None)
        if asked is None:
            return
        self._asked.remove(asked)
        call = asked.call
        call.attributes["error.type"] = str(error.get("code") or error.get("type") or "error")
        status = event.get("status", 400 if error.get("type") == "invalid_request_error" else None)
        if isinstance(status, int):
            call.attributes["http.response.status_code"] = status
        call.end()

    def _started(self, operation: str, parameters: Mapping[str, Any]) -> Call | None:
        meter = meter_on()
        if meter is None:
            return None
        settings, peer, model = meter.settings, self._peer, self._served or self._peer.model
        asked = {"model": model, **parameters}
        endpoint = Endpoint(operation, peer.api_type)
        request: dict[str, AttributeValue] = {**peer.attributes}
        if peer.api_key:
            request["taximeter.api_key"] = key_name(peer.api_key, settings.hash_key)
        if settings.hash_key and "input" in asked:
            content = {name: asked[name] for name in asked if name not in {"type", "event_id"}}
            request.update(hashes(settings.hash_key, content))
        call = started(meter, endpoint, request, asked)
        if call is not None:
            call.stream_opened()
            if self._tags and call.attribution is not None:
                call.attribution.add(self._tags)
        return call


def _lane(event: Mapping[str, Any]) -> object:
    identity = event.get("response_id") or (event.get("response") or {}).get("id")
    return event.get("stream_id") or identity


def _model_of(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": body["model"]} if body.get("model") else {}


def _as_response(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a realtime answer the names that the Responses API uses."""
    told = dict(body)
    details = told.pop("status_details", None) or {}
    if told.get("status") == "incomplete":
        told.setdefault("incomplete_details", details)
    told.setdefault("error", details.get("error"))
    if isinstance(usage := told.get("usage"), dict):
        told["usage"] = {
            name.replace("_token_details", "_tokens_details"): value
            for name, value in usage.items()
        }
    return told


_READERS: dict[str, Callable[[Conversation, Mapping[str, Any]], None]] = {
    "session.created": Conversation._session,
    "session.updated": Conversation._session,
    "session.closed": Conversation._closed,
    "transcription_session.created": Conversation._session,
    "transcription_session.updated": Conversation._session,
    "response.created": Conversation._created,
    "response.done": Conversation._done,
    "response.completed": Conversation._done,
    "response.failed": Conversation._done,
    "response.incomplete": Conversation._done,
    "response.event": Conversation._nested,
    "conversation.item.input_audio_transcription.completed": Conversation._transcribed,
    "error": Conversation._refused,
}
# An event that only wraps another is found by what it wraps.
_NEWS = re.compile(
    rf'"type"\s*:\s*"({"|".join(map(re.escape, _READERS.keys() - {"response.event"}))})"'.encode()
)
