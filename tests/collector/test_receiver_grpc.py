"""OTLP/gRPC with the real exporter; what becomes of a request is tested with HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client import REGISTRY

from spans import request, span
from taximeter_api.demo.processes import free_port
from taximeter_collector import otlp
from taximeter_collector.envelope import envelopes
from taximeter_collector.intake import Intake
from taximeter_collector.journal import Journal, read_segment
from taximeter_collector.receiver_grpc import SERVICE, GrpcReceiver

LARGEST = 100_000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal", max_bytes=LARGEST)
    yield opened
    opened.close()


@pytest.fixture
def address(journal: Journal) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    receiver = GrpcReceiver(
        address, authorised=lambda header: header != "wrong", max_body_bytes=LARGEST
    )
    receiver.start(Intake(journal, timedelta(days=400)))
    yield address
    receiver.close()


def send(
    address: str, body: bytes, token: str = "", method: str = f"/{SERVICE}/Export"
) -> ExportTraceServiceResponse:
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        metadata = (("authorization", token),) if token else None
        answer = call(body, metadata=metadata, timeout=60)
    return ExportTraceServiceResponse.FromString(answer)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_the_exporter_s_spans_are_in_the_journal(
    address: str, journal: Journal, compression: grpc.Compression | None
) -> None:
    exporter = OTLPSpanExporter(
        endpoint=f"http://{address}", insecure=True, compression=compression
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("my.library").start_as_current_span("chat") as one:
        one.set_attribute("gen_ai.operation.name", "chat")
    provider.shutdown()

    segment = journal.next_segment(timeout_s=5)
    assert segment is not None
    (payload,) = read_segment(segment).payloads
    (sent,) = envelopes(payload[8:], otlp.Window.at(datetime.now(UTC), timedelta(days=1)))
    assert (sent.scope, Span.FromString(sent.raw).name) == ("my.library", "chat")


def test_the_answer_tells_of_spans_that_are_refused(address: str) -> None:
    old = span(start=datetime.now(UTC) - timedelta(days=500))
    body = request(old, span(start=datetime.now(UTC))).SerializeToString()

    assert send(address, body).partial_success.rejected_spans == 1


@pytest.mark.parametrize(
    ("body", "token", "status", "reason"),
    [
        (b"\xff\xff", "", grpc.StatusCode.INVALID_ARGUMENT, "not an OTLP"),
        (b"", "wrong", grpc.StatusCode.UNAUTHENTICATED, "send the ingest token"),
        (b"x" * (LARGEST + 1), "", grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
)
def test_a_bad_request_is_told_what_to_do(
    address: str, body: bytes, token: str, status: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        send(address, body, token)

    assert refused.value.code() is status
    assert reason in str(refused.value.details())


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [(b"", "", "200"), (b"\xff\xff", "", "400"), (b"", "wrong", "401")],
)
def test_a_request_is_counted_by_the_status_that_it_has_over_http(
    address: str, body: bytes, token: str, status: str
) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("taximeter_requests_total", {"status": status}) or 0.0

    before = counted()
    with suppress(grpc.RpcError):
        send(address, body, token)

    assert counted() - before == 1


def test_a_full_journal_asks_the_sender_to_come_back(address: str) -> None:
    first, second = (
        request(span(start=datetime.now(UTC), feature=letter * 60_000)).SerializeToString()
        for letter in "xy"
    )
    send(address, first)

    with pytest.raises(grpc.RpcError) as refused:
        send(address, second)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "the journal is full" in str(refused.value.details())


def test_other_methods_are_not_implemented_and_a_taken_port_is_told(address: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        send(address, b"", method="/opentelemetry.proto.collector.logs.v1.LogsService/Export")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED

    with pytest.raises(OSError, match=f"can't listen on {address}"):
        GrpcReceiver(address, authorised=bool, max_body_bytes=1)
