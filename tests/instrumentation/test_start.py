"""How the meter gets into a program and its spans out of it, in processes of their own."""

from __future__ import annotations

import gzip
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taximeter.settings import Settings, settings_in
from taximeter_api.demo.fake_openai import serving
from taximeter_api.demo.processes import free_port

APP = """
import openai
with openai.OpenAI(api_key="k", base_url={url!r}) as client:
    client.embeddings.create(model="text-embedding-3-small", input="the-secret-of-the-app")
    stream = client.chat.completions.create(model="gpt-5", messages=[], stream=True)
    next(stream)
print("done")
"""
LAUNCH = [sys.executable, "-m", "taximeter.launch"]
# Python 3.13.0 alone crashes at the end of any app, metered or not, that left a stream of httpx
# open: its datetime is gone before the garbage is.
END = -signal.SIGSEGV if sys.version_info[:3] == (3, 13, 0) else 0


class Collector:
    """A loopback OTLP receiver that keeps what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.headers: list[dict[str, str]] = []
        self.requests: list[ExportTraceServiceRequest] = []

    def app(self) -> Starlette:
        async def traces(request: Request) -> Response:
            body = gzip.decompress(await request.body())
            self.headers.append(dict(request.headers))
            self.requests.append(ExportTraceServiceRequest.FromString(body))
            return Response(media_type="application/x-protobuf")

        return Starlette(routes=[Route("/v1/traces", traces, methods=["POST"])])

    def spans(self) -> list[dict[str, str]]:
        return [
            texts(span.attributes)
            for request in self.requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, str]:
        return texts(self.requests[0].resource_spans[0].resource.attributes)


def texts(attributes: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    with serving(collector.app()) as url:
        collector.url = url
        yield collector


@pytest.fixture
def app(tmp_path: Path, fake: Any) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(APP.format(url=fake.url))
    return path


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TAXIMETER_", "OTEL_"))}
    return subprocess.run(
        [str(part) for part in command],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unmodified_program_is_metered_by_the_launcher(app: Path, collector: Collector) -> None:
    done = run(
        *LAUNCH,
        sys.executable,
        app,
        TAXIMETER_ENDPOINT=collector.url,
        TAXIMETER_TOKEN="t-1",
        TAXIMETER_ENVIRONMENT="test",
    )

    assert (done.returncode, done.stdout, done.stderr) == (END, "done\n", "")
    assert collector.headers[0]["authorization"] == "Bearer t-1"
    assert collector.headers[0]["content-encoding"] == "gzip"
    assert collector.resource()["service.name"] == "shop"
    assert collector.resource()["deployment.environment.name"] == "test"
    found = {
        (span["gen_ai.request.model"], span["taximeter.feature"]) for span in collector.spans()
    }
    assert found == {("text-embedding-3-small", "shop"), ("gpt-5", "shop")}


def test_the_standard_variables_of_opentelemetry_are_heeded(
    app: Path, collector: Collector
) -> None:
    done = run(
        *LAUNCH,
        sys.executable,
        app,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="named",
        OTEL_TRACES_SAMPLER="always_off",
    )

    assert done.returncode == END
    assert collector.resource()["service.name"] == "named"
    assert len(collector.spans()) == 2


CHAT_APP = """
import openai, toktok
toktok.batch_count([""], "o200k_base")  # loading it takes long where other tests run
with openai.OpenAI(api_key="k", base_url={url!r}) as client:
    messages = [{{"role": "user", "content": "hello world"}}]
    stream = client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
    for chunk in stream:
        if chunk.choices[0].finish_reason:
            break
"""


def test_a_program_that_ends_at_once_still_sends_the_estimate_of_its_stream(
    tmp_path: Path, fake: Any, collector: Collector
) -> None:
    app = tmp_path / "chat.py"
    app.write_text(CHAT_APP.format(url=fake.url))

    done = run(*LAUNCH, sys.executable, app, TAXIMETER_ENDPOINT=collector.url)

    assert (done.returncode, done.stderr) == (END, "")
    (span,) = collector.requests[0].resource_spans[0].scope_spans[0].spans
    counts = {pair.key: pair.value.int_value for pair in span.attributes if "usage" in pair.key}
    assert counts["gen_ai.usage.input_tokens"] == 9
    assert counts["gen_ai.usage.output_tokens"] == 8
    assert texts(span.attributes)["taximeter.usage.source"] == "estimated"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_with_a_thread_of_its_own() -> None:
    code = (
        "import os, sys; from taximeter import estimate; estimate.counter.start()\n"
        "parents = estimate.counter._queue; estimate._free.pop(); child = os.fork()\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "own = estimate.counter._queue is not parents and not estimate.counter._started\n"
        "os._exit(0 if own and len(estimate._free) == estimate.BLOCKS else 1)"
    )

    done = run(sys.executable, "-c", code)

    assert done.returncode == 0


def test_a_dead_collector_costs_the_program_less_than_two_seconds_at_its_end(app: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    timed = (
        "import atexit, runpy, time; ended = []; "
        "atexit.register(lambda: print(time.time() - ended[0])); "
        f"runpy.run_path({str(app)!r}); ended.append(time.time())"
    )

    done = run(*LAUNCH, sys.executable, "-c", timed, TAXIMETER_ENDPOINT=dead)

    assert done.returncode == 0
    assert float(done.stdout.split()[-1]) < 2
    assert "Traceback" not in done.stderr


def test_a_sitecustomize_that_the_launcher_shadows_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    # Buffered, as it is where nobody asks for the contrary.
    variables = {"PYTHONPATH": paths, "PYTHONUNBUFFERED": ""}
    done = run(*LAUNCH, sys.executable, "-c", "print('app')", **variables)

    # Once in the launcher's own interpreter, once in the program's.
    assert (done.stdout, done.stderr) == ("theirs\ntheirs\napp\n", "")


def test_a_program_is_launched_where_there_is_no_stdout(tmp_path: Path) -> None:
    done = tmp_path / "done"
    launch = [*map(str, LAUNCH), sys.executable, "-c", f"open({str(done)!r}, 'w').close()"]

    ended = run("/bin/sh", "-c", f"{shlex.join(launch)} >&-")

    assert (ended.returncode, done.exists()) == (0, True)


def test_the_launcher_without_a_command_shows_its_usage() -> None:
    done = run(*LAUNCH)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: taximeter-instrument COMMAND")


def test_the_launcher_names_a_command_that_is_not_there() -> None:
    done = run(*LAUNCH, "no-such-command")

    assert done.returncode == 127
    assert done.stderr == "taximeter-instrument: no-such-command: command not found\n"


def test_without_an_sdk_one_warning_says_what_to_install(app: Path) -> None:
    blocked = (
        "import sys, runpy; sys.modules['opentelemetry.sdk'] = None; "
        "sys.modules['opentelemetry.exporter'] = None; "
        f"import taximeter; taximeter.instrument(); runpy.run_path({str(app)!r})"
    )

    done = run(sys.executable, "-c", blocked)

    assert done.stdout == "done\n"
    assert done.stderr == (
        "taximeter: without the OpenTelemetry SDK nothing is recorded: "
        '`pip install "taximeter[otlp]"`\n'
    )


def test_importing_taximeter_loads_neither_openai_nor_an_sdk() -> None:
    code = (
        "import sys, taximeter; light = 'opentelemetry' not in sys.modules; "
        "taximeter.instrument(); loaded = [name for name in sys.modules if name == 'openai' "
        "or name.startswith(('opentelemetry.sdk', 'opentelemetry.instrumentation', 'requests'))]; "
        "print(light, loaded)"
    )

    done = run(sys.executable, "-W", "error", "-c", code)

    assert (done.stdout, done.stderr) == ("True []\n", "")


def test_a_hook_that_the_sdk_no_longer_has_is_named_and_the_rest_works(
    app: Path, collector: Collector
) -> None:
    older = (
        "import runpy, openai._base_client as base, taximeter; "
        "base.Renamed, base.AsyncAPIClient = base.AsyncAPIClient, None; "
        f"taximeter.instrument(); runpy.run_path({str(app)!r})"
    )

    done = run(sys.executable, "-c", older, TAXIMETER_ENDPOINT=collector.url)

    assert done.stdout == "done\n"
    assert done.stderr == (
        "taximeter: this version of openai has no AsyncAPIClient.request, "
        "AsyncAPIClient._process_response; calls may go uncounted\n"
    )
    assert len(collector.spans()) == 2


def test_switched_off_it_leaves_the_sdk_alone(app: Path, collector: Collector) -> None:
    done = run(
        *LAUNCH, sys.executable, app, TAXIMETER_ENABLED="false", TAXIMETER_ENDPOINT=collector.url
    )

    assert (done.stdout, done.stderr) == ("done\n", "")
    assert collector.requests == []


def test_the_opentelemetry_entry_point_meters_with_the_given_provider(fake: Any) -> None:
    code = (
        "import openai; from opentelemetry.sdk.trace import TracerProvider; "
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter; "
        "from taximeter.instrumentor import TaximeterInstrumentor; provider = TracerProvider(); "
        "provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter())); "
        "TaximeterInstrumentor().instrument(tracer_provider=provider); "
        f"openai.OpenAI(api_key='k', base_url={fake.url!r}).embeddings.create(model='m', input='');"
        "TaximeterInstrumentor().uninstrument()"
    )

    done = run(sys.executable, "-c", code)

    assert '"name": "embeddings m"' in done.stdout


def test_settings_are_read_from_the_environment() -> None:
    environ = {
        "TAXIMETER_FEATURE": "search",
        "TAXIMETER_TOKEN": "secret",
        "TAXIMETER_EXPORT_DELAY_MS": "250",
        "TAXIMETER_ENABLED": "false",
        "TAXIMETER_INJECT_USAGE": "0",
        "TAXIMETER_INJECT_USAGE_HOSTS": "LLM.internal, ::1",
        "TAXIMETER_SERVER_PORT": "1",
        "HOME": "/",
    }

    settings, complaints = settings_in(environ)

    assert settings == Settings(
        feature="search",
        token="secret",
        export_delay_ms=250,
        enabled=False,
        inject_usage=False,
        inject_usage_hosts="LLM.internal, ::1",
    )
    assert complaints == []
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("FEATUR", "x", "TAXIMETER_FEATUR is not a setting of taximeter and is ignored"),
        ("ENABLED", "no", "TAXIMETER_ENABLED is ignored: expected true or false"),
        (
            "EXPORT_DELAY_MS",
            "1s",
            "TAXIMETER_EXPORT_DELAY_MS is ignored: expected milliseconds from 1 to 600000",
        ),
        (
            "ENDPOINT",
            "collector:4318",
            "TAXIMETER_ENDPOINT is ignored: expected a base URL like http://127.0.0.1:4318",
        ),
        (
            "ENDPOINT",
            "http://[",
            "TAXIMETER_ENDPOINT is ignored: expected a base URL like http://127.0.0.1:4318",
        ),
        (
            "INJECT_USAGE_HOSTS",
            "https://llm.internal",
            "TAXIMETER_INJECT_USAGE_HOSTS is ignored: expected host names without scheme and port, "
            "separated by commas, or *",
        ),
        ("TOKEN", "a b", "TAXIMETER_TOKEN is ignored: expected printable ASCII without spaces"),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_ignored(
    name: str, value: str, complaint: str
) -> None:
    settings, complaints = settings_in({f"TAXIMETER_{name}": value})

    assert settings == Settings()
    assert complaints == [complaint]
