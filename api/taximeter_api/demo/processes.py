"""Our own programs, run beside the demo on free ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from taximeter_collector.settings import PREFIX, SettingsError, read_settings

TAKEN: Final = ("PORT", "OTLP_PORT", "SQL_TOKEN", "SQL_TOKEN_FILE")
"""Settings that the demo does not make itself."""


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


def taken() -> dict[str, str]:
    """Return what our environment sets of `TAKEN`, with ports for the page and for OTLP.

    Raises SettingsError for a port that was asked for.
    """
    names = (f"{PREFIX}{name}" for name in TAKEN)
    found = {name: os.environ[name] for name in names if name in os.environ}
    settings = read_settings(found)
    for name in ("port", "otlp_port"):
        variable, asked_for = f"{PREFIX}{name.upper()}", getattr(settings, name)
        port = free_port(asked_for)
        if name in settings.model_fields_set and asked_for not in (port, 0):
            raise SettingsError(
                f"{variable}={asked_for}: it is taken; stop what listens there, or "
                "give another port"
            )
        found[variable] = str(port)
    return found


def script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def free_port(preferred: int = 0) -> int:
    """Return a port of loopback that nobody listens on: the preferred one if it can be.

    For a minute nobody else is given it.
    """
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError:
                continue
            address = probe.getsockname()
            # The side that closes first keeps the port in TIME_WAIT: who names it and reuses
            # addresses can listen there, and the kernel chooses it for nobody.
            with socket.create_connection(address):
                probe.accept()[0].close()
            return int(address[1])
    raise OSError("there is no free port on 127.0.0.1")
