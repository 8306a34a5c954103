"""Budgets that stop calls: what the app is told, and that nothing else ever stops it."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

import openai_bodies as bodies
import taximeter
from fake_api import fake_api, json_reply
from taximeter.meter import meter_on
from taximeter.settings import Settings
from taximeter.stop import OLD_S, Stops, fetching_from

STOP = {
    "budget": "Search",
    "scope": {"taximeter.feature": ["search"]},
    "not": {},
    "each": "",
    "limit": "10",
    "stops_at": "10",
    "spent": {"": "10.02"},
    "usd_a_call": "0.01",
    "resets_at": "2026-12-01T00:00:00+00:00",
    "action": "block",
    "model": "",
    "when_unsure": "allow",
}


class Service:
    """Answers for the rules as it is told."""

    def __init__(self) -> None:
        self.stops: list[dict[str, Any]] = []
        self.status = 200
        self.location = ""
        self.asked: list[dict[str, str]] = []
        self.url = ""


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append({"path": self.path, **dict(self.headers)})
            body = json.dumps({"stops": service.stops}).encode()
            etag = f'"{hash(body)}"'
            status = 304 if self.headers["If-None-Match"] == etag else service.status
            self.send_response(status)
            self.send_header("ETag", etag)
            if service.location:
                self.send_header("Location", service.location)
            self.end_headers()
            self.wfile.write(body if status == 200 else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


def judged(stops: Stops, tags: dict[str, str]) -> str:
    return stops.judge(lambda name: tags.get(name, ""))


def stops_with(*rules: dict[str, Any]) -> Stops:
    stops = Stops(lambda _etag: ([STOP | rule for rule in rules], "e"))
    stops.poll()
    return stops


@pytest.fixture
def client(fake: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=fake.url, max_retries=0) as client:
        yield client


def chat(client: openai.OpenAI, feature: str = "search") -> Any:
    with taximeter.tag(feature=feature):
        return client.chat.completions.create(model="gpt-4o", messages=[])


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    def using(stops: Stops) -> None:
        monkeypatch.setattr(meter_on(), "stops", stops)

    return using


def test_a_call_of_a_budget_that_is_used_up_is_not_sent(
    spans: Any, client: openai.OpenAI, use: Any
) -> None:
    use(stops_with({}))

    with pytest.raises(taximeter.BudgetExceededError) as stopped:
        chat(client)

    error = stopped.value
    assert (error.budget, error.spent, error.limit) == ("Search", "10.02", "10")
    assert error.scope == "taximeter.feature=search"
    assert error.resets_at == "2026-12-01T00:00:00+00:00"
    told = spans.only()
    assert told["error.type"] == "BudgetExceededError"
    assert told["taximeter.usage.source"] == "none"
    assert chat(client, feature="other").choices


def test_the_error_passes_between_processes() -> None:
    error = taximeter.BudgetExceededError("a", "b", "1", "2", "c")

    again = pickle.loads(pickle.dumps(error))

    assert (str(again), vars(again)) == (str(error), vars(error))


def test_an_async_call_is_stopped_too(sdk: Any, spans: Any, use: Any) -> None:  # noqa: ARG001
    use(stops_with({"scope": {}}))

    with pytest.raises(taximeter.BudgetExceededError, match="all calls"):
        sdk.chat()


def test_what_was_begun_before_can_be_looked_at_and_cancelled(
    spans: Any,  # noqa: ARG001
    use: Any,
) -> None:
    batch, answer = bodies.batch("in_progress"), bodies.response("queued", background=True)
    with fake_api() as api, openai.OpenAI(api_key="k", base_url=api.url, max_retries=0) as client:
        asked: dict[str, Any] = {"model": "gpt-5", "input": "x", "background": True}
        new: dict[str, Any] = {
            "completion_window": "24h",
            "endpoint": "/v1/responses",
            "input_file_id": "f",
        }
        api.script[:] = [json_reply(answer)]
        begun = client.responses.create(**asked)
        use(stops_with({"scope": {}}))
        api.script[:] = [json_reply(answer), *[json_reply(batch)] * 2]

        assert client.responses.retrieve(begun.id).id == begun.id
        assert client.batches.retrieve("batch_1").id == batch["id"]
        assert client.batches.cancel("batch_1").id == batch["id"]
        for begin in (
            lambda: client.responses.create(**asked),
            lambda: client.batches.create(**new),
        ):
            with pytest.raises(taximeter.BudgetExceededError):
                begin()
        assert len(api.requests) == 4


def test_between_polls_calls_count_with_what_one_costs(
    spans: Any,  # noqa: ARG001
    client: openai.OpenAI,
    use: Any,
) -> None:
    use(stops_with({"spent": {"": "9.975"}}))

    for _ in range(3):
        chat(client)
    with pytest.raises(taximeter.BudgetExceededError):
        chat(client)


def test_a_gentler_budget_takes_a_smaller_model(
    spans: Any, client: openai.OpenAI, use: Any
) -> None:
    use(stops_with({"action": "downgrade_model", "model": "gpt-4o-mini"}))

    chat(client)

    # The span tells what the app asked for, and who answered.
    told = spans.only()
    assert told["gen_ai.request.model"] == "gpt-4o"
    assert told["gen_ai.response.model"] == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("rule", "tags", "stopped"),
    [
        ({"scope": {"user.id": ["ada", "bob"]}}, {"user.id": "bob"}, True),
        ({"scope": {"user.id": ["ada"]}}, {"user.id": "eve"}, False),
        ({"scope": {"user.id": ["ada"]}}, {}, False),
        ({"scope": {}, "not": {"user.id": ["ada"]}}, {"user.id": "ada"}, False),
        ({"scope": {}, "not": {"user.id": ["ada"]}}, {}, True),
        (
            {"scope": {"gen_ai.request.model": ["gpt-4o-2024-08-06"]}},
            {"gen_ai.request.model": "gpt-4o"},
            True,
        ),
        (
            {"scope": {"gen_ai.request.model": ["gpt-4o-mini"]}},
            {"gen_ai.request.model": "gpt-4o-mini-2024-07-18"},
            False,
        ),
        ({"scope": {}, "each": "user.id", "spent": {"ada": "11"}}, {"user.id": "ada"}, True),
        ({"scope": {}, "each": "user.id", "spent": {"ada": "11"}}, {"user.id": "bob"}, False),
        ({"scope": {}, "spent": {"": "9.99"}, "usd_a_call": "0"}, {}, False),
    ],
)
def test_a_rule_is_about_the_calls_of_its_scope(
    rule: dict[str, Any], tags: dict[str, str], *, stopped: bool
) -> None:
    stops = stops_with(rule)
    if stopped:
        with pytest.raises(taximeter.BudgetExceededError):
            judged(stops, tags)
    else:
        assert judged(stops, tags) == ""
    stops.close()


@pytest.mark.parametrize("when_unsure", ["allow", "block"])
def test_without_news_for_a_minute_calls_pass_unless_the_budget_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, when_unsure: str
) -> None:
    news = [([STOP | {"scope": {}, "when_unsure": when_unsure}], "e")]
    stops = Stops(lambda _etag: news.pop() if news else None)
    stops.poll()
    later = time.monotonic() + OLD_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)

    if when_unsure == "block":
        with pytest.raises(taximeter.BudgetExceededError):
            judged(stops, {})
    else:
        assert judged(stops, {}) == ""
    stops.close()


def test_rules_are_polled_with_the_token_and_only_read_when_they_changed(service: Service) -> None:
    settings = Settings(endpoint=service.url, token="the-token", budget_stop=True)
    stops = Stops(fetching_from(settings))
    service.stops = [STOP]

    stops.poll()
    stops.poll()

    assert [one["path"] for one in service.asked] == ["/v1/budget-state"] * 2
    assert service.asked[0]["Authorization"] == "Bearer the-token"
    rules = stops._rules
    assert len(rules) == 1
    service.stops = [STOP, STOP]
    stops.poll()
    assert len(stops._rules) == 2


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_a_service_that_knows_no_stops_stops_nothing(service: Service, status: int) -> None:
    service.status = status
    stops = Stops(fetching_from(Settings(endpoint=service.url)))

    stops.poll()

    assert judged(stops, {}) == ""
    stops.close()


def test_a_service_out_of_reach_leaves_what_was_known(service: Service) -> None:
    service.stops = [STOP]
    stops = Stops(fetching_from(Settings(endpoint=service.url)))
    stops.poll()
    service.status = 503
    service.stops = []

    stops.poll()

    with pytest.raises(taximeter.BudgetExceededError):
        judged(stops, {"taximeter.feature": "search"})
    stops.close()


def test_the_token_is_not_sent_where_a_service_redirects_to(service: Service) -> None:
    with fake_api() as elsewhere:
        service.status, service.location = 302, f"{elsewhere.url}/budget-state"
        stops = Stops(fetching_from(Settings(endpoint=service.url, token="of-the-service")))

        stops.poll()

        assert len(service.asked) == 1
        assert elsewhere.requests == []
    stops.close()


def test_an_app_that_did_not_ask_for_stops_has_none(spans: Any) -> None:  # noqa: ARG001
    meter = meter_on()
    assert meter is not None
    assert meter.stops is None


def test_a_poll_begins_with_the_first_call(service: Service) -> None:
    service.stops = [STOP]
    stops = Stops(fetching_from(Settings(endpoint=service.url)))
    judged(stops, {})

    deadline = time.monotonic() + 60
    while not stops._rules and time.monotonic() < deadline:
        time.sleep(0.01)

    with pytest.raises(taximeter.BudgetExceededError):
        judged(stops, {"taximeter.feature": "search"})
    stops.close()
