from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import taximeter

# The SDK connects without `with`, of which websockets 17 warns.
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used as:DeprecationWarning")

API_KEY = "sk-proj-0123456789abcdefWXYZ"
SECRET = "the-secret-of-the-app"
Events = list[dict[str, Any]]

SESSION = {
    "type": "session.created",
    "session": {
        "model": "gpt-realtime-2025-08-28",
        "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}},
    },
}
DELTA = {"type": "response.output_audio.delta", "response_id": "resp_1", "delta": SECRET}
USAGE = {
    "total_tokens": 150,
    "input_tokens": 100,
    "output_tokens": 50,
    "input_token_details": {
        "text_tokens": 30,
        "audio_tokens": 70,
        "cached_tokens": 40,
        "cached_tokens_details": {"text_tokens": 30, "audio_tokens": 10},
    },
    "output_token_details": {"text_tokens": 10, "audio_tokens": 40},
}
TOKENS = {
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.audio.input_tokens": 70,
    "gen_ai.usage.cache_read.input_tokens": 40,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.audio.output_tokens": 40,
    "taximeter.usage.source": "reported",
}
CREATE = {"type": "response.create", "response": {"instructions": SECRET}}
CLOSE: Events = []
"""The turn in which the server closes the connection."""


def created(identity: str = "resp_1") -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": identity, "status": "in_progress"}}


def done(identity: str = "resp_1", **fields: Any) -> dict[str, Any]:
    told = {"id": identity, "status": "completed", "status_details": None, "usage": USAGE}
    return {"type": "response.done", "response": {**told, "output": [SECRET], **fields}}


class Server:
    """A loopback websocket API: it greets, then answers each message with the next turn."""

    def __init__(self) -> None:
        self.url = ""
        self.greeting: Events = [SESSION]
        self.turns: list[Events] = []
        self.headers: dict[str, str] = {}

    def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers = dict(connection.request.headers)
        for event in self.greeting:
            connection.send(json.dumps(event))
        try:
            while True:
                connection.recv()
                turn = self.turns.pop(0)
                for event in turn:
                    connection.send(json.dumps(event))
                if turn is CLOSE:
                    connection.close(1011)
        except ConnectionClosed:
            pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with serve(server.talk, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        server.url = f"http://127.0.0.1:{listening.socket.getsockname()[1]}/v1"
        yield server
        listening.shutdown()
        thread.join()


class Talk:
    """Drives sync and async connections by the same words."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.runner = asyncio.Runner()
        self.is_async = isinstance(client, openai.AsyncOpenAI)

    def run(self, result: Any) -> Any:
        async def awaited() -> Any:
            return await result

        return self.runner.run(awaited()) if self.is_async else result

    def realtime(self, **options: Any) -> Any:
        api: Any = getattr(self.client, "realtime", None) or self.client.beta.realtime
        return self.run(api.connect(model="gpt-realtime", **options).enter())

    def connect(self, name: str, **options: Any) -> Any:
        api: Any = getattr(self.client, name, None)
        if not hasattr(api, "connect"):
            pytest.skip(f"this version of the SDK has no websocket of {name}")
        return self.run(api.connect(**options).enter())

    def recv(self, connection: Any, count: int) -> list[Any]:
        return [self.run(connection.recv()) for _ in range(count)]


@pytest.fixture(params=["sync", "async"])
def talk(request: pytest.FixtureRequest, server: Server) -> Iterator[Talk]:
    sort = openai.OpenAI if request.param == "sync" else openai.AsyncOpenAI
    sockets = server.url.replace("http", "ws")
    talk = Talk(sort(api_key=API_KEY, base_url=server.url, websocket_base_url=sockets))
    yield talk
    talk.run(talk.client.close())
    talk.runner.close()


TAGGED = {"X-Taximeter-Feature": "voice", "x-taximeter-tag-plan": "gold", "x-app": "kept"}


@pytest.mark.parametrize("name", ["realtime", "responses"])
def test_tags_in_the_headers_of_a_connection_go_to_its_calls_and_not_on(
    talk: Talk, server: Server, spans: Any, name: str
) -> None:
    server.turns = [[created(), done()], [created("resp_2"), done("resp_2")]]
    options = {"extra_headers": TAGGED}

    with taximeter.tag(feature="outer", team="search"):
        connect = talk.realtime if name == "realtime" else partial(talk.connect, name)
        connection = connect(**options)
        talk.recv(connection, 1)
        for _ in range(2):
            talk.run(connection.send(CREATE if name == "realtime" else {"type": "response.create"}))
            talk.recv(connection, 2)
    talk.run(connection.close())

    for span in spans.all():
        assert span.attributes["taximeter.feature"] == "voice"
        assert span.attributes["taximeter.tag.plan"] == "gold"
        assert span.attributes["taximeter.team"] == "search"
    assert len(spans.all()) == 2
    assert server.headers["x-app"] == "kept"
    assert not [key for key in server.headers if "taximeter" in key.lower()]
    assert "X-Taximeter-Feature" in TAGGED


def test_a_connection_in_a_with_block_has_its_tags(server: Server, spans: Any) -> None:
    server.turns = [[created(), done()]]
    sockets = server.url.replace("http", "ws")
    client = openai.OpenAI(api_key=API_KEY, base_url=server.url, websocket_base_url=sockets)

    api: Any = getattr(client, "realtime", None) or client.beta.realtime
    with api.connect(model="gpt-realtime", extra_headers=TAGGED) as connection:
        connection.send({"type": "response.create"})
        for _ in range(3):
            connection.recv()

    assert spans.only()["taximeter.feature"] == "voice"


def test_each_realtime_response_is_one_call(talk: Talk, server: Server, spans: Any) -> None:
    server.turns = [[created(), DELTA, DELTA, done()], [created("resp_2"), done("resp_2")]]
    connection = talk.realtime()

    talk.run(connection.send(CREATE))
    events = talk.recv(connection, 5)
    talk.run(connection.response.create())
    talk.recv(connection, 2)
    talk.run(connection.close())

    assert type(events[-1]).__name__ == "ResponseDoneEvent"
    one, two = (dict(span.attributes) for span in spans.all())
    assert one.items() >= TOKENS.items()
    assert one["gen_ai.request.model"] == "gpt-realtime"
    assert one["gen_ai.response.model"] == "gpt-realtime-2025-08-28"
    assert one["gen_ai.response.id"] == "resp_1"
    assert one["gen_ai.response.finish_reasons"] == ("completed",)
    assert one["gen_ai.response.time_to_first_chunk"] > 0
    assert one["openai.api.type"] == "realtime"
    assert one["server.port"] == int(server.url.split(":")[2].removesuffix("/v1"))
    assert one["taximeter.api_key"] == "WXYZ"
    assert one["taximeter.feature"].startswith("tests.instrumentation.test_websockets.")
    assert two["gen_ai.response.id"] == "resp_2"
    assert "gen_ai.response.time_to_first_chunk" not in two


def test_a_response_that_the_server_began_is_a_call_too(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.greeting = [SESSION, created(), DELTA, done()]
    connection = talk.realtime()

    talk.recv(connection, 4)
    talk.run(connection.close())

    assert spans.only().items() >= TOKENS.items()


def test_a_response_read_as_bytes_is_counted(talk: Talk, server: Server, spans: Any) -> None:
    server.greeting = [SESSION, created(), done()]
    connection = talk.realtime()

    message = [talk.run(connection.recv_bytes()) for _ in range(3)][-1]
    connection.parse_event(message)
    talk.run(connection.close())

    assert type(message) is bytes
    assert spans.only().items() >= TOKENS.items()


def transcribed(usage: dict[str, Any]) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": "item_1", "transcript": SECRET, "usage": usage}


def test_the_transcription_of_input_is_a_call_of_its_own_model(
    talk: Talk, server: Server, spans: Any
) -> None:
    counted = {"type": "tokens", "input_tokens": 26, "output_tokens": 17, "total_tokens": 43}
    details = {"audio_tokens": 26, "text_tokens": 0}
    server.greeting = [SESSION, transcribed({**counted, "input_token_details": details})]
    connection = talk.realtime()

    talk.recv(connection, 2)
    talk.run(connection.close())

    span = spans.only()
    assert span["gen_ai.operation.name"] == "transcription"
    assert span["gen_ai.request.model"] == "gpt-4o-transcribe"
    assert span["gen_ai.response.id"] == "item_1"
    assert span["gen_ai.usage.audio.input_tokens"] == 26
    assert span["gen_ai.usage.output_tokens"] == 17


def test_a_transcription_by_the_second_is_metered_in_seconds(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.greeting = [SESSION, transcribed({"type": "duration", "seconds": 3})]
    connection = talk.realtime()

    talk.recv(connection, 2)
    talk.run(connection.close())

    span = spans.only()
    assert span["taximeter.meter.seconds"] == 3.0
    assert "gen_ai.usage.input_tokens" not in span


@pytest.mark.parametrize(
    ("fields", "reason", "error"),
    [
        ({"status": "cancelled", "status_details": {"reason": "turn_detected"}}, "cancelled", None),
        ({"status": "incomplete", "status_details": {"reason": "max_output_tokens"}}, "max", None),
        ({"status": "failed", "status_details": {"error": {"code": "x"}}}, "failed", "APIError"),
    ],
)
def test_a_response_that_was_not_completed_says_why(
    talk: Talk, server: Server, spans: Any, fields: Any, reason: str, error: str | None
) -> None:
    server.greeting = [SESSION, created(), done(**fields)]
    connection = talk.realtime()

    talk.recv(connection, 3)
    talk.run(connection.close())

    span = spans.only()
    assert span["gen_ai.response.finish_reasons"][0].startswith(reason)
    assert span.get("error.type") == error
    assert span.items() >= TOKENS.items()


def test_a_response_cut_off_by_close_is_lost_and_no_error(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.turns = [[created(), DELTA]]
    connection = talk.realtime()
    talk.run(connection.send(CREATE))
    talk.recv(connection, 3)

    talk.run(connection.close())

    span = spans.only()
    assert span["taximeter.usage.source"] == "lost"
    assert "error.type" not in span


def test_a_connection_that_broke_fails_what_was_open(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.turns = [CLOSE]
    connection = talk.realtime()
    talk.run(connection.send(CREATE))
    talk.recv(connection, 1)

    with pytest.raises(ConnectionClosed):
        talk.recv(connection, 1)
    talk.run(connection.close())

    span = spans.only()
    assert span["error.type"] == "ConnectionClosedError"
    assert span["taximeter.usage.source"] == "lost"


def test_a_request_that_could_not_be_sent_fails_with_the_apps_exception(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.greeting = []
    connection = talk.realtime()
    talk.run(connection.close())

    with pytest.raises(ConnectionClosed) as caught:
        talk.run(connection.send(CREATE))

    assert spans.only()["error.type"] == type(caught.value).__name__


def test_a_connection_dropped_unread_ends_its_calls_with_the_next(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.greeting = [SESSION, created("resp_0"), done("resp_0")]
    dropped, connection = talk.realtime(), talk.realtime()
    talk.recv(dropped, 2)
    socket = dropped._connection

    del dropped
    gc.collect()
    talk.recv(connection, 3)
    talk.run(socket.close())
    talk.run(connection.close())

    first, second = (dict(span.attributes) for span in spans.all())
    assert first["taximeter.usage.source"] == "lost"
    assert second["taximeter.usage.source"] == "reported"


def test_a_refused_request_bills_nothing(talk: Talk, server: Server, spans: Any) -> None:
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": SECRET}
    server.turns = [[{"type": "error", "error": error}]]
    connection = talk.realtime()

    talk.run(connection.send(CREATE))
    talk.recv(connection, 2)
    talk.run(connection.close())

    span = spans.only()
    assert span["error.type"] == "invalid_value"
    assert "taximeter.usage.source" not in span


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5-2025-08-07",
    "service_tier": "priority",
    "output": [],
    "usage": {
        "input_tokens": 90,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 99,
    },
}


@pytest.fixture
def hash_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXIMETER_HASH_KEY", "an-hmac-key-of-the-team")


@pytest.mark.usefixtures("hash_key")
def test_a_response_over_websocket_reports_like_one_over_http(
    talk: Talk, server: Server, spans: Any
) -> None:
    server.greeting = []
    delta = {"type": "response.output_text.delta", "delta": SECRET}
    completed = {"type": "response.completed", "response": RESPONSE}
    server.turns = [[created(), delta, completed]]
    connection = talk.connect("responses")

    talk.run(connection.response.create(model="gpt-5", input=SECRET, max_output_tokens=99))
    events = talk.recv(connection, 3)
    talk.run(connection.close())

    assert events[-1].response.usage.total_tokens == 99
    span = spans.only()
    assert span["openai.api.type"] == "responses"
    assert span["gen_ai.request.model"] == "gpt-5"
    assert span["gen_ai.request.max_tokens"] == 99
    assert span["gen_ai.response.model"] == "gpt-5-2025-08-07"
    assert span["gen_ai.usage.cache_read.input_tokens"] == 60
    assert span["gen_ai.usage.reasoning.output_tokens"] == 4
    assert span["openai.response.service_tier"] == "priority"
    assert span["gen_ai.response.time_to_first_chunk"] > 0
    assert len(span["taximeter.request.hash"]) == 32


def test_a_live_session_is_one_call_beside_the_responses_it_delegated(
    talk: Talk, server: Server, spans: Any
) -> None:
    nested = {"type": "response.completed", "response": RESPONSE}
    session = {"id": "sess_1", "model": "gpt-live"}
    server.greeting = [
        {"type": "session.created", "session": session},
        {"type": "response.event", "event": nested},
        {"type": "session.closed", "session": session, "usage": {"seconds": 61.5}},
    ]
    connection = talk.connect("live")

    talk.recv(connection, 3)
    talk.run(connection.close())

    response, whole = (dict(span.attributes) for span in spans.all())
    assert response["gen_ai.response.id"] == "resp_1"
    assert response["gen_ai.request.model"] == "gpt-5-2025-08-07"
    assert response["gen_ai.usage.input_tokens"] == 90
    assert whole["gen_ai.response.id"] == "sess_1"
    assert whole["taximeter.meter.seconds"] == 61.5


def test_lanes_of_one_connection_are_told_apart(talk: Talk, server: Server, spans: Any) -> None:
    def lane(name: str, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "stream_id": name, **fields}

    def answer(identity: str) -> dict[str, Any]:
        return {"response": {**RESPONSE, "id": identity, "model": f"of-{identity}"}}

    server.greeting = []
    server.turns = [
        [],
        [
            lane("b", "created", **answer("resp_b")),
            lane("a", "created", **answer("resp_a")),
            lane("b", "output_text.delta", delta=SECRET),
            lane("b", "completed", **answer("resp_b")),
            lane("a", "completed", **answer("resp_a")),
        ],
    ]
    connection = talk.connect("responses")

    for name in ("a", "b"):
        request = {"type": "response.create", "stream_id": name, "model": f"of-resp_{name}"}
        talk.run(connection.send(request))
    talk.recv(connection, 5)
    talk.run(connection.close())

    first, second = (dict(span.attributes) for span in spans.all())
    assert (first["gen_ai.request.model"], first["gen_ai.response.id"]) == ("of-resp_b", "resp_b")
    assert (second["gen_ai.request.model"], second["gen_ai.response.id"]) == ("of-resp_a", "resp_a")
    assert "gen_ai.response.time_to_first_chunk" in first
    assert "gen_ai.response.time_to_first_chunk" not in second
