"""Answers that take long."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from taximeter_api.kept import MOST, Kept
from taximeter_collector.store import StoreUnavailable

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Slow:
    """Answers after a while with how often it was asked."""

    def __init__(self, takes_s: float = 0.05) -> None:
        self.takes_s = takes_s
        self.asked_at: list[datetime] = []
        self.is_down = False

    def __call__(self, now: datetime) -> int:
        if self.is_down:
            raise StoreUnavailable("down")
        time.sleep(self.takes_s)
        self.asked_at.append(now)
        return len(self.asked_at)


@pytest.fixture
def kept() -> Kept:
    return Kept(cheap_s=0.02)


def test_what_is_cheap_is_taken_for_each_reader(kept: Kept) -> None:
    cheap = Slow(0)

    answers = [kept.get("q", NOON + number * SECOND, cheap) for number in range(3)]
    kept.keep_fresh(NOON + 60 * SECOND)

    assert answers == [(1, NOON), (2, NOON + SECOND), (3, NOON + 2 * SECOND)]
    assert len(cheap.asked_at) == 3


def test_what_takes_long_is_taken_for_all_readers_and_with_its_moment(kept: Kept) -> None:
    slow = Slow()

    answers = [kept.get("q", NOON + number * SECOND / 10, slow) for number in range(5)]

    assert answers == [(1, NOON)] * 5


def test_it_is_taken_again_ahead_of_a_reader_as_often_as_its_load_allows(kept: Kept) -> None:
    slow = Slow()
    for tenths in range(1200):
        now = NOON + tenths * SECOND / 10
        kept.get("q", now, slow)
        kept.keep_fresh(now)

    # 0.05 s or a little more each time, at most a twentieth of the two minutes.
    assert 60 <= len(slow.asked_at) <= 120


def test_while_nobody_reads_it_is_taken_seldom_and_after_a_day_no_more(kept: Kept) -> None:
    slow = Slow()
    kept.get("q", NOON, slow)
    hours = [NOON + timedelta(minutes=minute) for minute in range(36 * 60)]
    for now in hours:
        kept.keep_fresh(now)

    assert 1_000 < len(slow.asked_at) < 24 * 60 + 10
    assert slow.asked_at[-1] <= NOON + timedelta(days=1)
    back = hours[-1]
    assert kept.get("q", back, slow)[1] == back


def test_questions_are_kept_apart_and_those_asked_last_stay(kept: Kept) -> None:
    slow = {number: Slow(0.03) for number in range(MOST + 1)}
    for number, take in slow.items():
        kept.get(number, NOON, take)
        kept.get(0, NOON, slow[0])

    for number, take in slow.items():
        kept.get(number, NOON, take)

    again = [number for number, take in slow.items() if len(take.asked_at) > 1]
    assert again[0] == 1
    assert 0 not in again


def test_readers_at_once_ask_once(kept: Kept) -> None:
    slow = Slow()
    readers = [threading.Thread(target=kept.get, args=("q", NOON, slow)) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()

    assert slow.asked_at == [NOON]


def test_an_older_answer_is_given_while_the_store_is_down(kept: Kept) -> None:
    slow = Slow()
    kept.get("q", NOON, slow)
    slow.is_down = True

    assert kept.get("q", NOON + timedelta(hours=3), slow) == (1, NOON)
    with pytest.raises(StoreUnavailable):
        kept.get("other", NOON, slow)
