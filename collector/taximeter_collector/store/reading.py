"""SQL that readers wrote: one SELECT over Taximeter's tables, within limits.

The engine's `readonly` alone would not do: it lets a reader list other databases and read any file
of this machine. So each statement is looked at as the engine understands it, names unresolved.
"""

# ruff: noqa: S608  It is the reader's own SQL, and looked at.

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from typing import IO, Final, cast

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from taximeter_collector.envelope import varint
from taximeter_collector.store.connection import READ_LIMITS, Handles
from taximeter_collector.store.errors import QueryRefused
from taximeter_collector.store.permitted import Permitted

LIMITS: Final[Mapping[str, int | str]] = {
    **READ_LIMITS,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 100_000_000,
    "result_overflow_mode": "throw",
    "max_block_size": 8192,
    "readonly": 1,
}

REPEATING: Final = "JSON"
"""Has the names of columns in each row; clickhouse-connect asks in it for no rows."""

FORMATS: Final = (
    *("Native", "RowBinary", "TabSeparated", "TSV", "TSVWithNames", "CSV", "CSVWithNames"),
    *("JSONCompact", REPEATING),
)
"""Those that the engine writes block by block."""

LONGEST_NAMES: Final = 4_000
"""Of all columns together, where they are repeated."""

LARGEST: Final = 20_000_000
"""Bytes of an answer."""

FUNCTIONS: Final = "select name, alias_to, is_aggregate, categories from system.functions"

USUAL_SERIALIZATION: Final = b"\x00"

OWN_FORMAT: Final = re.compile(r"\sFORMAT\s+(\w+)$")


class Reader:
    """Answers a reader's SQL on the embedded store. Safe to share between threads."""

    AT_ONCE: Final = 2
    DATABASE: Final = "taximeter"

    def __init__(self, url: str) -> None:
        self._handles = Handles(url, self.AT_ONCE, database=self.DATABASE, settings=LIMITS)
        with self._handles.lent() as client:
            functions = client.query(FUNCTIONS).result_rows
            names = client.query("select name from system.databases").result_rows
        others = [name for (name,) in names if name != self.DATABASE]
        self._permitted = Permitted([(*row,) for row in functions], others)

    def answer(self, sql: str, form: str = "Native") -> bytes:
        """Return the result in one of the engine's formats, which the SQL itself may name.

        Raises QueryRefused for anything but one SELECT over Taximeter's tables, StoreError when
        the engine refuses.
        """
        with self._handles.lent() as client:
            statement, form = _without_format(_single(client, sql), form)
            if form not in FORMATS:
                raise QueryRefused(f"FORMAT {form}: give one of {', '.join(FORMATS)}")
            self._permitted.refuse(statement, _tree(client, statement))
            if form == REPEATING and len("".join(_columns(client, statement))) > LONGEST_NAMES:
                raise QueryRefused("the names of columns are too long for JSON: use JSONCompact")
            with closing(cast(IO[bytes], client.raw_stream(statement, fmt=form))) as result:
                content = result.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise QueryRefused(f"the answer is larger than {LARGEST:,} bytes: ask for less")
            return content or (_without_rows(client, statement) if form == "Native" else b"")

    def greeting(self) -> bytes:
        """Return what a driver asks first, in the Native format of the driver's own revision.

        With revision 0 it then reads the plain Native format, which is what the engine writes.
        """
        with self._handles.lent() as client:
            version, zone = client.query("select version(), timezone()").result_rows[0]
        block_info = b"\x01\x00\x02\xff\xff\xff\xff\x00"
        fields = (
            ("displayName()", "String", _string("taximeter")),
            ("version()", "String", _string(version)),
            ("revision()", "UInt32", bytes(4)),
            ("timezone()", "String", _string(zone)),
        )
        columns = (
            _string(name) + _string(type_) + USUAL_SERIALIZATION + value
            for name, type_, value in fields
        )
        return block_info + varint(len(fields)) + varint(1) + b"".join(columns)

    def close(self) -> None:
        self._handles.close()


def _single(client: Client, sql: str) -> str:
    """Return the statement as the engine would write it; raise on more than one."""
    rows = client.query("select formatQuerySingleLine({sql:String})", {"sql": sql}).result_rows
    return str(rows[0][0])


def _without_format(statement: str, form: str) -> tuple[str, str]:
    named = OWN_FORMAT.search(statement)
    return (statement[: named.start()], named[1]) if named else (statement, form)


def _tree(client: Client, statement: str) -> str:
    """Return the statement as the engine understands it, before it looks up or computes anything.

    In brackets, as what is no SELECT or writes into a file can't stand there.
    """
    try:
        lines = client.query(f"explain query tree run_passes = 0 select * from ({statement})")
    except DatabaseError as error:
        if "SYNTAX_ERROR" in str(error):
            raise QueryRefused("give one SELECT, and nothing else") from None
        raise
    return "\n".join(line for (line,) in lines.result_rows)


def _without_rows(client: Client, statement: str) -> bytes:
    """Return a block of no rows: the engine gives none, and drivers read the columns from it."""
    texts = _columns(client, statement)
    return varint(len(texts) // 2) + varint(0) + b"".join(map(_string, texts))


def _columns(client: Client, statement: str) -> list[str]:
    """Return each column's name and type."""
    rows = client.query(f"describe ({statement})").result_rows
    return [text for name, kind, *_ in rows for text in (name, kind)]


def _string(text: str) -> bytes:
    content = text.encode()
    return varint(len(content)) + content
