from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taximeter_collector.journal import (
    FRAME,
    MAGIC,
    Journal,
    JournalFull,
    UnknownFormat,
    read_segment,
)

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, max_bytes=1_000_000)
    yield opened
    opened.close()


def next_segment(journal: Journal) -> Path:
    segment = journal.next_segment(timeout_s=5)
    assert segment is not None
    return segment


def test_what_was_appended_is_read_back_in_order(journal: Journal) -> None:
    for payload in (b"one", b"two", b""):
        journal.append(payload).result(60)

    assert read_segment(next_segment(journal)).payloads == [b"one", b"two", b""]


def test_a_payload_is_on_disk_when_its_future_is_done(journal: Journal, tmp_path: Path) -> None:
    journal.append(b"kept").result(60)

    (segment,) = tmp_path.iterdir()
    assert b"kept" in segment.read_bytes()


NEVER_STARTED = """
import sys
from pathlib import Path
from taximeter_collector.journal import Journal
journal = Journal(Path(sys.argv[1]), max_bytes=1_000_000)
raise SystemExit(2)
"""


def test_a_process_that_fails_with_the_journal_open_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NEVER_STARTED, str(tmp_path)]

    ended = subprocess.run(command, timeout=30, check=False)

    assert ended.returncode == 2


def test_segments_of_an_earlier_process_are_handed_over_first(tmp_path: Path) -> None:
    earlier = Journal(tmp_path, max_bytes=1_000_000)
    earlier.append(b"before the crash").result(60)
    earlier.close()

    later = Journal(tmp_path, max_bytes=1_000_000)
    later.append(b"after").result(60)
    segments = [next_segment(later), next_segment(later)]
    later.close()

    assert [read_segment(one).payloads for one in segments] == [[b"before the crash"], [b"after"]]


@pytest.mark.parametrize("cut", [1, 3, 9, 11])
def test_a_torn_tail_is_cut_and_what_came_before_is_kept(journal: Journal, cut: int) -> None:
    journal.append(b"whole").result(60)
    journal.append(b"torn").result(60)
    segment = next_segment(journal)
    os.truncate(segment, segment.stat().st_size - cut)

    read = read_segment(segment)

    assert (read.payloads, read.damaged) == ([b"whole"], 0)


def test_a_flipped_bit_is_found_and_harms_no_other_payload(journal: Journal) -> None:
    for payload in (b"one", b"flipped", b"three"):
        journal.append(payload).result(60)
    segment = next_segment(journal)
    segment.write_bytes(segment.read_bytes().replace(b"flipped", b"flopped"))

    read = read_segment(segment)

    assert (read.payloads, read.damaged) == ([b"one", b"three"], 1)


def test_a_tail_of_zeros_is_no_payload(journal: Journal) -> None:
    journal.append(b"whole").result(60)
    segment = next_segment(journal)
    with segment.open("ab") as file:
        file.write(bytes(4096))

    read = read_segment(segment)

    assert (read.payloads, read.damaged) == ([b"whole"], 0)


def test_a_flipped_bit_in_a_length_is_found(journal: Journal) -> None:
    for payload in (b"one", b"two", b"three"):
        journal.append(payload).result(60)
    segment = next_segment(journal)
    content = bytearray(segment.read_bytes())
    content[len(MAGIC) + FRAME.size + len(b"one") + 3] |= 0x40
    segment.write_bytes(content)

    read = read_segment(segment)

    assert (read.payloads, read.damaged) == ([b"one"], 1)


def test_a_sender_that_goes_away_stops_nobody_elses_append(journal: Journal) -> None:
    journal.append(b"given up").cancel()

    journal.append(b"kept").result(60)

    assert journal.is_alive


def test_a_disk_that_is_broken_for_a_while_leaks_no_file(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    open_files = len(list(OPEN_FILES.iterdir()))
    with monkeypatch.context() as disk:
        for name in ("fsync", "fdatasync", "ftruncate"):
            disk.setattr(os, name, refuse)
        for _ in range(10):
            with pytest.raises(OSError, match="Input/output"):
                journal.append(b"refused").result(60)

    assert len(list(OPEN_FILES.iterdir())) == open_files
    assert list(tmp_path.iterdir()) == []
    journal.append(b"well again").result(60)


def test_a_full_journal_refuses_until_the_store_has_taken_some(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=1000)
    journal.append(b"x" * 900).result(60)

    with pytest.raises(JournalFull):
        journal.append(b"x" * 900)

    journal.delete(next_segment(journal))
    journal.append(b"x" * 900).result(60)
    journal.close()


def test_a_full_disk_is_told_to_the_sender_and_leaves_no_half_frame(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    journal.append(b"before").result(60)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fdatasync", refuse)
        refused = journal.append(b"refused")
        with pytest.raises(OSError, match="No space left"):
            refused.result(60)
    journal.append(b"after").result(60)

    segments = [next_segment(journal), next_segment(journal)]
    assert [read_segment(one).payloads for one in segments] == [[b"before"], [b"after"]]


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1-1.journal"
    path.write_bytes(b"taximeter journal 9\n....")

    with pytest.raises(UnknownFormat, match=r"1-1\.journal"):
        read_segment(path)
