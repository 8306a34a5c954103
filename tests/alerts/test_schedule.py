from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import pytest

from taximeter_alerts.schedule import Schedule

PATIENCE_S = 10.0


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    with closing(Schedule()) as schedule:
        yield schedule


def wait_for(schedule: Schedule, *names: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while schedule.stuck(0.05) != [*names]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_job_that_does_not_come_back_is_named_and_holds_up_no_other(schedule: Schedule) -> None:
    may_end, others = threading.Event(), threading.Event()

    def hangs(_: datetime) -> None:
        may_end.wait(PATIENCE_S)

    schedule.every(0.01, "budgets", hangs)
    schedule.every(0.01, "deliveries", lambda _: others.set())
    schedule.start()
    try:
        wait_for(schedule, "budgets")
        others.clear()
        assert others.wait(PATIENCE_S)
        assert schedule.stuck() == []
    finally:
        may_end.set()
    wait_for(schedule)


def test_a_job_that_fails_is_not_under_way(schedule: Schedule) -> None:
    failed = threading.Event()

    def fails(_: datetime) -> None:
        failed.set()
        raise ValueError("no")

    schedule.every(0.01, "budgets", fails)
    schedule.start()

    assert failed.wait(PATIENCE_S)
    wait_for(schedule)
