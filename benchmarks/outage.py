"""ClickHouse is gone at full load: what the journal takes, what is refused, how fast it drains.

    OUTAGE_S=600 python benchmarks/outage.py

Four senders send, each a request again until it is acknowledged, while the server is killed with
-9 and kept away for so long; it comes back and they go on at an even pace until the journal is
drained. In the end each acknowledged call must be in the store once. The server is the tests'
one: HTTP in front of the embedded engine. Loopback only, bounded; exits with 1 when something is
amiss.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import urllib3
from ingest import A_REQUEST, PACE, SENDERS, body, with_ids
from service import HTTP, rss_mb, service

from taximeter_collector.store import Store

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from clickhouse import running
from taximeter_api.demo.processes import free_port

OUTAGE_S = float(os.environ.get("OUTAGE_S", "600"))
BEFORE_S = 5
MOST_S = 3_600
"""So long the journal may take to drain."""
CALLS = A_REQUEST * 3 // 4
NUMBER = b"request-number"
"""What stands in each id for the number of the request."""
STORED = """
select toUInt64(substring(call_id, 10, 14)) as request, uniqExact(call_id), count()
from taximeter.calls final
group by request
"""


class Load:
    """Senders of numbered requests, each sent until it is acknowledged."""

    def __init__(self, otlp: str) -> None:
        self.answers: Counter[int] = Counter()
        self.acknowledged: set[int] = set()
        self.waits_ms: list[float] = []
        self.pause_s = 0.0
        self._url = f"{otlp}/v1/traces"
        self._numbers = count()
        self._template = with_ids(body(), (f"{NUMBER.decode()}-{n}" for n in count()))
        self._ended = threading.Event()
        self._senders = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for sender in self._senders:
            sender.start()

    def end(self) -> None:
        self._ended.set()
        for sender in self._senders:
            sender.join()

    def _send(self) -> None:
        while not self._ended.is_set():
            number = next(self._numbers)
            self._insist(number, self._template.replace(NUMBER, b"%014d" % number))
            self._ended.wait(self.pause_s)

    def _insist(self, number: int, request: bytes) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        while not self._ended.is_set():
            began = time.perf_counter()
            try:
                answer = HTTP.request("POST", self._url, body=request, headers=headers)
            except urllib3.exceptions.HTTPError:
                self.answers[0] += 1
                continue
            self.answers[answer.status] += 1
            if answer.status == 200:
                self.waits_ms.append((time.perf_counter() - began) * 1000)
                self.acknowledged.add(number)
                return
            self._ended.wait(float(answer.headers["Retry-After"]))


def main() -> int:
    with tempfile.TemporaryDirectory(dir=os.environ.get("FOLDER")) as folder:
        server, port, data = Path(folder) / "server", free_port(), Path(folder) / "service"
        data.mkdir()
        with (
            running(server, port=port) as (process, address),
            service(str(data), "ClickHouse is there", store=address) as (pid, _, otlp),
        ):
            load = Load(otlp)
            try:
                time.sleep(BEFORE_S)
                process.kill()
                process.wait()
                down(load, data, pid)
                with running(server, port=port):
                    load.pause_s = SENDERS * A_REQUEST / PACE
                    back(load, data)
                    load.end()
                    while list(data.glob("journal/*")):
                        time.sleep(0.2)
            finally:
                load.end()
        return judged(load, f"chdb://{server}")


def down(load: Load, data: Path, pid: int) -> None:
    """Let them send while nothing can be stored."""
    began, taken = time.perf_counter(), len(load.acknowledged)
    full_s = 0.0
    while (lasts := time.perf_counter() - began) < OUTAGE_S:
        if load.answers[429] and not full_s:
            full_s, most = lasts, (len(load.acknowledged) - taken) * A_REQUEST
            print(
                f"the journal is full after   {full_s:,.0f} s: {most:,} spans, {size_mb(data):,} MB"
            )
        time.sleep(0.2)
    waits = sorted(load.waits_ms)
    p99 = waits[len(waits) * 99 // 100]
    print(f"a POST that was acknowledged {statistics.median(waits):.0f} ms p50, {p99:.0f} ms p99")
    print(f"answers by status            {dict(load.answers)}")
    print(f"memory                       {rss_mb(pid)} MB")


def back(load: Load, data: Path) -> None:
    """Let them go on, evenly, until what had gathered is stored."""
    began, taken, gathered = time.perf_counter(), len(load.acknowledged), size_mb(data)
    while size_mb(data) > gathered // 50 and time.perf_counter() - began < MOST_S:
        time.sleep(1)
    took, sent = time.perf_counter() - began, (len(load.acknowledged) - taken) * A_REQUEST
    print(f"drained {gathered:,} MB in {took:,.0f} s, beside {sent / took:,.0f} spans/s that came")


def size_mb(data: Path) -> int:
    size = 0
    for one in data.glob("journal/*"):
        with suppress(FileNotFoundError):
            size += one.stat().st_size
    return size // 1_000_000


def judged(load: Load, store: str) -> int:
    with closing(Store(store)) as opened:
        rows = opened._connection.read(STORED).result_rows
    stored = {request: calls for request, calls, _ in rows}
    lost = sum(CALLS - stored.get(number, 0) for number in load.acknowledged)
    twice = sum(count - calls for _, calls, count in rows)
    print(f"acknowledged {len(load.acknowledged) * CALLS:,} calls, lost {lost}, twice {twice}")
    return int(lost > 0 or twice > 0)


if __name__ == "__main__":
    sys.exit(main())
