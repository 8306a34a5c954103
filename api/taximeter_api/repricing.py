"""Price the past anew: one job at a time, in a thread, which goes on where it was interrupted."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, HTTPException, Query, Request

from taximeter_api.questions import Refused, period_of, scope_of, tomorrow
from taximeter_api.routes import filters_of
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Period, Scope, Store
from taximeter_collector.store.repricing import RepricedModel, Repricing, Span, Step, summed

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a job is."""

    job: Repricing
    dry_run: bool = False
    done: int = 0
    parts: int = 0
    steps: list[Step] = field(default_factory=list)
    problem: str = ""

    @property
    def lines(self) -> tuple[RepricedModel, ...]:
        return summed(line for step in self.steps for line in step.lines)


def days_of(start: str, end: str) -> Period:
    """Read the period of a job; without an end it goes to the end of today, in UTC."""
    now = datetime.now(UTC)
    return period_of(start, end or tomorrow(now).isoformat(), now)


class Repricer:
    def __init__(self, store: Store, prices: Callable[[], PriceBook]) -> None:
        self._store = store
        self._prices = prices
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.progress: Progress | None = None
        """Of the job under way, or of the last one."""

    def start(self, period: Period, scope: Scope, *, asked_by: str, dry_run: bool) -> Progress:
        """Start a job, or go on with the same one if it was interrupted."""
        book = self._prices()
        job = Repricing(
            id=uuid4().hex,
            asked_by=asked_by,
            started_at=_now(),
            book_version=book.version,
            period=period,
            scope=scope,
        )
        earlier = [] if dry_run else self._unfinished(book)
        job = next((one for one in earlier if one.is_like(job)), job)
        return self._begin(Progress(job=job, dry_run=dry_run), book)

    def resume(self) -> None:
        """Go on with the newest job that was interrupted, if prices are still the same."""
        book = self._prices()
        if unfinished := self._unfinished(book):
            self._begin(Progress(job=unfinished[0]), book)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the job; return whether it came."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def close(self) -> None:
        """Stop between two steps; the job goes on at the next start."""
        self._stopping.set()
        self.wait()

    def _unfinished(self, book: PriceBook) -> list[Repricing]:
        return [
            job
            for job in self._store.repricings()
            if job.finished_at is None and job.book_version == book.version
        ]

    def _begin(self, progress: Progress, book: PriceBook) -> Progress:
        with self._starting:
            if not self.wait(0):
                raise Refused("a re-pricing is under way: wait for it", status=409)
            self.progress = progress
            self._thread = threading.Thread(
                target=self._run, args=(progress, book), name="repricing"
            )
            self._thread.start()
        return progress

    def _run(self, progress: Progress, book: PriceBook) -> None:
        try:
            self._take_steps(progress, book)
        except Exception as error:
            log.exception("a re-pricing was interrupted")
            progress.problem = str(error) or type(error).__name__

    def _take_steps(self, progress: Progress, book: PriceBook) -> None:
        job, store = progress.job, self._store
        spans = deque(self._what_is_left(progress, book))
        progress.parts = len(spans)
        while spans and not self._stopping.is_set():
            step = self._taken(job, spans[0], book, dry_run=progress.dry_run)
            progress.steps.append(step)
            if step.span.upto:
                spans[0] = replace(step.span, after=step.span.upto, upto="")
            else:
                spans.popleft()
                progress.done += 1
        if spans:
            progress.problem = "the service was stopped"
            return
        progress.job = replace(job, finished_at=_now())
        if not progress.dry_run:
            store.keep_repricing(progress.job)

    def _what_is_left(self, progress: Progress, book: PriceBook) -> Iterator[Span]:
        job, store = progress.job, self._store
        period = job.period
        if not progress.dry_run:
            store.keep_repricing(job)
            progress.steps = store.repricing_steps(job.id)
        if progress.steps:
            last = progress.steps[-1].span
            # Perhaps its calls were written before the interruption; again changes nothing.
            store.reprice(job, last, book.priced, now=datetime.now(UTC), noted=True)
            if last.upto:
                yield replace(last, after=last.upto, upto="")
            period = Period(last.end, max(last.end, period.end))
        yield from store.repricing_spans(period, job.scope)

    def _taken(self, job: Repricing, span: Span, book: PriceBook, *, dry_run: bool) -> Step:
        if dry_run:
            return self._store.preview(job, span, book.priced)
        step = self._store.reprice(job, span, book.priced, now=datetime.now(UTC))
        # Sums of hours that wait for their rollup are read from every row.
        self._store.refresh()
        return step


def _now() -> datetime:
    """Return the moment to the millisecond, as it is kept."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def told(progress: Progress) -> dict[str, Any]:
    """Turn a job into what the API and `--json` tell; money as text, every digit."""
    job = progress.job
    lines = progress.lines
    return {
        "id": job.id,
        "asked_by": job.asked_by,
        "started_at": job.started_at.isoformat(),
        "finished_at": job.finished_at and job.finished_at.isoformat(),
        "book_version": job.book_version,
        "from": job.period.start.isoformat(),
        "to": job.period.end.isoformat(),
        "scope": {name.outside_name: list(values) for name, values in job.scope.values.items()},
        "dry_run": progress.dry_run,
        "parts": progress.parts,
        "parts_done": progress.done,
        "problem": progress.problem or None,
        "currency": "USD",
        "total": _sums(lines),
        "lines": [
            {"day": line.day.isoformat(), "model": line.model} | _sums([line]) for line in lines
        ],
    }


def _sums(lines: Sequence[RepricedModel]) -> dict[str, Any]:
    return {
        "calls": sum(line.calls for line in lines),
        "changed": sum(line.changed for line in lines),
        "before": f"{sum((line.before for line in lines), Decimal(0)):f}",
        "after": f"{sum((line.after for line in lines), Decimal(0)):f}",
        "unpriced_before": sum(line.unpriced_before for line in lines),
        "unpriced_after": sum(line.unpriced_after for line in lines),
    }


def repricing_api(store: Store, repricer: Repricer) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/repricings")
    def past() -> dict[str, Any]:
        """List the newest re-pricings, unfinished ones included, without their lines."""
        jobs = (
            Progress(job=job, steps=store.repricing_steps(job.id)) for job in store.repricings()
        )
        return {"repricings": [told(one) | {"lines": None} for one in jobs]}

    @router.get("/repricings/{id_}")
    def one(id_: str) -> dict[str, Any]:
        """Tell how far a re-pricing is, and what it changed by day and model."""
        under_way = repricer.progress
        if under_way is not None and under_way.job.id == id_:
            return told(under_way)
        for job in store.repricings():
            if job.id == id_:
                return told(Progress(job=job, steps=store.repricing_steps(id_)))
        raise HTTPException(404, f"no re-pricing has the id {id_!r}")

    @router.post("/repricings", status_code=202)
    def start(
        request: Request,
        *,
        from_: Annotated[str, Query(alias="from", description="ISO date or time")],
        to: Annotated[str, Query(description="ISO date or time, exclusive")] = "",
        dry_run: Annotated[bool, Query(description="Say what would change")] = False,
        by: Annotated[str, Query(description="Who asks, for the record")] = "",
    ) -> dict[str, Any]:
        """Price the calls of a period with today's book; any dimension narrows it to some calls."""
        period = days_of(from_, to)
        scope = scope_of(filters_of(request, ("dry_run", "by")))
        return told(repricer.start(period, scope, asked_by=by, dry_run=dry_run))

    return router
