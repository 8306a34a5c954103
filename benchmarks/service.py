"""The service as a process: start, memory, CPU a span, waiting times; loopback only, bounded."""

from __future__ import annotations

import gzip
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import urllib3

from taximeter_api.demo import history
from taximeter_api.demo.processes import free_port

HTTP = urllib3.PoolManager(retries=False, timeout=30)
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_S = 10


@contextmanager
def service(folder: str, what: str, store: str = "") -> Iterator[tuple[int, str, str]]:
    """Run the service on a folder and print how long it took to be ready."""
    ports = (free_port(), free_port())
    settings = {
        "DATA_DIR": folder,
        "PORT": str(ports[0]),
        "OTLP_PORT": str(ports[1]),
        "LOG_LEVEL": "warning",
        "STORE": store,
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "taximeter_api", "serve"],
        env={**os.environ, **{f"TAXIMETER_SERVER_{k}": v for k, v in settings.items()}},
    )
    page, otlp = (f"http://127.0.0.1:{port}" for port in ports)
    try:
        while not answers(f"{page}/readyz"):
            time.sleep(0.02)
        print(f"ready, {what:<20} {time.perf_counter() - began:8.1f} s")
        yield process.pid, page, otlp
    finally:
        process.terminate()
        process.wait(30)


def stop(pid: int) -> None:
    """Ask the service to end and wait until it has."""
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


def answers(url: str) -> bool:
    try:
        return HTTP.request("GET", url).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [one for one in lines if one.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def post(otlp: str, body: bytes) -> None:
    answer = HTTP.request("POST", f"{otlp}/v1/traces", body=body, headers=HEADERS)
    assert answer.status == 200, answer.data


def calls(page: str) -> int:
    query = {"from": "2020-01-01"}
    total = HTTP.request("GET", f"{page}/api/spend", fields=query).json()["total"]
    return int(total["calls"])


def milliseconds(act: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def main() -> None:
    bodies = [
        (gzip.compress(body, 1), spans) for body, spans in history.requests(datetime.now(UTC))
    ]
    sent = sum(spans for _, spans in bodies)
    with tempfile.TemporaryDirectory() as folder:
        with service(folder, "new store"):
            pass
        with service(folder, "store there already") as (pid, page, otlp):
            measure(bodies, sent, pid, page, otlp)


def measure(bodies: list[tuple[bytes, int]], sent: int, pid: int, page: str, otlp: str) -> None:
    before = cpu_s(pid)
    time.sleep(IDLE_S)
    idle = (cpu_s(pid) - before) / IDLE_S
    print(f"idle                        {idle:8.1%} of a core, {rss_mb(pid)} MB")

    before, began, waits = cpu_s(pid), time.perf_counter(), []
    for body, _ in bodies:
        waits += milliseconds(partial(post, otlp, body), 1)
    while calls(page) < sent:
        time.sleep(0.5)
    used, took = cpu_s(pid) - before, time.perf_counter() - began
    print(f"{sent} spans, durable, priced, queryable: {sent / took:,.0f} a second")
    print(f"CPU                         {used / sent * 1e6:8.1f} CPU-s per million spans")
    median = statistics.median(waits)
    print(f"a POST of 500 spans         {median:8.1f} ms p50, {max(waits):.0f} ms max")

    first = milliseconds(lambda: HTTP.request("GET", page), 1)[0]
    warm = statistics.median(milliseconds(lambda: HTTP.request("GET", page), 20))
    size = len(HTTP.request("GET", page).data)
    print(f"page, {size / 1000:3.0f} KB                {first:8.1f} ms first, {warm:.1f} ms warm")
    before = cpu_s(pid)
    time.sleep(IDLE_S)
    after = (cpu_s(pid) - before) / IDLE_S
    print(f"while the page is read      {after:8.1%} of a core, {rss_mb(pid)} MB")


if __name__ == "__main__":
    main()
