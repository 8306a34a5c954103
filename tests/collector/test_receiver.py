from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.testclient import TestClient

import taximeter_collector.receiver
from spans import request, span
from taximeter_collector.journal import Journal, read_segment
from taximeter_collector.receiver import receiver

LARGEST = 100_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}
GZIP = {**PROTOBUF, "Content-Encoding": "gzip"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, max_bytes=150_000)
    yield opened
    opened.close()


@pytest.fixture
def client(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(taximeter_collector.receiver, "MOST_SPANS", 20)
    app = FastAPI()
    app.include_router(
        receiver(journal, authorised=lambda header: header != "wrong", max_body_bytes=LARGEST)
    )
    return TestClient(app)


def now_span(**more: str) -> bytes:
    return request(span(more, start=datetime.now(UTC))).SerializeToString()


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_of_200_means_that_the_calls_are_in_the_journal(
    client: TestClient, journal: Journal, packed: bool
) -> None:
    body = now_span()

    answer = (
        client.post("/v1/traces", content=gzip.compress(body), headers=GZIP)
        if packed
        else client.post("/v1/traces", content=body, headers=PROTOBUF)
    )

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
        (gzip.compress(b"x" * 50)[:-9], GZIP, 400, "ends too early"),
        (b"x" * (LARGEST + 1), PROTOBUF, 413, "larger than 100000 bytes"),
        (gzip.compress(b"x" * (LARGEST + 1)), GZIP, 413, "unpacks to more than 100000 bytes"),
        (request(*[span()] * 3).SerializeToString() * 10, PROTOBUF, 413, "30 spans in one request"),
        (b"{}", {"Content-Type": "application/json"}, 415, "send application/x-protobuf"),
        (b"", {**PROTOBUF, "Content-Encoding": "br"}, 415, "send gzip or none"),
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

    answer = client.post("/v1/traces", content=body, headers=PROTOBUF)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "5"


def test_spans_without_a_model_take_no_room(client: TestClient, journal: Journal) -> None:
    body = request(span({"gen_ai.operation.name": None})).SerializeToString()

    answer = client.post("/v1/traces", content=body, headers=PROTOBUF)

    assert answer.status_code == 200
    assert journal.size == 0
