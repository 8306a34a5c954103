"""The writer: takes closed journal segments, prices their calls and gives them to the store."""

from __future__ import annotations

import logging
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from google.protobuf.message import DecodeError
from prometheus_client import Counter, Histogram

from taximeter_collector import otlp
from taximeter_collector.calls import Call, Loss
from taximeter_collector.contract import LOST
from taximeter_collector.dialects import MARKERS, OURS, may_be_a_call
from taximeter_collector.envelope import envelopes, write_spans
from taximeter_collector.journal import Journal, Segment, UnknownFormat, read_segment
from taximeter_collector.otlp import Envelope, Window
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Retention, RowsRefused, Store, StoreError, StoreUnavailable
from taximeter_collector.store.columns import Row
from taximeter_collector.store.incoming import MOST_TOKENS
from taximeter_collector.store.staging import PricedKey, PriceKey

log = logging.getLogger(__name__)

RECEIVED_AT: Final = struct.Struct("<q")
IDLE_WAIT_S: Final = 0.2
FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 30.0
DRAIN_S: Final = 20.0
"""Less than what systemd and Kubernetes wait before they kill."""
FEW: Final = 500
"""Spans that Python decodes sooner than the engine has read its statement."""

SEGMENT_TIME: Final = Histogram("taximeter_segment_seconds", "From reading a segment to its end")
STORED: Final = Counter("taximeter_calls_stored", "Calls by who decoded them", ["decoded_by"])
SET_ASIDE: Final = Counter("taximeter_set_aside", "Spans, calls and segments that can't be used")
DROPPED: Final = Counter("taximeter_dropped_spans", "Spans that apps say they could not deliver")


def frame(received_at: datetime, body: bytes) -> bytes:
    """Return what the journal keeps of a request: when it came, and its protobuf body."""
    return RECEIVED_AT.pack(round(received_at.timestamp() * 1000)) + body


class Writer:
    """One thread between journal and store. A segment is deleted only when the store has it."""

    def __init__(
        self,
        journal: Journal,
        store: Store,
        prices: Callable[[], PriceBook],
        how_late: timedelta = Retention().how_late,  # noqa: B008
        few: int = FEW,
    ) -> None:
        """Set up the writer; calls that came later than `how_late` are not kept.

        The engine decodes a segment from so many of our own spans on.
        """
        self._journal = journal
        self._store = store
        self._prices = prices
        self._how_late = how_late
        self._few = few
        self._stopping = threading.Event()
        self._ends_at = 0.0
        self._thread = threading.Thread(target=self._run, name="writer")
        self.trouble = ""
        """Why the store does not take the oldest segment; empty while it does."""

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what the journal has closed, then stop; the rest stays on disk for the next start.

        That is what the store refuses, and what takes longer than `DRAIN_S`.
        """
        self._ends_at = time.monotonic() + DRAIN_S
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not (self._stopping.is_set() and (self.trouble or time.monotonic() > self._ends_at)):
            segment = self._journal.next_segment(IDLE_WAIT_S)
            if segment is not None:
                self._write(segment)
            elif self._stopping.is_set():
                return

    def _write(self, path: Path) -> None:
        retry_s = FIRST_RETRY_S
        while not self._is_done(path):
            if self._stopping.wait(retry_s):
                return
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    def _is_done(self, path: Path) -> bool:
        try:
            with SEGMENT_TIME.time():
                self._take(path)
        except Exception as error:
            log.exception("the store does not take a segment", extra={"path": str(path)})
            self.trouble = str(error) or type(error).__name__
            return False
        self.trouble = ""
        return True

    def _take(self, path: Path) -> None:
        """Bring a segment into the store and delete it; any part may be done again."""
        try:
            segment = read_segment(path)
        except FileNotFoundError:
            log.exception("a journal segment has vanished", extra={"path": str(path)})
            self._journal.delete(path)
            return
        except (IsADirectoryError, PermissionError, UnknownFormat):
            log.exception(
                "a file is no journal of ours and was set aside", extra={"path": str(path)}
            )
            self._set_aside(path)
            return
        book = self._prices()
        plain, others, losses = _sorted(segment, self._how_late)
        requests, damaged = len(segment.payloads), segment.damaged
        del segment
        if len(plain) < self._few:
            plain, others = [], plain + others
        left = self._left_by_the_engine(plain, book)
        others += [plain[number] for number in left]
        # What has no price comes first, so that no sum looks complete before it is.
        self._add(path, self._decoded(path, others, book), path.stem, book.version)
        if len(left) < len(plain):
            self._add_staged(path, plain, left, book)
        self._store.add_losses(losses)
        DROPPED.inc(sum(loss.spans for loss in losses))
        if damaged:
            fields = {"path": str(path), "requests_read": requests, "places_lost": damaged}
            log.error("a journal segment is damaged and was set aside", extra=fields)
            self._set_aside(path)
        else:
            self._journal.delete(path)

    def _add(self, path: Path, rows: Sequence[Row], token: str, book_version: str) -> None:
        """Add the rows; those that the store refuses are set aside and don't stop the others."""
        try:
            self._store.add(rows, token=token, book_version=book_version, now=datetime.now(UTC))
            STORED.labels("python").inc(len(rows))
        except RowsRefused as error:
            if len(rows) == 1:
                fields = {"call_id": rows[0][0].call_id, "reason": str(error)}
                log.error("the store refuses a call, which was set aside", extra=fields)  # noqa: TRY400
                self._journal.set_rows_aside(path, rows)
                SET_ASIDE.inc()
                return
            middle = len(rows) // 2
            self._add(path, rows[:middle], f"{token}.0", book_version)
            self._add(path, rows[middle:], f"{token}.1", book_version)

    def _left_by_the_engine(self, spans: Sequence[Envelope], book: PriceBook) -> Sequence[int]:
        """Let the engine read what it can; return the numbers of the spans that it can't."""
        if not spans:
            return ()
        window = Window(
            max(one.window.start for one in spans), min(one.window.end for one in spans)
        )
        with NamedTemporaryFile(prefix="taximeter-", suffix=".spans") as file:
            write_spans(file, spans)
            file.flush()
            try:
                return self._store.stage_spans(
                    Path(file.name), window, lambda key: _rates(book, key)
                )
            except StoreUnavailable:
                raise
            except StoreError:
                log.exception("the engine does not decode a segment: it is done by Python")
                return range(len(spans))

    def _add_staged(
        self, path: Path, spans: Sequence[Envelope], left: Sequence[int], book: PriceBook
    ) -> None:
        """Add what the engine has read of the spans: all but those left."""
        now = datetime.now(UTC)
        try:
            self._store.add_staged(token=f"{path.stem}/engine", book_version=book.version, now=now)
            STORED.labels("engine").inc(len(spans) - len(left))
        except StoreUnavailable:
            raise
        except StoreError:
            log.exception("the engine does not add a segment: it is done by Python")
            others = set(left)
            staged = [one for number, one in enumerate(spans) if number not in others]
            rows = self._decoded(path, staged, book)
            self._add(path, rows, f"{path.stem}/staged", book.version)

    def _set_aside(self, path: Path) -> None:
        self._journal.set_aside(path)
        SET_ASIDE.inc()

    def _decoded(self, path: Path, spans: Sequence[Envelope], book: PriceBook) -> list[Row]:
        rows: list[Row] = []
        for envelope in spans:
            try:
                call = otlp.call_of(envelope)
                if call is not None:
                    rows.append((call, book.priced(call)))
            except Exception:
                log.exception("a span can't be read and was set aside")
                self._journal.set_rows_aside(path, [envelope.raw])
                SET_ASIDE.inc()
        return rows


def _sorted(
    segment: Segment, how_late: timedelta
) -> tuple[list[Envelope], list[Envelope], list[Loss]]:
    """Return the spans for the engine, those for Python, and what senders could not deliver."""
    plain: list[Envelope] = []
    others: list[Envelope] = []
    losses: list[Loss] = []
    for payload in segment.payloads:
        (milliseconds,) = RECEIVED_AT.unpack_from(payload)
        window = Window.at(datetime.fromtimestamp(milliseconds / 1000, UTC), how_late)
        body = payload[RECEIVED_AT.size :]
        if LOST.encode() in body:
            try:
                losses += otlp.losses(body, window)
            except DecodeError:
                log.exception("lost spans that a request tells of are not counted: it is broken")
        for envelope in envelopes(body, window):
            if envelope.scope == OURS and MARKERS[0] in envelope.raw:
                plain.append(envelope)
            elif may_be_a_call(envelope.raw):
                others.append(envelope)
    return plain, others, losses


def _rates(book: PriceBook, key: PriceKey) -> Iterator[PricedKey]:
    """Yield the rates of a key by the number of input tokens."""
    moment = datetime(key.day.year, key.day.month, key.day.day, tzinfo=UTC)
    fields = {name: getattr(key, name) for name in key._fields if name != "day"}
    upto = 2**62
    for card in book.text_cards(Call(ts=moment, call_id="", trace_id="", span_id="", **fields)):
        if card.text is not None:
            most_output = MOST_TOKENS if "output" in card.rates else 0
            yield PricedKey(key, card.input_above, upto, most_output, card.id, card.text)
            upto = card.input_above
