"""Processes that fork, are told to stop, are killed, sample, or export by themselves."""

from __future__ import annotations

import glob
import importlib.util
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from otlp_receiver import Receiver, Reply, receiving
from taximeter_api.demo.processes import free_port

PRELUDE = """
import os, sys, signal, threading, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import openai, taximeter
URL = {url!r}
clients = {{}}
def client():
    # One for each process: connections can't be shared with a forked child.
    if os.getpid() not in clients:
        clients[os.getpid()] = openai.OpenAI(api_key="k", base_url=URL, max_retries=0)
    return clients[os.getpid()]
def call(name):
    with taximeter.tag(feature=name):
        client().embeddings.create(model="text-embedding-3-small", input="x")
taximeter.instrument()
"""


class Program:
    def __init__(self, fake_url: str, receiver: Receiver, folder: Path) -> None:
        self.receiver = receiver
        self.folder = folder
        self.prelude = PRELUDE.format(url=fake_url)
        self._started: list[subprocess.Popen[str]] = []

    def write(self, code: str, name: str = "shop.py") -> Path:
        path = self.folder / name
        path.write_text(self.prelude + code)
        return path

    def start(self, code: str, name: str = "shop.py", **variables: str) -> subprocess.Popen[str]:
        return self.start_command(sys.executable, self.write(code, name), **variables)

    def start_command(self, *command: object, **variables: str) -> subprocess.Popen[str]:
        outer = {k: v for k, v in os.environ.items() if not k.startswith(("TAXIMETER_", "OTEL_"))}
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**outer, "TAXIMETER_ENDPOINT": self.receiver.url, **variables},
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self, code: str, name: str = "shop.py", **variables: str) -> tuple[int, str, str]:
        process = self.start(code, name, **variables)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def end(self) -> None:
        """Leave no process behind, also after a test that failed."""
        for process in self._started:
            process.kill()
            process.wait(timeout=60)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def features(self) -> Counter[str]:
        return Counter(
            pair.value.string_value
            for span in self.receiver.spans()
            for pair in span.attributes
            if pair.key == "taximeter.feature"
        )


@pytest.fixture
def program(fake: Any, tmp_path: Path) -> Iterator[Program]:
    with receiving() as receiver:
        program = Program(fake.url, receiver, tmp_path)
        yield program
        program.end()


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_forked_child_and_its_parent_each_send_their_own_calls_once(program: Program) -> None:
    done = program.run("""
call("before")
children = []
for number in range(3):
    pid = os.fork()
    if not pid:
        call(f"child {number}")
        taximeter.flush()
        os._exit(0)
    children.append(pid)
call("after")
print([os.waitpid(pid, 0)[1] for pid in children])
""")

    assert done == (0, "[0, 0, 0]\n", "")
    assert program.features() == dict.fromkeys(
        ["before", "after", "child 0", "child 1", "child 2"], 1
    )
    assert len({span.span_id for span in program.receiver.spans()}) == 5


def test_a_fork_amid_calls_of_other_threads_neither_hangs_nor_loses(program: Program) -> None:
    # A first call, because openai itself hangs in a child forked amid its own lazy set-up.
    done = program.run("""
call("first")
def work(name):
    for _ in range(30):
        call(name)
threads = [threading.Thread(target=work, args=("thread",)) for _ in range(3)]
for thread in threads: thread.start()
codes = []
for _ in range(8):
    pid = os.fork()
    if not pid:
        call("child")
        os._exit(0 if taximeter.flush() else 1)
    codes.append(os.waitpid(pid, 0)[1])
for thread in threads: thread.join()
print(codes)
""")

    assert done == (0, f"{[0] * 8}\n", "")
    assert program.features() == {"first": 1, "thread": 90, "child": 8}


def test_children_of_multiprocessing_send_their_last_calls(program: Program) -> None:
    done = program.run("""
import multiprocessing
call("parent")
def work():
    call("child")
workers = [multiprocessing.get_context("fork").Process(target=work) for _ in range(3)]
for worker in workers: worker.start()
for worker in workers: worker.join()
print([worker.exitcode for worker in workers])
""")

    assert done == (0, "[0, 0, 0]\n", "")
    assert program.features() == {"parent": 1, "child": 3}


def test_the_apps_seed_of_random_does_not_repeat_ids(program: Program) -> None:
    done = program.run("""
import random
for _ in range(2):
    random.seed(42)
    call("seeded")
""")

    assert done == (0, "", "")
    assert len({span.span_id for span in program.receiver.spans()}) == 2
    assert len({span.trace_id for span in program.receiver.spans()}) == 2


@pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is optional")
def test_gunicorns_workers_send_their_calls_with_a_preloaded_app(program: Program) -> None:
    program.write(
        """
call("preload")
def app(environ, start_response):
    call("request")
    start_response("200 OK", [])
    return [b"%d" % os.getpid()]
""",
        "shop.py",
    )
    port = free_port()
    server = program.start_command(
        sys.executable, "-m", "gunicorn", "--preload", "-w2", "-b", f"127.0.0.1:{port}",
        "--no-control-socket", "shop:app",
    )  # fmt: skip
    assert server.stderr is not None
    for line in server.stderr:
        if "Booting worker" in line:
            break

    for _ in range(6):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
    server.terminate()
    server.communicate(timeout=60)

    assert server.returncode == 0
    assert program.features() == {"preload": 1, "request": 6}


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is optional")
def test_greenlets_of_gevent_keep_their_tags_apart(program: Program) -> None:
    program.prelude = "from gevent import monkey; monkey.patch_all()\n" + program.prelude

    done = program.run("""
import gevent
def work(name):
    with taximeter.tag(feature=name, user=name):
        for _ in range(3):
            with openai.OpenAI(api_key="k", base_url=URL) as own:
                own.embeddings.create(model="text-embedding-3-small", input="x")
            gevent.sleep(0.001)
    call(name)
gevent.joinall([gevent.spawn(work, f"greenlet {number}") for number in range(20)], raise_error=True)
""")

    assert done == (0, "", "")
    assert program.features() == {f"greenlet {number}": 4 for number in range(20)}


CELERY_APP = """
from celery import Celery
import taximeter.celery
taximeter.celery.install()
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = dict.fromkeys(
    ["data_folder_in", "data_folder_out", "control_folder"], "queue"
)
app.conf.task_ignore_result = True
@app.task
def work():
    client().embeddings.create(model="text-embedding-3-small", input="x")
    with open("done", "a") as done:
        done.write("x")
        os.write(1, b"done %d\\n" % done.tell())
"""


def test_celerys_prefork_workers_send_each_call_once_with_the_tags_of_the_enqueuer(
    program: Program,
) -> None:
    (program.folder / "queue").mkdir()
    program.write(CELERY_APP)
    done = program.run(
        """
from shop import work
for number in range(12):
    with taximeter.tag(feature=f"enqueuer {number % 3}"):
        work.delay()
""",
        name="enqueue.py",
    )
    assert done == (0, "", "")

    worker = program.start_command(
        sys.executable, "-m", "celery", "-A", "shop", "worker", "-P", "prefork", "-c", "2",
        "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR",
        TAXIMETER_EXPORT_DELAY_MS="600000",
    )  # fmt: skip
    for line in worker.stdout or ():
        if line == "done 12\n":
            break
    worker.terminate()
    _, err = worker.communicate(timeout=60)

    assert worker.returncode == 0, err
    assert program.features() == {f"enqueuer {number}": 4 for number in range(3)}


def test_sigterm_flushes_and_still_ends_the_process_by_the_signal(program: Program) -> None:
    process = program.start(
        """
call("one")
stream = client().chat.completions.create(model="gpt-5", messages=[], stream=True)
next(stream)
print("ready", flush=True)
sys.stdin.read()
""",
        TAXIMETER_EXPORT_DELAY_MS="600000",
    )
    assert said(process) == "ready"

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert len(program.receiver.spans()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_apps_own_handler_of_sigterm_runs(program: Program, when: str) -> None:
    handler = """
def goodbye(number, frame):
    print("goodbye", number)
    sys.exit(3)
signal.signal(signal.SIGTERM, goodbye)
"""
    again = "taximeter.uninstrument()\n" + handler + "taximeter.instrument()\n"
    code = (again if when == "before" else handler) + (
        'call("one")\nprint("ready", flush=True)\nsys.stdin.read()\n'
    )
    process = program.start(code, TAXIMETER_EXPORT_DELAY_MS="600000")
    assert said(process) == "ready"

    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (3, "goodbye 15\n")
    assert len(program.receiver.spans()) == 1


def test_a_signal_that_the_app_ignores_stays_ignored_and_is_left_as_it_was(
    program: Program,
) -> None:
    done = program.run("""
taximeter.uninstrument()
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
taximeter.instrument()
os.kill(os.getpid(), signal.SIGTERM)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
""")

    assert done == (0, "True\nTrue\n", "")


def test_a_spool_survives_a_dead_collector_and_a_killed_app(program: Program) -> None:
    spool = program.folder / "spool"
    process = program.start(
        """
for number in range(5):
    call(f"call {number}")
print("ready", flush=True)
sys.stdin.read()
""",
        TAXIMETER_ENDPOINT=nobody(),
        TAXIMETER_SPOOL_DIR=str(spool),
    )
    assert said(process) == "ready"
    wait_until_on_disk(spool, spans=5)
    process.kill()
    process.communicate(timeout=60)

    done = program.run('call("later")', TAXIMETER_SPOOL_DIR=str(spool))

    assert done == (0, "", "")
    assert program.features() == dict.fromkeys([*(f"call {n}" for n in range(5)), "later"], 1)
    assert list((spool / "shop").iterdir()) == []


def wait_until_on_disk(spool: Path, spans: int) -> None:
    """Poll as a reader of the files would: nothing else of the process says so."""
    from taximeter.spool import _waiting

    for _ in range(2_000):
        # Unlike pathlib's, this passes over a folder that is renamed while it looks.
        paths = [Path(name) for name in glob.glob(f"{spool}/*/*/*.otlp")]  # noqa: PTH207
        if sum(entry.spans for path in paths for entry in _waiting(path)) >= spans:
            return
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    raise AssertionError("nothing came to the disk")


def test_a_forked_child_does_not_hold_the_spool_of_a_killed_parent(program: Program) -> None:
    spool = program.folder / "spool"
    process = program.start(
        """
call("parent")
print("ready", flush=True)
sys.stdin.readline()
child = os.fork()
if not child:
    sys.stdin.read()
    os._exit(0)
print("forked", flush=True)
sys.stdin.read()
""",
        TAXIMETER_ENDPOINT=nobody(),
        TAXIMETER_SPOOL_DIR=str(spool),
    )
    assert process.stdin is not None
    assert said(process) == "ready"
    wait_until_on_disk(spool, spans=1)
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process) == "forked"
    process.kill()
    process.wait(timeout=60)

    done = program.run('call("later")', TAXIMETER_SPOOL_DIR=str(spool))
    process.communicate(timeout=60)

    assert done == (0, "", "")
    assert program.features() == {"parent": 1, "later": 1}


def test_in_lambda_a_call_is_sent_before_the_sandbox_may_freeze(program: Program) -> None:
    done = program.run(
        'call("handler")\nos._exit(0)',
        AWS_LAMBDA_FUNCTION_NAME="shop",
        TAXIMETER_EXPORT_DELAY_MS="600000",
    )

    assert done == (0, "", "")
    assert program.features() == {"handler": 1}


def test_a_flush_tells_whether_the_collector_took_everything(program: Program) -> None:
    program.receiver.replies = [Reply(status=503, headers={"Retry-After": "100"})]

    done = program.run("""
print(taximeter.flush())
call("one")
print(taximeter.flush(0.5))
taximeter.uninstrument()
print(taximeter.flush())
""")

    assert done[:2] == (0, "True\nFalse\nTrue\n")
    assert done[2].count("\n") == 2
    assert done[2].splitlines()[1].endswith("(it answered 503); the last 1 spans are lost")


@pytest.mark.parametrize("sampler", ["ALWAYS_OFF", "TraceIdRatioBased(0.0)"])
def test_a_call_is_counted_and_joins_the_apps_trace_whatever_the_app_samples(
    program: Program, sampler: str
) -> None:
    code, out, _ = program.run(f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, TraceIdRatioBased
trace.set_tracer_provider(TracerProvider(sampler={sampler}))
with trace.get_tracer("app").start_as_current_span("request") as span:
    call("one")
    print(format(span.get_span_context().trace_id, "032x"))
""")

    (span,) = program.receiver.spans()
    assert (code, out.strip()) == (0, span.trace_id.hex())


OWN_EXPORT = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter({url!r} + "/v1/traces")))
trace.set_tracer_provider(provider)
"""


@pytest.mark.parametrize("given", [False, True])
def test_an_app_that_exports_to_the_same_collector_sends_each_span_once(
    program: Program, given: bool
) -> None:
    again = "taximeter.uninstrument()\ntaximeter.instrument(provider)\n" if given else ""

    done = program.run(
        OWN_EXPORT.format(url=program.receiver.url)
        + again
        + 'with trace.get_tracer("app").start_as_current_span("request"):\n    call("one")\n'
        + "print(taximeter.flush())"
    )

    assert done == (0, "True\n", "")
    assert sorted(program.receiver.names()) == ["embeddings text-embedding-3-small", "request"]


@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.distro") is None, reason="the distro is optional"
)
def test_opentelemetry_instrument_to_the_same_collector_makes_no_second_copy(
    program: Program,
) -> None:
    path = program.write(
        "from opentelemetry import trace\n"
        'with trace.get_tracer("app").start_as_current_span("request"):\n    call("one")\n'
    )
    tool = Path(sys.executable).with_name("opentelemetry-instrument")
    installed = entry_points(group="opentelemetry_instrumentor")
    others = {one.name for one in installed} - {"taximeter"}

    process = program.start_command(
        tool,
        sys.executable,
        path,
        OTEL_EXPORTER_OTLP_ENDPOINT=program.receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=",".join(others),
    )
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert sorted(program.receiver.names()) == ["embeddings text-embedding-3-small", "request"]
    assert len({span.trace_id for span in program.receiver.spans()}) == 1
