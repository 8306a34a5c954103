"""The pages of a service on a filled store: time to the first byte, warm, and weight."""

from __future__ import annotations

import gzip
import http.client
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from taximeter_api.demo.processes import free_port

ROUNDS = 9
READY_S = 120
MONTH = f"?from={datetime.now(UTC) - timedelta(days=29):%Y-%m-%d}"
PATHS = (
    "/",
    f"/features{MONTH}",
    f"/models{MONTH}",
    "/users",
    f"/users{MONTH}",
    f"/prompts{MONTH}",
    "/budgets",
    "/findings",
    "/calls?user=user-1000",
    "/alerts",
    "/reconciliation",
    "/health",
)


def pages(data_dir: Path) -> None:
    """Print each page's time and weight, of a service on the store in the folder."""
    port = free_port()
    settings = {"PORT": port, "OTLP_PORT": free_port(), "DATA_DIR": data_dir}
    environment = {f"TAXIMETER_SERVER_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "taximeter_api", "serve"]
    service = subprocess.Popen(
        command, env=os.environ | environment, stderr=subprocess.DEVNULL, cwd=data_dir
    )
    try:
        wait_for(port)
        for path in PATHS:
            (unread_ms, _), *asked = [ask(port, path) for _ in range(ROUNDS + 1)]
            first_byte_ms = statistics.median(took for took, _ in asked)
            content = asked[-1][1]
            weight, packed = len(content) / 1000, len(gzip.compress(content)) / 1000
            print(
                f"{path:40}{first_byte_ms:8.0f} ms, the first time {unread_ms:5.0f} ms,"
                f"{weight:6.0f} kB, {packed:.0f} kB packed"
            )
    finally:
        service.terminate()
        service.wait()


def wait_for(port: int) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            ask(port, "/readyz")
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"the service was not ready after {READY_S} s")


def ask(port: int, path: str) -> tuple[float, bytes]:
    """Return milliseconds to the first byte, and the page; raise on any status but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    took_ms = (time.perf_counter() - began) * 1000
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise http.client.HTTPException(f"{path}: {answer.status}")
    return took_ms, content
