"""Our own programs, run beside the demo on free ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 our own programs
        command, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout:
            process.stdout.close()


def environment_with(values: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without settings that were made for another service or app."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAXIMETER_", "OTEL_", "OPENAI_"))
    }
    return {**inherited, "NO_PROXY": "127.0.0.1", **values}


def script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def free_port(preferred: int = 0) -> int:
    """Return a port of loopback that nobody listens on: the preferred one if it can be."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("there is no free port on 127.0.0.1")
