"""Tags reach the tasks of real queues and pools."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import fakeredis
import openai
import pytest
import rq
from celery import Celery
from celery.contrib.testing.worker import start_worker
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider

import taximeter
import taximeter.celery
import taximeter.rq
from taximeter.tags import current_tags

SEARCH = {"taximeter.feature": "search", "taximeter.tag.plan": "gold"}


def tags() -> dict[str, str]:
    return dict(current_tags())


def fail() -> None:
    raise ValueError("inside")


def test_work_of_a_tagged_executor_has_the_tags_of_those_who_submit_it() -> None:
    with taximeter.tagged_executor(ThreadPoolExecutor(max_workers=1)) as executor:
        with taximeter.tag(feature="search", plan="gold"):
            submitted = executor.submit(tags)
            mapped = list(executor.map(lambda _: tags(), range(3)))
        untagged = executor.submit(tags)

    assert submitted.result() == SEARCH
    assert mapped == [SEARCH] * 3
    assert untagged.result() == {}


def test_work_of_a_tagged_executor_joins_the_trace_of_those_who_submit_it() -> None:
    tracer = TracerProvider().get_tracer("app")

    with (
        taximeter.tagged_executor(ThreadPoolExecutor()) as executor,
        tracer.start_as_current_span("request") as span,
    ):
        assert executor.submit(trace.get_current_span).result() is span


def test_a_tagged_executor_hands_on_exceptions_and_serves_asyncio() -> None:
    async def in_loop(executor: Executor) -> dict[str, str]:
        with taximeter.tag(feature="search", plan="gold"):
            return await asyncio.get_running_loop().run_in_executor(executor, tags)

    with taximeter.tagged_executor(ThreadPoolExecutor()) as executor:
        with pytest.raises(ValueError, match="inside"):
            executor.submit(fail).result()
        assert asyncio.run(in_loop(executor)) == SEARCH


def test_a_tagged_executor_of_processes_takes_the_tags_along() -> None:
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    with taximeter.tagged_executor(pool) as executor, taximeter.tag(feature="search", plan="gold"):
        assert executor.submit(taximeter.headers).result() == taximeter.headers()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    provider = TracerProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider


@pytest.fixture(scope="module")
def celery() -> Iterator[Celery]:
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.task(name="shop.tags")(tags)
    app.task(name="shop.fail")(fail)
    app.task(name="shop.again", bind=True, max_retries=1, default_retry_delay=0)(again)
    app.task(name="shop.first")(first)
    app.task(name="shop.second")(second)
    app.task(name="shop.summarise")(embed)
    taximeter.celery.install()
    taximeter.celery.install()
    # The worker sets the level of all logs of this process: other tests wait for warnings.
    options = {"pool": "threads", "loglevel": "warning", "shutdown_timeout": 60}
    with start_worker(app, perform_ping_check=False, **options):
        yield app
    taximeter.celery.uninstall()


def again(task: Any) -> dict[str, str]:
    if not task.request.retries:
        raise task.retry(countdown=0)
    return tags()


def first() -> None: ...


def second(_: None) -> dict[str, str]:
    return tags()


def embed(url: str) -> None:
    with openai.OpenAI(api_key="k", base_url=url) as client:
        client.embeddings.create(model="m", input="x")


def result_of(sent: Any) -> Any:
    return sent.get(timeout=30)


def test_a_celery_task_has_the_tags_of_its_sender(celery: Celery) -> None:
    with taximeter.tag(feature="search", plan="gold"):
        tagged = celery.tasks["shop.tags"].delay()
    untagged = celery.tasks["shop.tags"].delay()

    assert result_of(tagged) == SEARCH
    assert result_of(untagged) == {}


def test_retries_and_chains_of_celery_keep_the_tags(celery: Celery) -> None:
    first, second = celery.tasks["shop.first"], celery.tasks["shop.second"]

    with taximeter.tag(feature="search", plan="gold"):
        retried = celery.tasks["shop.again"].delay()
        chained = (first.s() | second.s()).delay()

    assert result_of(retried) == SEARCH
    assert result_of(chained) == SEARCH


def test_a_failed_celery_task_leaves_no_tags_behind(celery: Celery) -> None:
    with taximeter.tag(feature="search"):
        failed = celery.tasks["shop.fail"].delay()
    with pytest.raises(ValueError, match="inside"):
        result_of(failed)

    assert result_of(celery.tasks["shop.tags"].delay()) == {}
    assert taximeter.celery._running == {}


def test_an_eager_celery_task_is_inside_of_its_senders_tags(celery: Celery) -> None:
    with taximeter.tag(feature="search", plan="gold"):
        assert celery.tasks["shop.tags"].apply().get() == SEARCH
        assert tags() == SEARCH


@pytest.fixture
def traced(provider: TracerProvider) -> Iterator[None]:
    CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]
    yield
    CeleryInstrumentor().uninstrument()  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("traced")
def test_an_untagged_call_in_a_celery_task_is_named_by_the_task(
    fake: Any, spans: Any, celery: Celery
) -> None:
    result_of(celery.tasks["shop.summarise"].delay(fake.url))

    assert spans.only()["taximeter.feature"] == "shop.summarise"


class Worker(rq.SimpleWorker):
    def _install_signal_handlers(self) -> None:
        """Leave the signals to pytest."""


@pytest.fixture
def queue() -> Iterator[rq.Queue]:
    taximeter.rq.install()
    taximeter.rq.install()
    yield rq.Queue(connection=fakeredis.FakeStrictRedis())
    taximeter.rq.uninstall()


def work(queue: rq.Queue) -> None:
    Worker([queue], connection=queue.connection).work(burst=True)


def test_an_rq_job_has_the_tags_of_its_sender(queue: rq.Queue) -> None:
    mine = {"mine": 1}
    with taximeter.tag(feature="search", plan="gold"):
        tagged = queue.enqueue(tags, meta=mine)
        (many,) = queue.enqueue_many([rq.Queue.prepare_data(tags)])
    untagged = queue.enqueue(tags)

    work(queue)

    assert tagged.return_value() == many.return_value() == SEARCH
    assert untagged.return_value() == {}
    assert tagged.get_meta()["mine"] == 1
    assert mine == {"mine": 1}
    assert tags() == {}


def test_a_failed_rq_job_leaves_no_tags_behind(queue: rq.Queue) -> None:
    with taximeter.tag(feature="search"):
        failed = queue.enqueue(fail)
    after = queue.enqueue(tags)

    work(queue)

    assert failed.get_status() is rq.job.JobStatus.FAILED
    assert after.return_value() == {}


def test_uninstalled_rq_is_as_it_was() -> None:
    before = vars(rq.job.Job)["create"], vars(rq.job.Job)["perform"]

    taximeter.rq.install()
    taximeter.rq.uninstall()

    assert (vars(rq.job.Job)["create"], vars(rq.job.Job)["perform"]) == before


def test_threads_share_one_tag_object_without_mixing() -> None:
    tagged = taximeter.tag(feature="search")
    inside = threading.Barrier(2)
    seen: list[tuple[tuple[str, str], ...]] = []

    def run(user: str) -> None:
        with taximeter.tag(user=user), tagged:
            inside.wait(60)
            seen.append(tuple(sorted(tags().items())))
            inside.wait(60)
        seen.append(tuple(tags().items()))

    with ThreadPoolExecutor(2) as pool:
        done: list[Future[None]] = [pool.submit(run, user) for user in "ab"]
    assert [future.result() for future in done] == [None, None]

    assert sorted(seen) == [
        (),
        (),
        (("taximeter.feature", "search"), ("user.id", "a")),
        (("taximeter.feature", "search"), ("user.id", "b")),
    ]
