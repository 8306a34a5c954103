"""The loopback ClickHouse server as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from taximeter_api.demo.processes import free_port

SERVER = Path(__file__).parent / "clickhouse_server.py"
PATIENCE_S = 180


@contextmanager
def running(
    folder: Path, *config: Path, port: int = 0
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Give a server's process and address."""
    port = port or free_port()
    command: list[str | Path] = [sys.executable, SERVER, folder, str(port), *config]
    # The engine keeps copies of schemas where it runs.
    process = subprocess.Popen(command, cwd=folder.parent)
    end = time.monotonic() + PATIENCE_S
    while not _answers(f"http://127.0.0.1:{port}/ping"):
        assert time.monotonic() < end
        time.sleep(0.05)
    yield process, f"clickhouse://default@127.0.0.1:{port}"
    process.terminate()
    process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        return urllib3.PoolManager(retries=False).request("GET", url).status == 200
    except urllib3.exceptions.HTTPError:
        return False
