"""Rows of an export, whatever it is written in: CSV, JSON, JSON by lines or OTLP; also in gzip."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Final

from taximeter_collector.refusal import Refusal

LONGEST_FIELD: Final = 100_000_000
PROTOBUF: Final = (".pb", ".binpb")
LISTS: Final = ("data", "observations", "requests", "rows")
"""Where an answer of an API keeps its rows."""

Row = Mapping[str, Any]


class ImportRefused(Refusal):
    """A file can't be imported; the message names file, place and accepted form."""


@dataclass(frozen=True)
class Unreadable:
    """A row that can't be read, or all of the file from there on."""

    reason: str


Entry = Row | bytes | Unreadable


def rows_of(path: Path) -> Iterator[Entry]:
    """Yield the rows of a file, one at a time, a binary one whole; raises ImportRefused."""
    kinds = set(path.suffixes)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            if kinds & set(PROTOBUF):
                yield file.read()
            elif ".csv" in kinds:
                yield from _in_columns(path, TextIOWrapper(file, "utf-8-sig", newline=""))
            elif kinds & {".jsonl", ".ndjson"}:
                yield from _by_lines(path, file)
            elif ".json" in kinds:
                yield from _listed(path, json.load(file))
            else:
                raise ImportRefused(
                    f"{path}: give a .csv, .json, .jsonl or .pb file, or one with .gz"
                )
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error) as error:
        yield Unreadable(f"{path}: the rest can't be read: {error}")
    except OSError as error:
        raise ImportRefused(f"{path}: {error.strerror or error}") from None
    except json.JSONDecodeError as error:
        raise ImportRefused(f"{path}: {error}") from None


def value_at(row: Row, path: str) -> Any:
    """Return what a row has at a path like `usage_details.input`; None where it has nothing.

    JSON within a field, as CSV has it, is looked into.
    """
    if path in row:
        return _meant(row[path])
    found: Any = row
    for name in path.split("."):
        if isinstance(found, str):
            found = _parsed(found)
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return _meant(found)


def _meant(value: Any) -> Any:
    return None if value in ("", "null", "None", "\\N") else value


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _in_columns(path: Path, file: IO[str]) -> Iterator[Row | Unreadable]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.DictReader(file)
    for row in reader:
        if None in row or None in row.values():
            yield Unreadable(f"{path}:{reader.line_num}: not as many fields as the header has")
        else:
            yield row


def _by_lines(path: Path, file: Iterable[bytes]) -> Iterator[Row | Unreadable]:
    for number, line in enumerate(file, 1):
        if line.strip():
            row = _parsed(line)
            is_row = isinstance(row, Mapping)
            yield row if is_row else Unreadable(f"{path}:{number}: not a JSON object")


def _listed(path: Path, content: Any) -> Sequence[Row]:
    if isinstance(content, Mapping):
        content = next((content[name] for name in LISTS if name in content), [content])
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise ImportRefused(f"{path}: give a list of JSON objects")
    return content
