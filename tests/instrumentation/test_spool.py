"""What waits on disk, across processes, bounds and torn files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taximeter.batch import Batch
from taximeter.spool import Spool

MEGABYTE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    spool = Spool(folder, MEGABYTE)
    yield spool
    spool.let_go()


def bodies(spool: Spool) -> list[bytes]:
    found = []
    while (first := spool.first()) is not None:
        entry, batch = first
        found.append(batch.body)
        spool.forget(entry)
    return found


def died(spool: Spool) -> None:
    """Let go of the locks as the kernel does for a process that was killed."""
    spool.let_go()


def batch(number: int, size: int = 1) -> Batch:
    return Batch(bytes([number]) * size, spans=2, dropped=1)


def test_batches_come_back_in_order_with_what_they_report(spool: Spool) -> None:
    assert [spool.add(batch(number)) for number in range(3)] == [0, 0, 0]

    first = spool.first()

    assert first is not None
    assert first[1] == Batch(b"\x00", spans=2, dropped=1)
    assert bodies(spool) == [b"\x00", b"\x01", b"\x02"]
    assert not spool.waiting


def test_what_was_taken_leaves_no_file(folder: Path, spool: Spool) -> None:
    spool.add(batch(1))
    spool.sync()
    bodies(spool)
    spool.close()

    assert list(folder.iterdir()) == []


def test_a_later_process_sends_what_a_dead_one_left_and_not_what_it_had_sent(
    folder: Path, spool: Spool
) -> None:
    for number in range(3):
        spool.add(batch(number))
    sent = spool.first()
    assert sent is not None
    spool.forget(sent[0])
    died(spool)

    later = Spool(folder, MEGABYTE)

    assert bodies(later) == [b"\x01", b"\x02"]
    later.close()
    assert list(folder.iterdir()) == []


def test_a_living_process_keeps_its_own(folder: Path, spool: Spool) -> None:
    spool.add(batch(1))

    other = Spool(folder, MEGABYTE)

    assert bodies(other) == []
    other.close()
    assert bodies(spool) == [b"\x01"]


def test_two_processes_never_adopt_the_same(folder: Path, spool: Spool) -> None:
    for number in range(3):
        spool.add(batch(number))
    died(spool)
    code = (
        "import sys; from pathlib import Path; from taximeter.spool import Spool\n"
        f"spool = Spool(Path({str(folder)!r}), 1 << 20)\n"
        "print(len(spool._entries), flush=True); sys.stdin.read(); spool.close()"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]

    adopted = [int(process.stdout.readline()) for process in both if process.stdout]
    for process in both:
        process.communicate(timeout=60)

    assert sorted(adopted) == [0, 3]


def test_a_torn_tail_is_skipped(folder: Path, spool: Spool) -> None:
    spool.add(batch(1, size=100))
    spool.add(batch(2, size=100))
    died(spool)
    (segment,) = folder.glob("*/*.otlp")
    os.truncate(segment, segment.stat().st_size - 1)

    later = Spool(folder, MEGABYTE)

    assert bodies(later) == [b"\x01" * 100]
    later.close()


def test_a_frame_that_the_disk_has_changed_is_skipped(folder: Path, spool: Spool) -> None:
    spool.add(batch(1, size=100))
    (segment,) = folder.glob("*/*.otlp")
    with segment.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    spool.add(batch(2))

    assert bodies(spool) == [b"\x02"]


def test_the_bound_drops_the_oldest_and_counts_them(folder: Path, spool: Spool) -> None:
    size = MEGABYTE // 8

    lost = sum(spool.add(batch(number, size)) for number in range(10))

    kept = bodies(spool)
    assert [body[0] for body in kept] == list(range(10 - len(kept), 10))
    assert 5 <= len(kept) <= 8
    assert lost == 3 * (10 - len(kept))
    assert sum(path.stat().st_size for path in folder.glob("*/*.otlp")) <= MEGABYTE


def test_the_bound_holds_for_all_processes_of_the_app(folder: Path, spool: Spool) -> None:
    for number in range(6):
        spool.add(batch(number, MEGABYTE // 8))
    other = Spool(folder, MEGABYTE)

    lost = [other.add(batch(number, MEGABYTE // 4)) for number in range(2)]

    # Another's file is not taken away: what finds no room is lost, and counted.
    assert lost == [3, 3]
    other.close()


def test_files_are_for_the_apps_user_alone(folder: Path, spool: Spool) -> None:
    spool.add(batch(1))

    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
