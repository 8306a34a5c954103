"""Batches on disk until the collector has them; they outlive the process that measured them.

Each process has a folder of its own, with a file `lock` that it holds by flock while it lives, and
numbered files of frames: state, length, crc, spans, dropped, body.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import struct
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from taximeter.batch import Batch

_FRAME = struct.Struct("<cIIII")
_WAITING, _SENT = b"w", b"s"
_SEGMENT = 1 << 20


class Entry(NamedTuple):
    path: Path
    at: int
    spans: int
    dropped: int


class Spool:
    """Used by one thread. The bound holds for all processes of the app together."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self._limit = limit_bytes
        self._segment = min(_SEGMENT, limit_bytes // 8)
        self._entries: deque[Entry] = deque()
        self._in_segment: Counter[Path] = Counter()
        self._locks: dict[Path, int] = {}
        self._tail: Path | None = None
        self._number = 0
        self._unsynced: set[Path] = set()
        self._own = self._opened()
        self.adopt()

    @property
    def waiting(self) -> bool:
        return bool(self._entries)

    def add(self, batch: Batch) -> int:
        """Append a batch; gives how many spans the bound cost, oldest first."""
        frame = _FRAME.pack(_WAITING, len(batch.body), zlib.crc32(batch.body), *batch[1:])
        lost = 0
        while self._size() + len(frame) + len(batch.body) > self._limit:
            if not self._entries:
                return lost + batch.weight
            lost += self._evict()
        path = self._tail or self._next_segment()
        try:
            with path.open("ab") as segment:
                at = segment.tell()
                segment.write(frame + batch.body)
        except OSError:
            self._tail = None  # what is torn stays the last of its file
            raise
        self._unsynced.add(path)
        self._tail = path if at + len(frame) + len(batch.body) < self._segment else None
        self._entries.append(Entry(path, at, batch.spans, batch.dropped))
        self._in_segment[path] += 1
        return lost

    def first(self) -> tuple[Entry, Batch] | None:
        while self._entries:
            entry = self._entries[0]
            with contextlib.suppress(OSError):
                body = _body(entry)
                if body is not None:
                    return entry, Batch(body, entry.spans, entry.dropped)
            self.forget(entry)
        return None

    def forget(self, entry: Entry) -> None:
        """Delete what was sent or refused."""
        if entry not in self._entries:
            return  # evicted while it was on its way
        self._entries.remove(entry)
        self._in_segment[entry.path] -= 1
        if self._in_segment[entry.path]:
            with contextlib.suppress(OSError), entry.path.open("r+b") as segment:
                segment.seek(entry.at)
                segment.write(_SENT)
            return
        self._remove(entry.path)

    def sync(self) -> None:
        while self._unsynced:
            with contextlib.suppress(FileNotFoundError), self._unsynced.pop().open("rb") as segment:
                os.fsync(segment.fileno())

    def adopt(self) -> None:
        """Take over what dead processes of the same app left."""
        found: list[Entry] = []
        for folder in sorted(self.folder.iterdir()):
            if folder in self._locks or folder.name.startswith("."):
                continue
            with contextlib.suppress(OSError):
                self._locks[folder] = _locked(folder / "lock", os.O_RDWR)
                segments = sorted(folder.glob("*.otlp"))
                entries = [entry for path in segments for entry in _waiting(path)]
                found += entries
                if not entries:
                    self._release(folder)
        self._entries.extendleft(reversed(found))
        self._in_segment.update(entry.path for entry in found)

    def close(self) -> None:
        """Leave what waits to the next process."""
        if not self._holds(self._own):
            self._release(self._own)
        self.let_go()

    def let_go(self) -> None:
        """Close the locks; a forked child would hold those of its parent for ever."""
        while self._locks:
            os.close(self._locks.popitem()[1])

    def _opened(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{os.getpid()}"
        hidden, own = self.folder / f".{name}", self.folder / name
        hidden.mkdir(mode=0o700)
        lock = _locked(hidden / "lock", os.O_RDWR | os.O_CREAT)
        # Locked before it has a name that others look for.
        hidden.rename(own)
        self._locks[own] = lock
        return own

    def _next_segment(self) -> Path:
        self._number += 1
        return self._own / f"{self._number:06d}.otlp"

    def _size(self) -> int:
        size = 0
        # Unlike pathlib's, this passes over a folder that another process removes meanwhile.
        for path in map(Path, glob.glob(f"{glob.escape(str(self.folder))}/*/*.otlp")):  # noqa: PTH207
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
        return size

    def _evict(self) -> int:
        path, lost = self._entries[0].path, 0
        while self._entries and self._entries[0].path == path:
            entry = self._entries.popleft()
            lost += entry.spans + entry.dropped
        self._remove(path)
        return lost

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        del self._in_segment[path]
        if path == self._tail:
            self._tail = None
        if path.parent != self._own and not self._holds(path.parent):
            self._release(path.parent)

    def _holds(self, folder: Path) -> bool:
        return any(path.parent == folder for path in self._in_segment)

    def _release(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            for path in [*folder.glob("*.otlp"), folder / "lock"]:
                path.unlink(missing_ok=True)
            folder.rmdir()
        os.close(self._locks.pop(folder))


def _locked(path: Path, flags: int) -> int:
    lock = os.open(path, flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _waiting(path: Path) -> Iterator[Entry]:
    content, at = path.read_bytes(), 0
    while at + _FRAME.size <= len(content):
        state, length, crc, spans, dropped = _FRAME.unpack_from(content, at)
        start = at + _FRAME.size
        if zlib.crc32(content[start : start + length]) != crc:
            return  # torn: the process died while it wrote
        if state == _WAITING:
            yield Entry(path, at, spans, dropped)
        at = start + length


def _body(entry: Entry) -> bytes | None:
    with entry.path.open("rb") as segment:
        segment.seek(entry.at)
        _, length, crc, _, _ = _FRAME.unpack(segment.read(_FRAME.size))
        body = segment.read(length)
    return body if zlib.crc32(body) == crc else None
