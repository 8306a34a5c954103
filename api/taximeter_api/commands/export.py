"""`taximeter export`: spend as a file for other tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from taximeter_api.commands.own_store import own_store
from taximeter_api.commands.reprice import pair_of
from taximeter_api.commands.service import ServiceAway, download
from taximeter_api.commands.terminal import Tell, working
from taximeter_api.export import CHUNK_BYTES, UNPRICED_HEADER, days_of, write_focus
from taximeter_api.page.format import counted
from taximeter_api.questions import Refused, scope_of
from taximeter_collector.settings import Settings, read_settings


class FileFormat(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


def export(
    *,
    from_: Annotated[str, typer.Option("--from", help="UTC day, like 2026-11-01.")],
    to: Annotated[str, typer.Option(help="The first day left out; tomorrow by default.")] = "",
    where: Annotated[
        list[str], typer.Option(help="Like model=gpt-5 or feature=search; may be repeated.")
    ] = [],  # noqa: B006
    form: Annotated[FileFormat, typer.Option("--format", help="csv or parquet.")] = FileFormat.CSV,
    out: Annotated[Path | None, typer.Option(help="File to write; stdout by default.")] = None,
) -> None:
    """Write the spend of whole days in the columns of FOCUS 1.2."""
    settings = read_settings(os.environ)
    pairs = [pair_of(text) for text in where]
    period, scope = days_of(from_, to), scope_of(pairs)
    words = [("from", from_), ("to", to), ("format", form.value), *pairs]
    shows_lines = out is None and sys.stdout.isatty()
    with working("exporting", "MB", quiet=shows_lines) as tell:
        try:
            unpriced_calls = _from_the_service(settings, words, out, tell)
        except ServiceAway as away:
            with _written(out) as file, own_store(settings, away) as store:
                unpriced_calls = write_focus(store, period, scope, form.value, file)
    if unpriced_calls:
        typer.echo(f"left out: {counted(unpriced_calls, 'call')} without a known price", err=True)


def _from_the_service(
    settings: Settings, words: list[tuple[str, str]], out: Path | None, tell: Tell
) -> int:
    with download(settings, "/api/export/focus", words) as answer, _written(out) as file:
        size = 0
        while chunk := answer.read(CHUNK_BYTES):
            size += file.write(chunk)
            tell(size // 1_000_000, None)
        return int(answer.headers[UNPRICED_HEADER])


@contextmanager
def _written(out: Path | None) -> Iterator[IO[bytes]]:
    """Give stdout, or a file that is there only when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    goal = out.resolve()
    # A device or a pipe is written, and stays what it is.
    is_whole_at_once = goal.is_file() or not goal.exists()
    part = goal.with_name(f"{goal.name}.part") if is_whole_at_once else goal
    try:
        with part.open("wb") as file:
            yield file
        if is_whole_at_once:
            part.replace(goal)
    except OSError as error:
        raise Refused(f"--out={out}: {error.strerror}") from None
    finally:
        if is_whole_at_once:
            part.unlink(missing_ok=True)
