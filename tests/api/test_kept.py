"""Answers that take long."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
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
        self.tried = 0

    def __call__(self, now: datetime) -> int:
        self.tried += 1
        time.sleep(self.takes_s)
        if self.is_down:
            raise StoreUnavailable("down")
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

    answers = [kept.get("q", NOON + number * SECOND / 20, slow) for number in range(5)]

    assert answers == [(1, NOON)] * 5


def test_what_took_long_once_is_no_reason_to_keep_it(kept: Kept) -> None:
    slow = Slow()
    kept.get("q", NOON, slow)
    slow.takes_s = 0

    kept.keep_fresh(NOON + SECOND)

    for seconds in (2, 3, 4):
        assert kept.get("q", NOON + seconds * SECOND, slow)[1] == NOON + seconds * SECOND


def test_it_is_taken_again_ahead_of_a_reader_as_often_as_its_load_allows(kept: Kept) -> None:
    slow = Slow()
    ages = []
    for tenths in range(1200):
        now = NOON + tenths * SECOND / 10
        ages.append(now - kept.get("q", now, slow)[1])
        kept.keep_fresh(now)

    # 0.05 s or a little more each time, at most a twentieth of the two minutes.
    assert 60 <= len(slow.asked_at) <= 125
    assert max(ages) < 5 * SECOND


def test_while_nobody_reads_it_is_taken_seldom_and_after_a_day_no_more(kept: Kept) -> None:
    slow = Slow(0.02)
    kept.get("q", NOON, slow)
    moments = [NOON + number * timedelta(minutes=5) for number in range(36 * 12)]
    for now in moments:
        kept.keep_fresh(now)

    assert 200 < len(slow.asked_at) < 24 * 12 + 2
    assert slow.asked_at[-1] <= NOON + timedelta(days=1)
    assert kept.get("q", moments[-1], slow)[1] == moments[-1]


def test_no_answer_is_older_than_some_minutes(kept: Kept) -> None:
    slow = Slow(0.7)
    kept.get("q", NOON, slow)
    kept.get("q", NOON + 60 * SECOND, slow)
    hour = NOON + timedelta(hours=1)
    kept.keep_fresh(hour)

    kept.keep_fresh(hour + timedelta(seconds=290))
    assert slow.asked_at[-1] == hour
    assert kept.get("q", hour + timedelta(seconds=320), slow)[1] == slow.asked_at[-1] > hour


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


def test_an_answer_that_is_dropped_is_taken_anew_and_no_other(kept: Kept) -> None:
    some, other = Slow(), Slow()
    for question, slow in (("some", some), ("other", other)):
        kept.get(question, NOON, slow)

    kept.drop("some")

    assert kept.get("some", NOON, some) == (2, NOON)
    assert kept.get("other", NOON, other) == (1, NOON)


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


def test_what_fails_is_tried_again_no_more_often_than_what_does_not(kept: Kept) -> None:
    slow = Slow()
    kept.get("q", NOON, slow)
    kept.keep_fresh(NOON + 10 * SECOND)
    never = Slow()
    slow.is_down = never.is_down = True
    with pytest.raises(StoreUnavailable):
        kept.get("never there", NOON, never)

    for number in range(30, 90):
        with suppress(StoreUnavailable):
            kept.keep_fresh(NOON + number * SECOND / 2)

    assert slow.tried - 2 in range(15, 35)
    assert never.tried == 1


def test_what_is_always_asked_is_taken_before_anybody_asks(kept: Kept) -> None:
    slow = Slow()
    kept.take_ahead(lambda now: ("users", now.date()), slow)

    kept.keep_fresh(NOON)
    read = kept.get(("users", NOON.date()), NOON + SECOND, slow)
    kept.keep_fresh(NOON + 12 * timedelta(hours=1))
    tomorrow = NOON + 12 * timedelta(hours=1)
    read_tomorrow = kept.get(("users", tomorrow.date()), tomorrow + SECOND, slow)

    assert read == (1, NOON)
    assert read_tomorrow[1] == tomorrow


def test_what_is_only_taken_ahead_is_taken_as_seldom_as_what_nobody_reads(kept: Kept) -> None:
    slow = Slow()
    kept.take_ahead(lambda now: now.date(), slow)

    for number in range(5):
        kept.keep_fresh(NOON + number * 2 * SECOND)

    assert slow.asked_at == [NOON]


def test_what_is_always_asked_and_fails_is_not_tried_at_every_tick(kept: Kept) -> None:
    slow = Slow()
    slow.is_down = True
    kept.take_ahead(lambda now: now.date(), slow)

    for number in range(5):
        with suppress(StoreUnavailable):
            kept.keep_fresh(NOON + number * SECOND)

    assert slow.tried == 1
