"""Rows of an export, whatever it is written in: CSV, JSON or JSON by lines, also in gzip."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

LONGEST_FIELD: Final = 100_000_000
LISTS: Final = ("data", "observations", "requests", "rows")
"""Where an answer of an API keeps its rows."""

Row = Mapping[str, Any]


class ImportRefused(Exception):
    """A file can't be imported; the message names file, place and accepted form."""


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of a file, one at a time; raises ImportRefused."""
    try:
        with _opened(path) as file:
            if ".csv" in path.suffixes:
                csv.field_size_limit(LONGEST_FIELD)
                yield from csv.DictReader(file)
            elif {".jsonl", ".ndjson"} & set(path.suffixes):
                yield from _by_lines(path, file)
            elif ".json" in path.suffixes:
                yield from _listed(path, json.load(file))
            else:
                raise ImportRefused(f"{path}: give a .csv, .json or .jsonl file, or one with .gz")
    except OSError as error:
        raise ImportRefused(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
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
    return None if value in ("", "null", "\\N") else value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _by_lines(path: Path, file: IO[str]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        row = _parsed(line)
        if not isinstance(row, Mapping):
            raise ImportRefused(f"{path}:{number}: not a JSON object")
        yield row


def _listed(path: Path, content: Any) -> Sequence[Row]:
    if isinstance(content, Mapping):
        content = next((content[name] for name in LISTS if name in content), [content])
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise ImportRefused(f"{path}: give a list of JSON objects")
    return content
