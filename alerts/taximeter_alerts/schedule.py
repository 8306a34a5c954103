"""The schedule: jobs that come round every few seconds, each alone, none stopping the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger(__name__)

THREADS = 8
"""A job that takes long holds up none of the others."""

STUCK_S = 600
"""No statement takes so long, nor does a job that is well."""

Job = Callable[[datetime], object]


class Schedule:
    """Runs jobs at intervals; a job gets the current time, and a late one runs once."""

    def __init__(self) -> None:
        self._under_way: dict[str, float] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(THREADS)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        # It warns whenever a job takes longer than its interval, which max_instances handles.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def every(self, seconds: float, name: str, job: Job, *, largest_load: float = 1) -> None:
        """Run a job so often, or as often as it takes at most that part of the time."""
        # UTC intervals only: the cron trigger skips days when clocks change in many zones.
        trigger = IntervalTrigger(seconds=seconds, timezone=UTC)
        args = (name, job, Pace(largest_load))
        self._scheduler.add_job(self._run, trigger, args=args, name=name)

    def start(self) -> None:
        self._scheduler.start()

    def stuck(self, longer_than_s: float = STUCK_S) -> list[str]:
        """Return the names of the jobs that have been under way for longer."""
        began = dict(self._under_way)
        return sorted(name for name, at in began.items() if monotonic() - at > longer_than_s)

    def _run(self, name: str, job: Job, pace: Pace) -> None:
        self._under_way[name] = monotonic()
        try:
            pace.run(lambda: job(datetime.now(UTC)))
        except Exception:
            log.exception("a scheduled job failed and will be tried again", extra={"job": name})
        finally:
            del self._under_way[name]

    def close(self) -> None:
        """Let running jobs finish; start no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


class Pace:
    """Lets something be done as often as it takes at most a part of the time."""

    def __init__(self, largest_load: float) -> None:
        self._largest_load = largest_load
        self._again_at = 0.0

    def run(self, work: Callable[[], object]) -> None:
        """Do it, or not yet; what failed may be done again at once."""
        began = monotonic()
        if began >= self._again_at:
            work()
            self._again_at = began + (monotonic() - began) / self._largest_load
