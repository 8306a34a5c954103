from __future__ import annotations

import errno
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

import taximeter_collector.journal
import taximeter_collector.writer
from builders import NOON
from spans import request, span
from taximeter_collector import otlp
from taximeter_collector.calls import Call, Priced
from taximeter_collector.journal import Journal
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import (
    Dimension,
    Period,
    RowsRefused,
    Store,
    StoreError,
    StoreUnavailable,
)
from taximeter_collector.writer import Writer, frame

REPORTED = {"taximeter.usage.source": "reported"}
DAY = Period(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 17, tzinfo=UTC))


class ClosedFor:
    """A store that does not answer the first few times."""

    reads_files = False

    def __init__(self, store: Store, times: int) -> None:
        self._store = store
        self.left = times

    def add(self, rows: object, **more: object) -> None:
        if self.left:
            self.left -= 1
            raise StoreUnavailable("connection refused")
        self._store.add(rows, **more)  # type: ignore[arg-type]

    def add_losses(self, losses: object) -> None:
        self._store.add_losses(losses)  # type: ignore[arg-type]


def written(journal: Journal, store: Store) -> None:
    writer = Writer(journal, store, PriceBook.shipped, few=1)
    writer.start()
    journal.close()
    writer.close()


def test_a_journalled_call_is_priced_and_stored_and_its_segment_deleted(
    store: Store, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)

    written(journal, store)

    (total,) = store.spend(DAY)
    # gpt-4o-2024-08-06: $2.50 and $10 per million tokens, 1,000 in and 100 out
    assert total.cost == Decimal("0.0035")
    assert list(tmp_path.glob("*.journal")) == []


def test_a_segment_waits_on_disk_while_the_store_does_not_answer(
    store: Store, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)
    closed = ClosedFor(store, times=10_000)

    written(journal, closed)  # type: ignore[arg-type]

    assert len(list(tmp_path.glob("*.journal"))) == 1
    written(Journal(tmp_path, max_bytes=1_000_000), store)
    assert store.spend(DAY)[0].calls == 1


def test_a_long_backlog_is_left_for_the_next_start(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        journal = Journal(tmp_path, max_bytes=1_000_000)
        one = span({"gen_ai.response.id": f"c{number}"}, span_id=number + 1)
        journal.append(frame(NOON, request(one).SerializeToString())).result(5)
        journal.close()
    monkeypatch.setattr(taximeter_collector.writer, "DRAIN_S", 0)
    journal = Journal(tmp_path, max_bytes=1_000_000)
    writer = Writer(journal, store, PriceBook.shipped)
    adding, stopping = threading.Event(), threading.Event()

    def add_when_stopping(*_rows: Any, **_more: Any) -> None:
        adding.set()
        assert stopping.wait(5)

    monkeypatch.setattr(store, "add", add_when_stopping)
    writer.start()
    assert adding.wait(5)
    closing = threading.Thread(target=writer.close)
    closing.start()
    time.sleep(0.1)
    stopping.set()
    closing.join(5)
    journal.close()

    assert not writer.is_alive
    assert len(list(tmp_path.glob("*.journal"))) == 2


class Listening:
    """A store that says what it was left with after each addition, and may refuse staged spans."""

    reads_files = True

    def __init__(self, store: Store, *, refuses_staged: bool = False) -> None:
        self._store = store
        self._refuses_staged = refuses_staged
        self.seen: list[tuple[int, int]] = []
        self.stage_spans = store.stage_spans
        self.add_losses = store.add_losses

    def add(self, rows: list[tuple[Call, Priced]], **more: Any) -> None:
        self._store.add(rows, **more)
        self._look()

    def add_staged(self, **more: Any) -> None:
        if self._refuses_staged:
            raise StoreError("Code: 241")
        self._store.add_staged(**more)
        self._look()

    def _look(self) -> None:
        (total,) = self._store.spend(DAY)
        self.seen.append((total.calls, total.unpriced_calls))


def of_two_kinds(journal: Journal) -> None:
    """Append a plain call, which is the engine's, and one of a model without a price."""
    plain = span(REPORTED)
    odd = span({"gen_ai.response.id": "chatcmpl-2", "gen_ai.response.model": "gpt-99"}, span_id=2)
    body = request(plain, odd, scope="taximeter").SerializeToString()
    journal.append(frame(NOON, body)).result(60)


def test_python_decodes_a_few_spans_for_which_the_engine_would_only_read_its_statement(
    store: Store, tmp_path: Path
) -> None:
    for spans, by_engine in ((499, 0), (500, 500)):
        journal = Journal(tmp_path / str(spans), max_bytes=1_000_000)
        calls = (
            span({"gen_ai.response.id": f"c-{spans}-{one}", **REPORTED}, span_id=one + 1)
            for one in range(spans)
        )
        body = request(*calls, scope="taximeter").SerializeToString()
        journal.append(frame(NOON, body)).result(5)
        before = decoded_by_the_engine()

        writer = Writer(journal, store, PriceBook.shipped)
        writer.start()
        journal.close()
        writer.close()

        assert decoded_by_the_engine() - before == by_engine
    assert store.spend(DAY)[0].calls == 999
    assert store.spend(DAY)[0].cost == 999 * Decimal("0.0035")


def decoded_by_the_engine() -> float:
    labels = {"decoded_by": "engine"}
    return REGISTRY.get_sample_value("taximeter_calls_stored_total", labels) or 0.0


def test_no_sum_looks_complete_while_a_segment_is_being_stored(
    store: Store, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    of_two_kinds(journal)
    listening = Listening(store)

    written(journal, listening)  # type: ignore[arg-type]

    assert listening.seen == [(1, 1), (2, 1)]


def test_python_adds_what_the_engine_has_read_and_can_not_add(store: Store, tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    of_two_kinds(journal)
    listening = Listening(store, refuses_staged=True)

    written(journal, listening)  # type: ignore[arg-type]

    assert listening.seen == [(1, 1), (2, 1)]
    assert store.spend(DAY)[0].cost == Decimal("0.0035")


def test_a_segment_that_was_stored_but_not_deleted_counts_once(
    store: Store, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)
    journal.close()
    (segment,) = tmp_path.glob("*.journal")
    content = segment.read_bytes()
    written(Journal(tmp_path, max_bytes=1_000_000), store)
    segment.write_bytes(content)

    written(Journal(tmp_path, max_bytes=1_000_000), store)

    assert store.spend(DAY)[0].calls == 1


def test_what_an_app_lost_counts_once_though_it_is_told_again(store: Store, tmp_path: Path) -> None:
    resource = {"service.name": "webapp", "taximeter.dropped_spans": 7}
    told = request(span(span_id=1), span(span_id=2), resource=resource)
    split = request(span(span_id=1), resource=resource)
    later = request(span(span_id=3), resource=resource | {"taximeter.dropped_spans": 1})
    other = request(span(span_id=4), resource={"service.name": "worker"})
    journal = Journal(tmp_path, max_bytes=1_000_000)
    for message in (told, told, split, later, other):
        journal.append(frame(NOON, message.SerializeToString())).result(60)

    written(journal, store)

    assert store.lost_spans(DAY) == {"webapp": 8}


def test_a_damaged_segment_gives_what_it_can_and_is_kept(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    for number in (1, 2):
        body = request(span({"gen_ai.response.id": f"chatcmpl-{number}"})).SerializeToString()
        journal.append(frame(NOON, body)).result(60)
    journal.close()
    (segment,) = tmp_path.glob("*.journal")
    segment.write_bytes(segment.read_bytes().replace(b"chatcmpl-2", b"chatcmpl-x"))

    written(Journal(tmp_path, max_bytes=1_000_000), store)

    assert store.spend(DAY)[0].calls == 1
    assert len(list(tmp_path.glob("*.damaged"))) == 1
    (logged,) = caplog.records
    assert (vars(logged)["requests_read"], vars(logged)["places_lost"]) == (1, 1)


def test_a_span_that_can_not_be_read_is_set_aside_and_stops_no_other(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(envelope: otlp.Envelope) -> Call | None:
        if b"\0" * 7 + b"\x02" in envelope.raw:
            raise ZeroDivisionError
        return call_of(envelope)

    call_of = otlp.call_of
    monkeypatch.setattr(otlp, "call_of", poisoned)
    journal = Journal(tmp_path, max_bytes=1_000_000)
    body = request(*(span({"gen_ai.response.id": None}, span_id=n) for n in (1, 2, 3)))
    journal.append(frame(NOON, body.SerializeToString())).result(60)

    written(journal, store)

    assert store.spend(DAY)[0].calls == 2
    (refused,) = tmp_path.glob("*.refused")
    assert "gen_ai.operation.name" in refused.read_text()


def test_a_request_with_a_broken_span_is_read_though_it_tells_of_losses(
    store: Store, tmp_path: Path
) -> None:
    resource = {"taximeter.dropped_spans": 7}
    body = request(span(), span(span_id=2), resource=resource).SerializeToString()
    broken = body.replace(b"gen_ai.operation.name", b"\xff" * 21)
    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, broken)).result(60)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)

    written(journal, store)

    assert store.spend(DAY)[0].calls == 1
    assert not list(tmp_path.glob("*.journal"))


class Choosy:
    """A store that refuses one call for what it says."""

    reads_files = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, rows: list[tuple[Call, Priced]], **more: str) -> None:
        if any(call.feature == "poison" for call, _ in rows):
            raise RowsRefused("Code: 407")
        self._store.add(rows, **more)  # type: ignore[arg-type]


def test_a_call_that_the_store_refuses_is_set_aside_and_stops_no_other(
    store: Store, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, max_bytes=1_000_000)
    features = ["a", "b", "poison", "c", "d"]
    spans = [
        span({"taximeter.feature": feature, "gen_ai.response.id": feature}) for feature in features
    ]
    journal.append(frame(NOON, request(*spans).SerializeToString())).result(60)

    written(journal, Choosy(store))  # type: ignore[arg-type]

    assert {row.key[0] for row in store.spend(DAY, [Dimension.FEATURE])} == {"a", "b", "c", "d"}
    (refused,) = tmp_path.glob("*.refused")
    assert "feature='poison'" in refused.read_text()


@pytest.mark.parametrize("content", [b"", b"taximeter journal 9\n", b"some notes of a person"])
def test_a_foreign_file_in_the_journals_folder_stops_nothing(
    store: Store, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "0-0.journal").write_bytes(content)
    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)

    written(journal, store)

    assert store.spend(DAY)[0].calls == 1


def test_a_segment_that_has_vanished_stops_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "0-0.journal").write_bytes(b"")
    journal = Journal(tmp_path, max_bytes=1_000_000)
    (tmp_path / "0-0.journal").unlink()
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)

    written(journal, store)

    assert store.spend(DAY)[0].calls == 1


def test_a_disk_that_fails_to_read_once_costs_no_acknowledged_call(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)
    with monkeypatch.context() as disk:
        disk.setattr(taximeter_collector.writer, "read_segment", refuse)
        written(journal, store)

    written(Journal(tmp_path, max_bytes=1_000_000), store)

    assert store.spend(DAY)[0].calls == 1
    assert list(tmp_path.iterdir()) == []


def test_a_deletion_that_can_not_be_made_durable_is_tried_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(tmp_path, max_bytes=1_000_000)
    journal.append(frame(NOON, request(span()).SerializeToString())).result(60)
    writer = Writer(journal, store, PriceBook.shipped)
    journal.close()
    monkeypatch.setattr(taximeter_collector.journal, "_sync_folder", refuse)

    writer.start()
    writer.close()

    assert "Input/output error" in writer.trouble
    assert store.spend(DAY)[0].calls == 1
