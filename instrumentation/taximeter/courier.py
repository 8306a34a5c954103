"""Takes ended spans to the collector: one thread decides, another waits for the network."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value
from opentelemetry.sdk.trace import ReadableSpan

from taximeter.batch import Batch, encoded, halves
from taximeter.guard import log, never_raise, warn_once
from taximeter.sender import Later, Refused, Taken, TooLarge, Verdict

if TYPE_CHECKING:
    from taximeter.spool import Entry, Spool

SPOOL_S = 0.2
"""What ended longer ago than this is on disk, where there is a spool."""
ADOPT_S = 30.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    post: Callable[[bytes], Verdict]
    address: str
    delay_s: float
    queue_size: int
    batch_size: int
    spool: Callable[[], Spool] | None = None


class Flush(NamedTuple):
    done: SimpleQueue[bool]
    deadline: float
    last: bool


class Ring(NamedTuple):
    """A batch is full."""


class Courier:
    """Of one process: a forked child has its own. The queues may be used in signal handlers."""

    def __init__(self, plan: Plan) -> None:
        self.queue: deque[ReadableSpan] = deque()
        self.bell: SimpleQueue[Flush | Ring | Verdict] = SimpleQueue()
        self.spool: Spool | None = None
        self.healthy = True
        self._plan = plan
        self._lock = threading.RLock()
        self._dropped = 0
        self._memory: deque[Batch] = deque()
        self._posting: tuple[Batch, Entry | None] | None = None
        self._bodies: SimpleQueue[bytes | None] = SimpleQueue()
        self._flushes: list[Flush] = []
        self._outage = ""
        self._failures = 0
        self._told_to_wait = False
        self._post_at = self._adopt_at = 0.0

    def start(self) -> None:
        for name, work in (("taximeter-send", self._send), ("taximeter", self._run)):
            threading.Thread(name=name, target=work, daemon=True).start()

    def drop(self, count: int, why: str) -> None:
        """Count lost spans; the next batch reports them."""
        if count:
            with self._lock:
                self._dropped += count
            warn_once("dropped", "spans are dropped: %s; the service is told how many", why)

    def _run(self) -> None:
        with never_raise("opening the spool"):
            self._open_spool()
        running = True
        while running:
            event = self._next_event()
            with never_raise("sending spans"):
                self._take(event)
                self._keep()
                self._post()
                if self.spool is not None:
                    self.spool.sync()
            running = self._answer_flushes()

    def _send(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        while (body := self._bodies.get()) is not None:
            verdict: Verdict = Later("a fault of our own", answered=False)
            with never_raise("posting spans"):
                verdict = self._plan.post(body)
            self.bell.put(verdict)

    def _open_spool(self) -> None:
        if self._plan.spool is not None:
            try:
                self.spool = self._plan.spool()
            except OSError as error:
                warn_once("spool", "the spool is not used: %s", error.strerror)
            self._adopt_at = time.monotonic() + ADOPT_S

    def _next_event(self) -> Flush | Ring | Verdict | None:
        now = time.monotonic()
        until = [now + (self._plan.delay_s if self.spool is None else SPOOL_S)]
        until += [flush.deadline for flush in self._flushes]
        if self._posting is None and self._waiting:
            until.append(self._post_at)
        try:
            return self.bell.get(timeout=max(0.0, min(until) - now))
        except Empty:
            return None

    def _take(self, event: Flush | Ring | Verdict | None) -> None:
        match event:
            case None:
                return
            case Flush():
                self._flushes.append(event)
                if not self._told_to_wait:
                    self._post_at = 0.0
            case Ring():
                if not self._outage:
                    self._post_at = 0.0
            case Later():
                self._posting = None
                self._wait(event)
            case _:
                self._settle(event)

    def _settle(self, verdict: Taken | Refused | TooLarge) -> None:
        if self._posting is None:
            return
        (batch, entry), self._posting = self._posting, None
        if isinstance(verdict, TooLarge) and (parts := halves(batch)):
            for part in parts:
                self._store(part)
        elif isinstance(verdict, Taken):
            self.drop(verdict.rejected, "the collector rejected some of a batch")
        else:
            reason = verdict.reason if isinstance(verdict, Refused) else "it answered 413"
            self.drop(batch.weight, f"the collector refused a batch ({reason})")
        if entry is None or self.spool is None:
            self._memory.popleft()
        else:
            self.spool.forget(entry)
        self._recovered()

    def _recovered(self) -> None:
        if self._outage:
            log.info("taximeter: the collector at %s takes spans again", self._plan.address)
        self._outage, self._failures, self.healthy = "", 0, True
        self._told_to_wait = False
        more = self._kept or len(self.queue) >= self._plan.batch_size
        self._post_at = time.monotonic() + (0.0 if more or self._flushes else self._plan.delay_s)

    def _wait(self, answer: Later) -> None:
        self.healthy = False
        backoff = min(FIRST_WAIT_S * 2.0**self._failures, LONGEST_WAIT_S)
        self._failures = min(self._failures + 1, 10)
        self._told_to_wait = answer.after_s is not None
        wait_s = answer.after_s if answer.after_s is not None else backoff
        self._post_at = time.monotonic() + wait_s * random.uniform(1.0, 1.2)  # noqa: S311 - jitter
        first, self._outage = not self._outage, answer.reason
        if first and not any(flush.last for flush in self._flushes):
            self._say_outage(f"spans wait {'on disk' if self.spool else 'in memory'}")
        # A flush that can't be served is told at once, so that no program waits for nothing.
        self._flushes = [
            flush
            if answer.answered and self._post_at < flush.deadline
            else flush._replace(deadline=0.0)
            for flush in self._flushes
        ]

    def _say_outage(self, consequence: str) -> None:
        log.warning(
            "taximeter: the collector at %s does not take spans (%s); %s",
            self._plan.address,
            self._outage or "it did not answer in time",
            consequence,
        )

    @property
    def _kept(self) -> bool:
        return bool(self._memory) or (self.spool is not None and self.spool.waiting)

    @property
    def _waiting(self) -> bool:
        return bool(self.queue) or self._kept

    def _keep(self) -> None:
        """Move spans from the queue to where they wait: the disk, or one batch in memory."""
        while self.queue and not self._memory:
            count = min(len(self.queue), self._plan.batch_size)
            self._encode([self.queue.popleft() for _ in range(count)])
        if self.spool is not None and time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_S
            self.spool.adopt()

    def _encode(self, spans: list[ReadableSpan]) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        with never_raise("encoding spans"):
            self._store(encoded(spans, dropped))
            return
        with self._lock:
            self._dropped += dropped
        if len(spans) == 1:
            self.drop(1, "a span can't be encoded")
            return
        for span in spans:
            self._encode([span])

    def _store(self, batch: Batch) -> None:
        if self.spool is not None:
            try:
                self.drop(self.spool.add(batch), "the spool is full")
            except OSError as error:
                warn_once("disk", "the spool can't be written: %s", error.strerror)
            else:
                return
        self._memory.append(batch)

    def _post(self) -> None:
        if self._posting is not None or time.monotonic() < self._post_at:
            return
        if self._memory:
            self._posting = (self._memory[0], None)
        elif self.spool is not None and (found := self.spool.first()) is not None:
            entry, batch = found
            self._posting = (batch, entry)
        if self._posting is not None:
            self._bodies.put(self._posting[0].body)

    def _answer_flushes(self) -> bool:
        """Answer those whose spans are sent or whose time is up; False after the last one."""
        now, clear = time.monotonic(), self._posting is None and not self._waiting
        over = [flush for flush in self._flushes if clear or flush.deadline <= now]
        self._flushes = [flush for flush in self._flushes if flush not in over]
        last = any(flush.last for flush in over)
        if last:
            with never_raise("closing the spool"):
                self._close(clear=clear)
        for flush in over:
            flush.done.put(clear)
        return not last

    def _close(self, *, clear: bool) -> None:
        self._bodies.put(None)
        lost = len(self.queue) + sum(batch.spans for batch in self._memory)
        if lost:
            self._say_outage(f"the last {lost} spans are lost")
        elif not clear and not self._outage:
            self._say_outage("spans wait on disk")
        if self.spool is not None:
            self.spool.close()
