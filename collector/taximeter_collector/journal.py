"""The journal: what the receiver has acknowledged, on disk until the store has it.

A segment is a file of frames: a length, its checksum, the payload's checksum and the payload. The
appends of one moment share one fdatasync. A frame that a crash left incomplete was never
acknowledged and is skipped; any other that can't be read is damage, and is said to be.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

MAGIC: Final = b"taximeter journal 1\n"
LENGTH: Final = struct.Struct("<I")
FRAME: Final = struct.Struct("<III")
SUFFIX: Final = ".journal"
SEGMENT_BYTES: Final = 24_000_000
SEGMENT_SECONDS: Final = 1.0
WAITING_APPENDS: Final = 1024
WAITING_BYTES: Final = 100_000_000

Append = tuple[bytes, "Future[None]"]


class JournalFull(Exception):
    """The journal is at its bound; a later attempt may succeed."""


class UnknownFormat(Exception):
    """A file in the journal's folder is not one that this program can read."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What one file gave back."""

    payloads: list[bytes]
    damaged: int
    """Places where acknowledged frames can no longer be read."""


class Journal:
    """Append-only segments in a folder, written by one thread."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._appends: queue.Queue[Append | None] = queue.Queue(WAITING_APPENDS)
        self._closed: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._sizes: dict[Path, int] = {}
        self._waiting_bytes = 0
        self._waiting_lock = threading.Lock()
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._hand_over(path, path.stat().st_size)
        # It keeps no service alive whose start fails: what is not answered was not promised.
        self._writer = threading.Thread(target=self._run, name="journal", daemon=True)
        self._writer.start()

    @property
    def size(self) -> int:
        """Bytes that the store has not taken yet."""
        return sum(list(self._sizes.values()))

    @property
    def oldest_s(self) -> float:
        """Return for how many seconds the oldest segment waits for the store; 0 without one."""
        begun = [int(path.stem.partition("-")[0]) for path in list(self._sizes)]
        return max(0.0, time.time() - min(begun) / 1e9) if begun else 0.0

    @property
    def is_alive(self) -> bool:
        return self._writer.is_alive()

    def append(self, payload: bytes) -> Future[None]:
        """Return a future that is done when the payload is on disk.

        Raises JournalFull; the future raises OSError when the disk refuses.
        """
        durable: Future[None] = Future()
        if self.size + len(payload) > self._max_bytes:
            raise JournalFull(f"{self.size} bytes wait for the store")
        with self._waiting_lock:
            if self._waiting_bytes + len(payload) > WAITING_BYTES:
                raise JournalFull(f"{self._waiting_bytes} bytes wait for the disk")
            try:
                self._appends.put_nowait((payload, durable))
            except queue.Full:
                raise JournalFull(f"{WAITING_APPENDS} requests wait for the disk") from None
            self._waiting_bytes += len(payload)
        return durable

    def next_segment(self, timeout_s: float) -> Path | None:
        """Return the next closed segment, the oldest first; None when there is none in time."""
        try:
            return self._closed.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def delete(self, segment: Path) -> None:
        """Forget a segment that the store has."""
        segment.unlink(missing_ok=True)
        self._sizes.pop(segment, None)
        _sync_folder(self._folder)

    def set_aside(self, segment: Path) -> None:
        """Keep a segment that can't be read whole for a person to look at."""
        segment.rename(segment.with_suffix(".damaged"))
        self._sizes.pop(segment, None)

    def set_rows_aside(self, segment: Path, rows: Iterable[object]) -> None:
        """Keep what the store refuses for a person to look at, beside its segment."""
        with segment.with_suffix(".refused").open("a", encoding="utf-8") as file:
            file.writelines(f"{row!r}\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Write what was appended and hand over the last segment."""
        self._appends.put(None)
        self._writer.join()

    def _run(self) -> None:
        segment: _OpenSegment | None = None
        stopping = False
        while not stopping:
            appends, stopping = self._next_appends(segment)
            if appends:
                segment = self._commit(segment, appends)
            if segment is not None and (stopping or segment.is_due):
                segment.close()
                self._hand_over(segment.path, segment.size)
                segment = None

    def _next_appends(self, segment: _OpenSegment | None) -> tuple[list[Append], bool]:
        """Wait for appends; also return whether the journal is closing."""
        timeout_s = None if segment is None else max(0.0, segment.due - time.monotonic())
        try:
            waiting = [self._appends.get(timeout=timeout_s)]
        except queue.Empty:
            return [], False
        while not self._appends.empty():
            waiting.append(self._appends.get())
        appends = [append for append in waiting if append is not None]
        with self._waiting_lock:
            self._waiting_bytes -= sum(len(payload) for payload, _ in appends)
        # From here on a sender that goes away can't cancel its append any more.
        kept = [one for one in appends if one[1].set_running_or_notify_cancel()]
        return kept, None in waiting

    def _commit(self, segment: _OpenSegment | None, appends: list[Append]) -> _OpenSegment | None:
        try:
            segment = segment or _OpenSegment(self._folder)
            segment.write(payload for payload, _ in appends)
        except OSError as error:
            log.exception("the journal's disk refuses")
            if segment is not None:
                segment.give_up()
            for _, durable in appends:
                durable.set_exception(error)
            return segment
        self._sizes[segment.path] = segment.size
        for _, durable in appends:
            durable.set_result(None)
        return segment

    def _hand_over(self, path: Path, size: int) -> None:
        self._sizes[path] = size
        self._closed.put(path)


class _OpenSegment:
    """The file that takes appends now."""

    def __init__(self, folder: Path) -> None:
        # The name is the insert's deduplication token, so it must be unique for ever.
        self.path = folder / f"{time.time_ns()}-{os.getpid()}{SUFFIX}"
        self.due = time.monotonic() + SEGMENT_SECONDS
        self.size = len(MAGIC)
        self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            _write(self._file, MAGIC)
            _sync_folder(folder)
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    @property
    def is_due(self) -> bool:
        return self.size >= SEGMENT_BYTES or time.monotonic() >= self.due

    def write(self, payloads: Iterable[bytes]) -> None:
        frames = b"".join(_frame(payload) for payload in payloads)
        _write(self._file, frames)
        os.fdatasync(self._file)
        self.size += len(frames)

    def give_up(self) -> None:
        """Drop what was written since the last commit, if the disk lets us, and take no more."""
        self.due = time.monotonic()
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self.size)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._file)


def read_segment(path: Path) -> Segment:
    """Read the frames of a segment, up to a tail that was never acknowledged."""
    content = path.read_bytes()
    if content[: len(MAGIC)] != MAGIC[: len(content)]:
        raise UnknownFormat(f"{path} is not a journal of this version")
    payloads: list[bytes] = []
    damaged = 0
    offset = len(MAGIC)
    while offset + FRAME.size <= len(content):
        length, length_checksum, checksum = FRAME.unpack_from(content, offset)
        if zlib.crc32(LENGTH.pack(length)) != length_checksum:
            # Some file systems leave zeros behind where a crash cut a write off.
            damaged += any(content[offset:])
            break
        offset += FRAME.size
        payload = content[offset : offset + length]
        offset += length
        if len(payload) < length:
            break
        if zlib.crc32(payload) == checksum:
            payloads.append(payload)
        else:
            damaged += 1
    return Segment(payloads, damaged)


def _frame(payload: bytes) -> bytes:
    length = LENGTH.pack(len(payload))
    return FRAME.pack(len(payload), zlib.crc32(length), zlib.crc32(payload)) + payload


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
