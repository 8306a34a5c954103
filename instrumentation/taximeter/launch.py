"""`taximeter-instrument CMD ARGS...`: run a program with its OpenAI calls metered."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

USAGE = """\
usage: taximeter-instrument COMMAND [ARGUMENTS...]

Runs COMMAND with every OpenAI call of its Python code metered; nothing in the program changes.

  taximeter-instrument python app.py
  TAXIMETER_ENDPOINT=http://collector:4318 taximeter-instrument gunicorn app:app
"""

AUTOSTART = Path(__file__).resolve().parent / "autostart"
LAUNCHED = "_TAXIMETER_LAUNCHED"
NOT_FOUND = 127


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments:
        sys.stderr.write(USAGE)
        raise SystemExit(2)
    if arguments[0] in {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return
    program = shutil.which(arguments[0])
    if program is None:
        sys.stderr.write(f"taximeter-instrument: {arguments[0]}: command not found\n")
        raise SystemExit(NOT_FOUND)
    paths = [str(AUTOSTART), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ[LAUNCHED] = str(os.getpid())  # which exec keeps
    # What a sitecustomize has written, which exec forgets; the program runs though nobody reads it.
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    os.execv(program, arguments)  # noqa: S606 - running the user's command is the purpose


if __name__ == "__main__":
    main()
