"""SQL that readers wrote: one SELECT over Taximeter's tables, within limits.

The engine's `readonly` alone would not do: it lets a reader list other databases and read any file
of this machine. So each statement is looked at as the engine understands it, names unresolved.
"""

# ruff: noqa: S608  It is the reader's own SQL, and looked at.

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from clickhouse_connect.driver.client import Client

from taximeter_collector.envelope import varint
from taximeter_collector.store.connection import READ_LIMITS, Handles
from taximeter_collector.store.errors import QueryRefused

LIMITS: Final[Mapping[str, int | str]] = {
    **READ_LIMITS,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 200_000_000,
    "result_overflow_mode": "throw",
    "max_query_size": 300_000,
    "readonly": 1,
}

TABLES_OF_CLIENTS: Final = frozenset({"system.one", "system.settings"})
"""What every SELECT without FROM reads, and what clients ask when they connect."""

KINDS: Final = (
    "Arithmetic",
    "Arrays",
    "Bit",
    "Bitmap",
    "Comparison",
    "Conditional",
    "Dates and Times",
    "Distance",
    "Encoding",
    "Financial",
    "Hash",
    "IP Address",
    "JSON",
    "Logical",
    "Map",
    "Mathematical",
    "Null",
    "Random Number",
    "Rounding",
    "String",
    "String Replacement",
    "String Search",
    "String Splitting",
    "Time Window",
    "Tuple",
    "Type Conversion",
    "URL",
    "UUID",
)
"""Categories of functions that compute from their arguments alone."""

ALSO: Final = frozenset(
    """
    _cast bar casewithexpression currentdatabase currentuser digits finalizeaggregation
    formatreadabledecimalsize formatreadablequantity formatreadablesize formatreadabletimedelta
    identity ignore lowcardinalitykeys materialize nested neighbor rownumberinallblocks
    runningaccumulate runningdifference totypename transform version
    """.split()  # noqa: SIM905  A list of words reads better than one of quotes.
)
"""Functions of other categories that do so too, or say what clients ask."""

# No part of the tree is consumed: a name that looks like one of these only adds to what is checked.
FUNCTION: Final = re.compile(r"(?=\bfunction_name: ([^,\n]+))")
IDENTIFIER: Final = re.compile(r"(?=\bidentifier: ([^,\n]+))")
USUAL_SERIALIZATION: Final = b"\x00"

OWN_FORMAT: Final = re.compile(r"\sFORMAT\s+(\w+)$")


class Reader:
    """Answers a reader's SQL on the embedded store. Safe to share between threads."""

    AT_ONCE: Final = 2
    DATABASE: Final = "taximeter"

    def __init__(self, url: str) -> None:
        self._handles = Handles(url, self.AT_ONCE, database=self.DATABASE, settings=LIMITS)
        with self._handles.lent() as client:
            names = client.query("select name from system.databases").result_rows
            self._foreign = {name for (name,) in names} - {self.DATABASE}
            self._functions, self._aggregates = _known_functions(client)

    def answer(self, sql: str, form: str = "Native") -> bytes:
        """Return the result in one of the engine's formats, which the SQL itself may name.

        Raises QueryRefused for anything but one SELECT over Taximeter's tables, StoreError when
        the engine refuses.
        """
        with self._handles.lent() as client:
            statement, form = _without_format(_single(client, sql), form)
            self._refuse_unless_ours(_tree(client, statement))
            content = client.raw_query(statement, fmt=form)
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

    def _refuse_unless_ours(self, tree: str) -> None:
        if "TABLE_FUNCTION" in tree:
            raise QueryRefused("a table function: give a table of the database taximeter")
        for name in FUNCTION.findall(tree):
            if not self._computes(name.lower()):
                raise QueryRefused(f"the function {name} is not one that only computes")
        for name in IDENTIFIER.findall(tree):
            database, dot, _ = name.partition(".")
            if dot and database in self._foreign and name not in TABLES_OF_CLIENTS:
                raise QueryRefused(f"{name}: give a table of the database taximeter")
            # `arrayMap(file, ...)` calls a function by its bare name.
            if not dot and self._functions.get(name.lower(), True) is False:
                raise QueryRefused(f"{name} is the name of a function that does not only compute")

    def _computes(self, name: str) -> bool:
        known = self._functions.get(name)
        return name.startswith(self._aggregates) if known is None else known


def _known_functions(client: Client) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Return whether a function only computes, by its name, and how names of aggregates begin."""
    rows = client.query("""
        select lower(named.name), lower(named.alias_to), named.is_aggregate, named.categories
        from system.functions as named
    """).result_rows
    kinds = {name: kind for name, target, _, kind in rows if not target}
    scalars = {
        name: kinds.get(target or name, "") in KINDS or (target or name) in ALSO
        for name, target, is_aggregate, _ in rows
        if not is_aggregate
    }
    aggregates = (name for name, _, is_aggregate, _ in rows if is_aggregate)
    return scalars | dict.fromkeys(("exists", "grouping", "untuple"), True), tuple(aggregates)


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
    lines = client.query(f"explain query tree run_passes = 0 select * from ({statement})")
    return "\n".join(line for (line,) in lines.result_rows)


def _without_rows(client: Client, statement: str) -> bytes:
    """Return a block of no rows: the engine gives none, and drivers read the columns from it."""
    columns = [row[:2] for row in client.query(f"describe ({statement})").result_rows]
    texts = (text for column in columns for text in column)
    return varint(len(columns)) + varint(0) + b"".join(_string(text) for text in texts)


def _string(text: str) -> bytes:
    content = text.encode()
    return varint(len(content)) + content
