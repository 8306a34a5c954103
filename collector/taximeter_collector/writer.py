"""The writer: takes closed journal segments, prices their calls and gives them to the store."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from taximeter_collector import otlp
from taximeter_collector.calls import Call
from taximeter_collector.journal import Journal, read_segment
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Store
from taximeter_collector.store.store import RETENTION

log = logging.getLogger(__name__)

RECEIVED_AT: Final = struct.Struct("<q")
IDLE_WAIT_S: Final = 0.2
FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 30.0


def frame(received_at: datetime, body: bytes) -> bytes:
    """Return what the journal keeps of a request: when it came, and its protobuf body."""
    return RECEIVED_AT.pack(round(received_at.timestamp() * 1000)) + body


def calls_of(payload: bytes) -> Iterator[Call]:
    """Yield the calls of one journal frame, judged by the moment it was received."""
    (milliseconds,) = RECEIVED_AT.unpack_from(payload)
    received_at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    request = otlp.parse(payload[RECEIVED_AT.size :])
    return otlp.calls(request, otlp.Window.at(received_at, RETENTION))


class Writer:
    """One thread between journal and store. A segment is deleted only when the store has it."""

    def __init__(self, journal: Journal, store: Store, prices: PriceBook) -> None:
        self._journal = journal
        self._store = store
        self._prices = prices
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer")
        self.trouble = ""
        """Why the store does not take the oldest segment; empty while it does."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Write what the journal has closed, then stop; what the store refuses stays on disk."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            segment = self._journal.next_segment(IDLE_WAIT_S)
            if segment is not None:
                self._write(segment)
            elif self._stopping.is_set():
                return

    def _write(self, segment: Path) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                self._add(segment)
            except Exception as error:
                log.exception("the store does not take a segment", extra={"segment": segment.name})
                self.trouble = str(error)
                if self._stopping.wait(retry_s):
                    return
                retry_s = min(2 * retry_s, LAST_RETRY_S)
            else:
                self.trouble = ""
                return

    def _add(self, segment: Path) -> None:
        content = read_segment(segment)
        calls = [call for payload in content.payloads for call in calls_of(payload)]
        self._store.add(
            [(call, self._prices.priced(call)) for call in calls],
            token=segment.stem,
            book_version=self._prices.version,
            now=datetime.now(UTC),
        )
        if content.damaged:
            fields = {"segment": segment.name, "frames": content.damaged}
            log.error("a journal segment is damaged and was set aside", extra=fields)
            self._journal.set_aside(segment)
        else:
            self._journal.delete(segment)
