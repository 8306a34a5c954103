"""A Postgres server of the tests' own, run by a user without privileges."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from taximeter_api.demo.processes import free_port

PLACES = "/usr/lib/postgresql/*/bin"


@contextmanager
def running() -> Iterator[str]:
    """Give the address of an empty server."""
    user = "postgres" if os.getuid() == 0 else None
    # The socket's path must be short, and the folder the server's own.
    with TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data, port = f"{folder}/data", free_port()
        _run("initdb", "-D", data, "-U", "test", "-A", "trust", "--no-sync", user=user, cwd=folder)
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c max_connections=200"
        log = f"{folder}/log"
        _run("pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start", user=user, cwd=folder)
        try:
            yield f"postgresql://test@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "-D", data, "-m", "immediate", "stop", user=user, cwd=folder)


def _run(program: str, *arguments: str, user: str | None, cwd: str) -> None:
    subprocess.run(
        [_program(program), *arguments],
        user=user,
        cwd=cwd,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _program(name: str) -> str:
    newest = sorted(Path("/").glob(f"{PLACES[1:]}/{name}"))
    found = str(newest[-1]) if newest else shutil.which(name)
    assert found, f"{name} is not here: run tests/install-postgres"
    return found
