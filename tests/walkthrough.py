"""A page of the documentation, followed to the letter: its files written, its commands run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import urllib3

PATIENCE_S = 180
HERE = Path(sys.executable).parent
RUN = (
    "celery",
    "curl",
    "grep",
    "gunicorn",
    "openssl",
    "python",
    "sed",
    "taximeter",
    "taximeter-instrument",
    "uvicorn",
)
ONLY_PARSED = ("docker", "kubectl", "pip", "sudo")
BY_OUR_SCRIPTS = ("dirname", "mkdir", "od", "sh", "tr")
# What runs until it is stopped, and where it then answers.
SERVERS = {
    "taximeter serve": "127.0.0.1:8787",
    "taximeter-instrument uvicorn": "127.0.0.1:8000",
    "taximeter-instrument gunicorn": "127.0.0.1:8000",
    "taximeter-instrument python shop.py runserver": "127.0.0.1:8000",
    "taximeter-instrument celery": "",
}
# A server that was started a moment ago may not answer yet.
PATIENT_CURL = (
    "--fail-with-body --silent --show-error --retry 30 --retry-delay 1 --retry-connrefused"
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = re.compile(r"\b[0-9a-f]{48}\b")


class Block(NamedTuple):
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that the block is, by its first line; "" for commands."""
        named = re.match(r"# ([\w.]+)\n", self.text)
        return named[1] if named and self.language != "sh" else ""

    @property
    def server(self) -> str:
        """What the block starts that goes on after it; "" for nothing."""
        last = self.text.strip().splitlines()[-1]
        return next((one for one in SERVERS if last.startswith(one)), "")


class Section(NamedTuple):
    title: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        return [Block(*found) for found in FENCE.findall(self.text)]


def sections_of(page: Path, level: str = "##") -> list[Section]:
    parts = re.split(rf"^{level} (.+)\n", page.read_text("utf-8"), flags=re.MULTILINE)
    return [Section(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


@dataclass
class Walk:
    """A terminal in a folder of its own, in which what was exported stays so."""

    folder: Path
    environment: Mapping[str, str]
    others: Mapping[str, str]
    """What this machine has in the place of what the page names: ports, addresses."""

    def __post_init__(self) -> None:
        programs = self.folder / "programs"
        programs.mkdir()
        for name in (*RUN, *BY_OUR_SCRIPTS):
            options = "--fail --silent --show-error" if name == "curl" else ""
            if found := shutil.which(name, path=f"{HERE}:{os.environ['PATH']}"):
                _write_program(programs / name, f'exec {found} {options} "$@"')
        for name in ONLY_PARSED:
            kept = f'echo "{name} $*" >> {self._parsed}; {shutil.which("cat")} >> {self.given}'
            _write_program(programs / name, kept)
        self.work.mkdir()

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def parsed(self) -> list[str]:
        """The commands that were read by the shell and not run, with secrets left out."""
        text = self._parsed.read_text() if self._parsed.exists() else ""
        return SECRET.sub("<secret>", text).splitlines()

    @property
    def given(self) -> Path:
        """What those commands would have read."""
        return self.folder / "given"

    def prepare(self, sections: list[Section]) -> None:
        """Be where a reader is after these sections, without having run what they run."""
        for block in (block for section in sections for block in section.blocks):
            if block.file:
                self._write(block)
            elif exports := re.findall(r"^export .+$", block.text, re.MULTILINE):
                self._run("\n".join(exports))

    @contextmanager
    def through(self, section: Section) -> Iterator[None]:
        """Do what the section says; what it starts runs until the end of the block."""
        server: subprocess.Popen[bytes] | None = None
        try:
            for block in section.blocks:
                if block.file:
                    self._write(block)
                elif block.server:
                    _interrupt(server)
                    server = self._start(block.text)
                    self._wait_for(block.server, server)
                elif block.language == "sh":
                    self._run(block.text)
            yield
        finally:
            _interrupt(server)

    @property
    def _parsed(self) -> Path:
        return self.folder / "only-parsed"

    @property
    def _exported(self) -> str:
        return shlex.quote(str(self.folder / "exported"))

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _write(self, block: Block) -> None:
        (self.work / block.file).write_text(block.text, "utf-8")

    def _run(self, commands: str) -> None:
        process = self._start(f"{commands}\nexport -p > {self._exported}")
        assert process.wait(PATIENCE_S) == 0, self._log.read_text()

    def _start(self, commands: str) -> subprocess.Popen[bytes]:
        for named, here in self.others.items():
            commands = commands.replace(named, here)
        before = f"set -euo pipefail\n[ ! -e {self._exported} ] || . {self._exported}\n"
        with self._log.open("ab") as log:
            return subprocess.Popen(
                ["/bin/bash", "-c", before + commands],
                cwd=self.work,
                env={**self.environment, "PATH": str(self.folder / "programs")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A test run in the background ignores Ctrl-C, and what it starts would, too.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def _wait_for(self, server: str, process: subprocess.Popen[bytes]) -> None:
        """Wait for the first answer; a socket that is listened on is not one."""
        address = SERVERS[server]
        end = time.monotonic() + PATIENCE_S
        while address:
            assert process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            with suppress(urllib3.exceptions.HTTPError):
                urllib3.request("GET", f"http://{self.others[address]}/", retries=False)
                return
            time.sleep(0.05)


def _interrupt(server: subprocess.Popen[bytes] | None) -> None:
    """Do to all that the terminal runs as Ctrl-C does."""
    if server is not None:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(PATIENCE_S)


def _write_program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
