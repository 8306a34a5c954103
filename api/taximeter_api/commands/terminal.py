"""What commands show on a terminal: tables of names, and a bar while something takes long."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

WIDTH: Final = 120
"""Of a table that goes into a file or a pipe, unless COLUMNS says another."""

Tell = Callable[[int, int | None], None]
"""How much is done, of how much; None when nobody knows."""


def console(file: IO[str] | None = None) -> Console:
    """Return a console that shows names as they are: [red] and :smile: may be of a user."""
    has_width = file is None and (sys.stdout.isatty() or "COLUMNS" in os.environ)
    width = None if has_width else WIDTH
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


@contextmanager
def working(what: str, unit: str = "", *, quiet: bool = False) -> Iterator[Tell]:
    """Show on a terminal's stderr that something is under way; told how far it is, also that."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[far]}")
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
        # What goes to stdout is the command's, also when both are one terminal.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(what, total=None, far="")
        yield lambda done, of: progress.update(
            task, completed=done, total=of, far=f"{done:,}{f' of {of:,}' if of else ''} {unit}"
        )
