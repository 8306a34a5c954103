from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

import taximeter_collector.intake
from spans import request, span
from taximeter_collector import otlp
from taximeter_collector.envelope import envelopes
from taximeter_collector.intake import Intake, rejected
from taximeter_collector.journal import Journal, read_segment
from taximeter_collector.receiver import receiver
from taximeter_collector.store import Retention

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGEST = 100_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}
ZSTD = {**PROTOBUF, "Content-Encoding": "zstd"}
JSON = {"Content-Type": "application/json"}
GZIP = {**PROTOBUF, "Content-Encoding": "gzip"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, max_bytes=150_000)
    yield opened
    opened.close()


@pytest.fixture
def client(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(taximeter_collector.intake, "MOST_SPANS", 20)
    app = FastAPI()
    app.include_router(
        receiver(
            Intake(journal, Retention().how_late),
            authorised=lambda header: header != "wrong",
            max_body_bytes=LARGEST,
        )
    )
    return TestClient(app)


def now_span(**more: str) -> bytes:
    return request(span(more, start=datetime.now(UTC))).SerializeToString()


@pytest.mark.parametrize(
    ("packed", "headers"),
    [(bytes, PROTOBUF), (gzip.compress, GZIP), (zstd.compress, ZSTD)],
    ids=["plain", "gzip", "zstd"],
)
def test_an_answer_of_200_means_that_the_calls_are_in_the_journal(
    client: TestClient,
    journal: Journal,
    packed: Callable[[bytes], bytes],
    headers: dict[str, str],
) -> None:
    body = now_span()

    answer = client.post("/v1/traces", content=packed(body), headers=headers)

    assert answer.status_code == 200
    segment = journal.next_segment(timeout_s=5)
    assert segment is not None
    (payload,) = read_segment(segment).payloads
    assert payload.endswith(body)


def test_spans_outside_the_accepted_time_are_refused_with_the_reason(client: TestClient) -> None:
    old = span(start=datetime.now(UTC) - timedelta(days=500))
    body = request(old, span(start=datetime.now(UTC))).SerializeToString()

    answer = client.post("/v1/traces", content=body, headers=PROTOBUF)

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert "older than the retention" in partial.error_message


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"\xff\xff", PROTOBUF, 400, "not an OTLP ExportTraceServiceRequest"),
        (b"not gzip", GZIP, 400, "not gzip"),
        (gzip.compress(b"x" * 50, mtime=0)[:-9], GZIP, 400, "ends too early"),
        (b"x" * (LARGEST + 1), PROTOBUF, 413, "larger than 100000 bytes"),
        (gzip.compress(b"x" * (LARGEST + 1)), GZIP, 413, "unpacks to more than 100000 bytes"),
        (request(*[span()] * 3).SerializeToString() * 10, PROTOBUF, 413, "30 spans in one request"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "send application/x-protobuf or application/"),
        (b"", {**PROTOBUF, "Content-Encoding": "br"}, 415, "send gzip, zstd or none"),
        (b"not zstd", ZSTD, 400, "not zstd"),
        (zstd.compress(b"x" * 50)[:-9], ZSTD, 400, "ends too early"),
        (zstd.compress(b"x" * (LARGEST + 1)), ZSTD, 413, "unpacks to more than 100000 bytes"),
        (b"", {**PROTOBUF, "Authorization": "wrong"}, 401, "send the ingest token"),
    ],
)
def test_a_bad_request_is_told_what_to_do_in_otlps_own_terms(
    client: TestClient, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = client.post("/v1/traces", content=body, headers=headers)

    assert answer.status_code == status
    assert reason in Status.FromString(answer.content).message


def test_header_values_have_no_case_and_gzip_may_have_several_members(
    client: TestClient, journal: Journal
) -> None:
    parts = [request(span(start=datetime.now(UTC))).SerializeToString() for _ in range(2)]
    headers = {"Content-Type": "Application/X-Protobuf", "Content-Encoding": "GZIP"}

    answer = client.post("/v1/traces", content=b"".join(map(gzip.compress, parts)), headers=headers)

    assert answer.status_code == 200
    segment = journal.next_segment(timeout_s=5)
    assert segment is not None
    assert read_segment(segment).payloads[0].endswith(b"".join(parts))


def test_a_full_journal_asks_the_sender_to_come_back(client: TestClient) -> None:
    body = now_span(**{"taximeter.feature": "x" * 90_000})
    client.post("/v1/traces", content=body, headers=PROTOBUF)

    other = now_span(**{"taximeter.feature": "y" * 90_000})
    answer = client.post("/v1/traces", content=other, headers=PROTOBUF)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "5"


def test_spans_without_a_model_take_no_room(client: TestClient, journal: Journal) -> None:
    body = request(span({"gen_ai.operation.name": None})).SerializeToString()

    answer = client.post("/v1/traces", content=body, headers=PROTOBUF)

    assert answer.status_code == 200
    assert journal.size == 0


def test_a_request_whose_answer_was_lost_adds_nothing_when_it_comes_again(
    client: TestClient, journal: Journal
) -> None:
    body = now_span()
    answers = [client.post("/v1/traces", content=body, headers=PROTOBUF) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    segment = journal.next_segment(timeout_s=5)
    assert segment is not None
    assert len(read_segment(segment).payloads) == 1


JSON_REQUEST = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "webapp"}}]
            },
            "scopeSpans": [
                {
                    "scope": {"name": "my.library", "futureField": 1},
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "eee19b7ec3c1b174",
                            "parentSpanId": "",
                            "name": "chat",
                            "kind": 3,
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": 1544712661000000000,
                            "attributes": [
                                {
                                    "key": "gen_ai.operation.name",
                                    "value": {"stringValue": "chat"},
                                },
                                {
                                    "key": "gen_ai.usage.input_tokens",
                                    "value": {"intValue": "1000"},
                                },
                            ],
                        }
                    ],
                }
            ],
        }
    ]
}


def test_json_is_read_as_otlp_says_and_answered_in_json(
    client: TestClient, journal: Journal
) -> None:
    started = json.loads(json.dumps(JSON_REQUEST))
    span_ = started["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span_["startTimeUnixNano"] = str(round(datetime.now(UTC).timestamp()) * 10**9)

    answer = client.post("/v1/traces", content=json.dumps(started), headers=JSON)
    old = client.post("/v1/traces", content=json.dumps(JSON_REQUEST), headers=JSON)

    assert (answer.status_code, answer.json()) == (200, {})
    assert old.json()["partialSuccess"]["rejectedSpans"] == "1"
    segment = journal.next_segment(timeout_s=5)
    assert segment is not None
    payloads = read_segment(segment).payloads
    window = otlp.Window.at(datetime.now(UTC), timedelta(days=1))
    sent = next(envelopes(payloads[0][8:], window))
    assert (sent.scope, sent.resource) == ("my.library", {"service": "webapp"})
    call = otlp.call_of(sent)
    assert call is not None
    assert call.trace_id == "5b8efff798038103d269b633813fc60c"
    assert call.span_id == "eee19b7ec3c1b174"
    assert call.usage.input_tokens == 1_000


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"7",
        b'{"resourceSpans": 7}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}',
        b'{"resourceSpans": ' + b"[" * 50_000,
    ],
)
def test_json_that_is_not_otlp_is_refused_in_json(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/traces", content=body, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("the body is not OTLP in JSON: ")


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_what_comes_beside_spans_is_taken_and_forgotten(
    client: TestClient, journal: Journal, signal: str
) -> None:
    answer = client.post(f"/v1/{signal}", content=b"anything", headers=PROTOBUF)

    assert (answer.status_code, answer.content) == (200, b"")
    assert client.post("/v1/profiles", headers=PROTOBUF).status_code == 404
    assert journal.size == 0


def test_what_is_received_and_refused_is_counted(client: TestClient) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    names: tuple[tuple[str, dict[str, str]], ...] = (
        ("taximeter_spans_total", {}),
        ("taximeter_requests_total", {"status": "200"}),
        ("taximeter_requests_total", {"status": "400"}),
        ("taximeter_refused_spans_total", {"reason": "older than the retention"}),
        ("taximeter_repeated_requests_total", {}),
    )
    before = [counted(name, **labels) for name, labels in names]
    old = request(span(start=datetime.now(UTC) - timedelta(days=500))).SerializeToString()
    for body in (now_span(), old, old, b"\xff\xff"):
        client.post("/v1/traces", content=body, headers=PROTOBUF)

    after = [counted(name, **labels) for name, labels in names]
    assert [new - was for new, was in zip(after, before, strict=True)] == [3, 3, 1, 2, 1]
    assert rejected()["older than the retention"] == after[3]
