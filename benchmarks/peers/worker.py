"""Runs inside of one peer's environment: `worker.py check|speed|start METER`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any


def main() -> None:
    task, meter = sys.argv[1:3]
    warnings.simplefilter("ignore")
    logging.disable()
    told = {"check": check, "speed": speed, "start": start, "record": record}[task](meter)
    # Some peers print to the standard output.
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        for one in told:
            print(json.dumps(one), file=out, flush=True)
    os._exit(0)  # no exit handler of a peer has anyone to send to


def start(meter: str) -> Iterator[float]:
    """Give the CPU milliseconds of this process once openai is imported and the meter set up."""
    import openai  # noqa: F401
    from meters import METERS

    METERS[meter](None, None)
    yield time.process_time() * 1000


def check(meter: str) -> Iterator[dict[str, Any]]:
    """Go through the situations; gives what the app saw and what the telemetry says."""
    import fake

    from situations import SITUATIONS, Clients

    spans = _spans_of(meter)
    with fake.serving() as server:
        for situation in SITUATIONS:
            server.requests.clear()
            clients = Clients(f"{server.url}/{situation.script}")
            saw = _saw(lambda act=situation.act, c=clients: act(c))
            yield {
                "situation": situation.name,
                "saw": saw,
                "sent": list(server.requests),
                **_judged(spans(), situation.bill, fake.SENTINEL),
            }


def record(meter: str) -> Iterator[dict[str, Any]]:
    """Go through the situations; gives each one's spans and what its bill says."""
    import fake

    from situations import SITUATIONS, Clients

    spans = _spans_of(meter)
    with fake.serving() as server:
        for situation in SITUATIONS:
            clients = Clients(f"{server.url}/{situation.script}")
            _saw(lambda act=situation.act, c=clients: act(c))
            yield {
                "situation": situation.name,
                "bill": dataclasses.asdict(situation.bill),
                "spans": [_printed(span) for span in spans() or ()],
            }


def _printed(span: Any) -> dict[str, Any]:
    """Give what a collector gets of a span, without what is of this machine alone."""
    return {
        "scope": span.instrumentation_scope.name,
        "name": span.name,
        "kind": span.kind.name,
        "status": [span.status.status_code.name, span.status.description],
        "attributes": {
            name: value
            for name, value in span.attributes.items()
            if not name.startswith(("code.", "host.", "os.", "process."))
        },
    }


def _judged(spans: list[Any] | None, bill: Any, sentinel: str) -> dict[str, Any]:
    if spans is None:
        return {}
    from reading import faults

    text = any(sentinel in span.to_json() for span in spans)
    named, searched = (faults(spans, bill, copies=copies) for copies in (False, True))
    return {"faults": searched, "faults_without_copies": named, "text": text}


def _spans_of(meter: str) -> Any:
    """Set the meter up; gives a function that takes the spans finished since its last call."""
    import openai  # noqa: F401
    from meters import METERS

    if meter == "bare":
        return lambda: None
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    METERS[meter](provider, processor)

    def finished() -> list[Any]:
        _settle(meter)
        found = [span for span in exporter.get_finished_spans() if not _is_placeholder(span)]
        exporter.clear()
        return found

    return finished


def _settle(meter: str) -> None:
    """Let ours end abandoned streams, which it otherwise does at the next call or at exit."""
    if meter.startswith("taximeter"):
        from taximeter.call import settle

        settle()


def _is_placeholder(span: Any) -> bool:
    """Logfire exports each span once more as it begins."""
    return (span.attributes or {}).get("logfire.span_type") == "pending_span"


def _saw(act: Any) -> list[Any]:
    try:
        return _described(act())
    except Exception as error:  # what the app would have had to deal with
        status = getattr(error, "status_code", "")
        return ["raised", type(error).__module__, type(error).__qualname__, status]


def _described(thing: Any) -> list[Any]:
    """Name the types as `isinstance` sees them, and digest the values."""
    if isinstance(thing, list):
        return [_described(item) for item in thing]
    sort = thing.__class__
    values = thing.model_dump_json() if hasattr(thing, "model_dump_json") else ""
    digest = hashlib.sha256(values.encode()).hexdigest()[:12]
    return [f"{sort.__module__}.{sort.__qualname__}", digest]


def speed(meter: str) -> Iterator[float]:
    """Measure one round for each line read: CPU microseconds a unit, of all threads."""
    import load
    from meters import METERS

    client = load.client()
    if meter != "bare":
        from opentelemetry.sdk.trace import TracerProvider

        processor = load.discarding()
        provider = TracerProvider()
        provider.add_span_processor(processor)
        METERS[meter](provider, processor)
        client = load.client()
    work = {"call": (load.calls, load.CALLS), "chunk": (load.streams, load.STREAMS * load.CHUNKS)}
    for line in sys.stdin:
        run, units = work[line.strip()]
        began = time.process_time()
        run(client)
        yield (time.process_time() - began) * 1e6 / units


if __name__ == "__main__":
    main()
