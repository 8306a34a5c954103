"""Run the service: two ports, one process, until it is told to stop."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from contextlib import closing

import uvicorn

from taximeter_api import logs
from taximeter_api.app import Service
from taximeter_collector.settings import PREFIX, Settings, SettingsError

BACKLOG = 128
SWITCH_S = 0.0005
"""How soon a thread that computes lets the receiver in; Python's own 5 ms add up to long waits."""
MOST_CONNECTIONS = 500
IDLE_S = 75
"""For how long a connection is kept: exporters come every 5 s, for metrics every 60."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raises what keeps the service from starting."""
    logs.set_up(settings.log_level)
    if settings.otlp_grpc_port:
        # Of a port that is taken gRPC would also say a line of its own.
        _listening(settings, "otlp_grpc_port").close()
    sockets = {name: _listening(settings, name) for name in ("port", "otlp_port")}
    # Port 0 means any free one; from here on the settings say which.
    ports = {name: listening.getsockname()[1] for name, listening in sockets.items()}
    sys.setswitchinterval(SWITCH_S)
    with closing(Service(settings.model_copy(update=ports))) as service:
        _search_less_for_garbage()
        service.start()
        _run(service, list(sockets.values()))


def _search_less_for_garbage() -> None:
    """Spare the writer the collector's walks over what lives as long as the process.

    Decoded calls are many, hold no cycles and die young; without this a third of the CPU goes into
    looking for cycles among them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _run(service: Service, sockets: list[socket.socket]) -> None:
    config = uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=IDLE_S,
        limit_concurrency=MOST_CONNECTIONS,
        lifespan="off",
    )
    for stop in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops on these and then raises them once more, for whoever handled them before.
        signal.signal(stop, lambda _signal, _frame: None)
    uvicorn.Server(config).run(sockets=sockets)


def _listening(settings: Settings, name: str) -> socket.socket:
    port = getattr(settings, name)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's delay of 40 ms an answer off only where the protocol is spelled out.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, port))
        listening.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{PREFIX}{name.upper()}={port}: {reason} on {PREFIX}HOST={settings.host}; "
            "stop what listens there, or give another port or address"
        ) from error
    return listening
