"""What a collector may do, and what then becomes of the spans and of the app."""

from __future__ import annotations

import email.utils
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource

from otlp_receiver import Receiver, Reply, receiving
from taximeter import guard
from taximeter.courier import Plan
from taximeter.delivery import Delivery
from taximeter.destination import Destination, destination_in
from taximeter.sender import Later, Sender
from taximeter.settings import Settings
from taximeter.spans import OwnTracer
from taximeter.spool import Spool
from taximeter_api.demo.processes import free_port

Started = Callable[..., "Meter"]


class Meter:
    def __init__(self, url: str, **plan: Any) -> None:
        to = Destination(url=f"{url}/v1/traces", timeout_s=plan.pop("timeout_s", 5.0))
        at_once = plan.pop("at_once", False)
        defaults = {"delay_s": 60.0, "queue_size": 2048, "batch_size": 512}
        self.delivery = Delivery(
            Plan(post=Sender(to).post, address=to.address, **(defaults | plan)), at_once=at_once
        )
        self._tracer = OwnTracer(self.delivery, Resource({}))

    def spans(self, *names: str) -> None:
        for name in names:
            self._tracer.start_span(name).end()

    def flush(self, timeout_s: float = 10.0) -> bool:
        return self.delivery.force_flush(int(timeout_s * 1000))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def start(caplog: pytest.LogCaptureFixture) -> Iterator[Started]:
    meters: list[Meter] = []

    def started(url: str, **plan: Any) -> Meter:
        meters.append(Meter(url, **plan))
        return meters[-1]

    guard._reported.clear()
    caplog.set_level(logging.INFO, "taximeter")
    yield started
    for meter in meters:
        meter.delivery.shutdown(200)


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_a_flush_sends_everything_in_order_and_says_so(receiver: Receiver, start: Started) -> None:
    meter = start(receiver.url, batch_size=2)
    meter.spans("a", "b", "c", "d", "e")

    assert meter.flush()

    assert receiver.names() == ["a", "b", "c", "d", "e"]
    assert receiver.dropped() == []


def test_a_full_batch_is_sent_before_its_time(receiver: Receiver, start: Started) -> None:
    start(receiver.url, batch_size=3).spans("a", "b", "c")

    receiver.wait_for(spans=3)


def test_spans_that_the_collector_refused_to_take_now_are_sent_again_once(
    receiver: Receiver, start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [Reply(status=503), Reply(status=429, headers={"Retry-After": "0"})]
    meter = start(receiver.url)
    meter.spans("a")

    assert meter.flush()

    assert (receiver.attempts, receiver.names()) == (3, ["a"])
    assert [record.getMessage() for record in caplog.records] == [
        f"taximeter: the collector at {receiver.url} does not take spans (it answered 503); "
        "spans wait in memory",
        f"taximeter: the collector at {receiver.url} takes spans again",
    ]


def test_a_flush_does_not_wait_for_what_can_not_be_in_time(
    receiver: Receiver, start: Started
) -> None:
    receiver.replies = [Reply(status=503, headers={"Retry-After": "120"})]
    meter = start(receiver.url)
    meter.spans("a")
    began = time.monotonic()

    assert not meter.flush(30)
    assert not meter.flush(0.1)

    assert time.monotonic() - began < 10
    assert receiver.attempts == 1


@pytest.mark.parametrize("after_s", [120, 86_400])
def test_a_date_says_when_to_come_back_and_five_minutes_are_the_longest(
    receiver: Receiver, after_s: int
) -> None:
    at = email.utils.formatdate(time.time() + after_s, usegmt=True)
    receiver.replies = [Reply(status=503, headers={"Retry-After": at})]

    verdict = Sender(Destination(url=f"{receiver.url}/v1/traces")).post(b"")

    assert isinstance(verdict, Later)
    assert verdict.after_s == pytest.approx(min(after_s, 300), abs=2)


def test_an_outage_is_one_line_and_loses_nothing(
    receiver: Receiver, start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.default = Reply(status=502)
    meter = start(receiver.url)
    for name in ("a", "b", "c"):
        meter.spans(name)
        assert not meter.flush(0.05)
    receiver.wait_for_attempts(2)

    receiver.default = Reply()
    assert meter.flush()

    assert receiver.names() == ["a", "b", "c"]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1


def test_a_batch_that_is_too_large_is_split_until_it_fits(
    receiver: Receiver, start: Started
) -> None:
    receiver.replies = [Reply(status=413), Reply(status=413)]
    meter = start(receiver.url)
    meter.spans("a", "b", "c", "d")

    assert meter.flush()

    assert sorted(receiver.names()) == ["a", "b", "c", "d"]
    assert receiver.attempts == 5


def test_a_single_span_that_is_too_large_is_dropped_and_counted(
    receiver: Receiver, start: Started
) -> None:
    receiver.replies = [Reply(status=413)]
    meter = start(receiver.url)
    meter.spans("large")
    assert meter.flush()
    meter.spans("small")

    assert meter.flush()

    assert receiver.names() == ["small"]
    assert receiver.dropped() == [1]


def test_refused_spans_are_counted_with_the_next_batch_and_logged_once(
    receiver: Receiver, start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    receiver.replies = [
        Reply(status=400),
        Reply(status=400),
        Reply(body=partial.SerializeToString()),
    ]
    meter = start(receiver.url)
    for names in (("a", "b"), ("c",), ("d", "e"), ("f",)):
        meter.spans(*names)
        assert meter.flush()

    assert receiver.names() == ["d", "e", "f"]
    assert receiver.dropped() == [3, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "taximeter: spans are dropped: the collector refused a batch (it answered 400); "
        "the service is told how many"
    ]


def test_a_full_queue_drops_and_counts_and_blocks_nobody(
    receiver: Receiver, start: Started
) -> None:
    let_go = threading.Event()
    receiver.replies = [Reply(status=503, headers={"Retry-After": "0"}, after=let_go)]
    meter = start(receiver.url, queue_size=2, batch_size=1, timeout_s=5)
    meter.spans("a")
    began = time.perf_counter()

    meter.spans(*(f"late {number}" for number in range(10)))

    assert time.perf_counter() - began < 5
    let_go.set()
    assert meter.flush()
    meter.spans("after")
    assert meter.flush()
    assert len(receiver.spans()) + sum(receiver.dropped()) == 12
    assert sum(receiver.dropped()) >= 7


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(headers={"content-type": "text/html"}, body=b"<html>"), "a web page"),
        (Reply(status=302, headers={"location": "/elsewhere"}), "it answered 302"),
        (Reply(status=401), "it answered 401"),
    ],
)
def test_what_is_not_the_collectors_yes_is_no_delivery(
    receiver: Receiver, start: Started, caplog: pytest.LogCaptureFixture, reply: Reply, reason: str
) -> None:
    receiver.replies = [reply]
    meter = start(receiver.url)
    meter.spans("a")

    assert meter.flush()

    assert receiver.names() == ["a"]
    assert reason in caplog.text


def test_a_server_that_speaks_no_http_or_cuts_the_line_harms_nobody(
    start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        for answer in (b"220 smtp ready\r\n", b"", b"\x00" * 99):
            with closing(server.accept()[0]) as connection:
                connection.recv(65_536)
                connection.sendall(answer)

    talking = threading.Thread(target=talk)
    talking.start()
    meter = start(f"http://127.0.0.1:{server.getsockname()[1]}")
    meter.spans("a")

    flushed = [meter.flush() for _ in range(3)]

    talking.join()
    server.close()
    assert flushed == [False, False, False]
    assert "does not speak HTTP" in caplog.text


def test_a_hanging_collector_holds_up_neither_calls_nor_a_bounded_flush(
    receiver: Receiver, start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.default = Reply(after=threading.Event())
    meter = start(receiver.url, timeout_s=1)
    meter.spans("a")
    assert not meter.flush(2)
    began = time.perf_counter()

    meter.spans("b", "c")

    assert time.perf_counter() - began < 1
    assert "it did not answer in time" in caplog.text


def test_the_end_of_a_program_says_how_many_spans_were_lost(
    start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    url = nobody()
    meter = start(url)
    meter.spans("a", "b")

    meter.delivery.shutdown(1000)

    assert [record.getMessage() for record in caplog.records] == [
        f"taximeter: the collector at {url} does not take spans (connection refused); "
        "the last 2 spans are lost"
    ]


def test_with_a_spool_a_dead_collector_loses_nothing_and_the_next_process_sends_it(
    receiver: Receiver, start: Started, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(nobody(), spool=lambda: Spool(tmp_path / "app", 1 << 20))
    first.spans("a", "b")
    first.delivery.shutdown(1000)
    assert "lost" not in caplog.text

    second = start(receiver.url, spool=lambda: Spool(tmp_path / "app", 1 << 20))
    second.spans("c")
    assert second.flush()
    second.delivery.shutdown(1000)

    assert sorted(receiver.names()) == ["a", "b", "c"]
    assert list((tmp_path / "app").iterdir()) == []


def test_a_spool_that_can_not_be_used_is_named_and_the_spans_go_by_memory(
    receiver: Receiver, start: Started, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    meter = start(receiver.url, spool=lambda: Spool(tmp_path / "file", 1 << 20))
    meter.spans("a")

    assert meter.flush()

    assert receiver.names() == ["a"]
    assert "taximeter: the spool is not used: File exists" in caplog.text


def test_in_lambda_each_call_is_sent_when_it_ends(receiver: Receiver, start: Started) -> None:
    meter = start(receiver.url, at_once=True)

    meter.spans("a")
    assert receiver.names() == ["a"]
    meter.spans("b")
    assert receiver.names() == ["a", "b"]


def test_in_lambda_a_dead_collector_is_waited_for_only_once(start: Started) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        meter = start(f"http://127.0.0.1:{silent.getsockname()[1]}", at_once=True, timeout_s=3)
        began = time.monotonic()

        meter.spans(*("call" for _ in range(20)))

    assert time.monotonic() - began < 2


def test_one_span_that_can_not_be_encoded_costs_only_itself(
    receiver: Receiver, start: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "reraise", False)
    meter = start(receiver.url)
    meter.spans("a", "\ud800", "b")

    assert meter.flush()
    meter.spans("c")
    assert meter.flush()

    assert receiver.names() == ["a", "b", "c"]
    assert receiver.dropped() == [1]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"url": "http://127.0.0.1:4318/v1/traces", "timeout_s": 10.0, "queue_size": 2048}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/"}, {"url": "http://c:1/v1/traces"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/x"}, {"url": "http://c:1/x"}),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c"}, {"headers": {"a": "b c"}}),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "3"}, {"timeout_s": 3.0}),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, {"queue_size": 100, "batch_size": 100}),
    ],
)
def test_the_standard_variables_say_where_and_how(
    variables: dict[str, str], expected: dict[str, Any]
) -> None:
    destination, complaints = destination_in(variables, Settings())

    assert {key: getattr(destination, key) for key in expected} == expected
    assert complaints == []


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "expected an http or https URL"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "expected a positive number"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "expected a positive number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "nan", "expected a positive number"),
    ],
)
def test_a_standard_variable_that_is_wrong_is_named_and_passed_over(
    name: str, value: str, complaint: str
) -> None:
    destination, complaints = destination_in({name: value}, Settings())

    assert destination == destination_in({}, Settings())[0]
    assert complaints == [f"{name} is ignored: {complaint}"]


def test_a_certificate_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    variables = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "none.pem")}

    _, complaints = destination_in(variables, Settings(endpoint="https://collector"))

    assert complaints == ["a certificate of OTEL_EXPORTER_OTLP_* is ignored: FileNotFoundError"]


def test_the_collector_is_named_without_credentials() -> None:
    to = Destination(url="http://user:secret@collector:4318/v1/traces?key=secret")

    assert to.address == "http://collector:4318"
    assert "secret" not in to.address


def test_the_table_of_the_readme_names_every_variable_that_is_read() -> None:
    package = Path(guard.__file__).parent
    table = (package.parent / "README.md").read_text().partition("## Environment")[2]
    ours = {f"TAXIMETER_{name.upper()}" for name in Settings.__dataclass_fields__}
    read = {
        name
        for path in package.glob("*.py")
        for name in re.findall(r'"(OTEL_[A-Z_]+)"', path.read_text())
    }

    documented = set(re.findall(r"`((?:TAXIMETER|OTEL)_[A-Z_]+[A-Z])`", table))

    assert ours <= documented
    assert {name for name in read if "TRACES" not in name} <= documented
    assert {name for name in documented if name.startswith("TAXIMETER_")} == ours
