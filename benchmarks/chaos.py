"""Kill the service with -9 under load, again and again, and count what was lost or doubled.

    ROUNDS=200 python benchmarks/chaos.py

Each round starts the service on the same folder, sends from two threads and kills it after a random
moment. In the end every acknowledged call must be in the store once, whole and at its price, and
the sums by rollup must be those of the rows. Loopback only; exits with 1 when something is amiss.
"""

from __future__ import annotations

import gzip
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import urllib3
from ingest import span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from service import service, stop

from taximeter_collector.store import Period, Store

ROUNDS = int(os.environ.get("ROUNDS", "20"))
A_REQUEST = 25
DICE = random.Random(3)
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}

Sent = dict[str, int]
"""Input tokens by call id."""


def main() -> int:
    sent: Sent = {}
    acknowledged: set[str] = set()
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            with service(folder, f"round {number}") as (pid, _, otlp):
                senders = [
                    threading.Thread(target=send, args=(otlp, numbers, sent, acknowledged))
                    for _ in range(2)
                ]
                for sender in senders:
                    sender.start()
                time.sleep(DICE.uniform(0.05, 1.5))
                os.kill(pid, 9)
                for sender in senders:
                    sender.join()
        with service(folder, "the last time") as (pid, _, _):
            while list(Path(folder).glob("journal/*")):
                time.sleep(0.1)
            stop(pid)
        return judged(Path(folder), sent, acknowledged)


def send(otlp: str, numbers: Iterator[int], sent: Sent, acknowledged: set[str]) -> None:
    """Send until the service is gone."""
    http = urllib3.PoolManager(retries=False, timeout=10)
    while True:
        calls = {f"chatcmpl-{next(numbers)}": DICE.randrange(1, 5_000) for _ in range(A_REQUEST)}
        sent |= calls
        try:
            answer = http.request("POST", f"{otlp}/v1/traces", body=body(calls), headers=HEADERS)
        except urllib3.exceptions.HTTPError:
            return
        if answer.status == 200:
            acknowledged |= set(calls)


def body(calls: Sent) -> bytes:
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    scope.scope.name = "taximeter"
    # One in ten has a label that is left to Python.
    scope.spans.extend(
        span(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.response.id": call_id,
                "gen_ai.usage.input_tokens": tokens,
                "server.address": "api.openai.com",
                "taximeter.usage.source": "reported",
                "taximeter.feature": "süß" if DICE.random() < 0.1 else "plain",
            }
        )
        for call_id, tokens in calls.items()
    )
    return gzip.compress(message.SerializeToString(), 1)


def judged(folder: Path, sent: Sent, acknowledged: set[str]) -> int:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    period = Period(now - timedelta(days=2), now + timedelta(days=1))
    with closing(Store(f"chdb://{folder / 'store'}")) as store:
        while store.refresh():
            pass
        by_rollups = store.spend(period)[0]
        rows = store._connection.read(
            "select call_id, input_tokens, cost from taximeter.calls final"
        ).result_rows
    stored = {call_id: (tokens, cost) for call_id, tokens, cost in rows}
    # gpt-4o-2024-08-06 costs $2.50 a million tokens of input.
    wrong = [
        call_id
        for call_id, (tokens, cost) in stored.items()
        if tokens != sent.get(call_id) or cost != tokens * Decimal("0.0000025")
    ]
    total = sum((cost for _, cost in stored.values()), Decimal(0))
    faults = {
        "acknowledged and lost": len(acknowledged - stored.keys()),
        "counted twice": len(rows) - len(stored),
        "partial or at a wrong price": len(wrong),
        "calls by rollup beside the rows": by_rollups.calls - len(stored),
        "dollars by rollup beside the rows": by_rollups.cost - total,
    }
    print(f"kills                             {ROUNDS}")
    print(f"calls acknowledged                {len(acknowledged):,} of {len(sent):,} sent")
    for name, amount in faults.items():
        print(f"{name:<33} {amount}")
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
