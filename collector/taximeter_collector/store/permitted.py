"""What a reader's SQL may name, judged by the engine's tree of it, names unresolved."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from taximeter_collector.store.errors import QueryRefused

TABLES_OF_CLIENTS: Final = frozenset({"system.one", "system.settings"})
"""What every SELECT without FROM reads, and what clients ask when they connect."""

WITH_ZONES: Final = ("Dates and Times", "JSON", "Time Window", "Type Conversion", "UUID")
"""Functions of these take a time zone, or a type that has one."""

KINDS: Final = (
    *WITH_ZONES,
    "Arithmetic",
    "Arrays",
    "Bit",
    "Bitmap",
    "Comparison",
    "Conditional",
    "Encoding",
    "Financial",
    "Hash",
    "IP Address",
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
    "Tuple",
    "URL",
)
"""Categories of functions that compute from their arguments alone."""

ALSO: Final = frozenset(
    """
    _cast bar casewithexpression currentdatabase currentuser digits exists finalizeaggregation
    formatreadabledecimalsize formatreadablequantity formatreadablesize formatreadabletimedelta
    grouping identity ignore lowcardinalitykeys materialize nested neighbor rownumberinallblocks
    runningaccumulate runningdifference totypename transform untuple version
    """.split()  # noqa: SIM905  A list of words reads better than one of quotes.
)
"""Functions of other categories that do so too, or say what clients ask."""

BUT_NOT: Final = frozenset(
    """
    arrayreduce arrayreduceinranges formatrow formatrownonewline flamegraph
    repeat space leftpad leftpadutf8 rightpad rightpadutf8
    """.split()  # noqa: SIM905
)
"""Of those, what parses a text as SQL, knows formats, or makes much of little."""

GIVES_NO_TEXT: Final = re.compile(
    r"(to(date|unix|interval|u?int|float|decimal|startof|monday|year|month|hour|minute|day))"
    r"|(now|today|yesterday|add|subtract|plus|minus|multiply|intdiv|negate|min|max|any)"
)
ZONE_FIRST: Final = frozenset(
    """
    now nowinblock today yesterday current_timestamp localtime localtimestamp curdate current_date
    utc_timestamp utctimestamp
    """.split()  # noqa: SIM905
)
ZONE_FOURTH: Final = frozenset(("age", "date_diff", "datediff", "timestamp_diff", "timestampdiff"))
"""Where the zone stands; for any other function, not first."""
FROM_A_FILE: Final = re.compile("file:", re.IGNORECASE)

# No part of the tree is consumed: a name that looks like one of these only adds to what is checked.
FUNCTION: Final = re.compile(r"(?=\bfunction_name: ([^,\n]+))")
IDENTIFIER: Final = re.compile(r"(?=\bidentifier: ([^,\n]+))")
ARGUMENT: Final = re.compile(r"^ *ARGUMENT id: \d+, name: (.+)$")
STRING_OR_NAME: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL)
NODE: Final = re.compile(r"( *)([A-Z_ ]+) id: \d+")
ALIAS: Final = re.compile(r", alias: (.*?)(?=, \w+: |$)")
ARGUMENT_DEPTH: Final = 6
"""Spaces by which an argument stands to the right of its function."""


class Node(NamedTuple):
    depth: int
    kind: str
    alias: str
    name: str
    """Of a function, an identifier or a lambda's argument; both names in small letters."""


class Permitted:
    """Names that may stand in a reader's SQL."""

    def __init__(
        self, functions: Sequence[tuple[str, str, bool, str]], databases: Sequence[str]
    ) -> None:
        """Take the engine's functions (name, name it stands for, is an aggregate, category) and
        the databases that are not to be read.
        """
        kinds = {name.lower(): kind for name, target, _, kind in functions if not target}
        targets = {name.lower(): (target or name).lower() for name, target, _, _ in functions}
        self._kind_of = {name: kinds.get(target, "") for name, target in targets.items()}
        self._computes = {
            name.lower(): _computes(targets[name.lower()], self._kind_of[name.lower()])
            for name, _, is_aggregate, _ in functions
            if not is_aggregate
        } | dict.fromkeys(("exists", "grouping", "untuple"), True)
        self._aggregates = tuple(
            name.lower() for name, _, is_aggregate, _ in functions if is_aggregate
        )
        self._databases = frozenset(databases)

    def refuse(self, statement: str, tree: str) -> None:
        """Raise QueryRefused when there is more in the tree than tables of ours."""
        for name in re.findall(STRING_OR_NAME, statement):
            if name.startswith("`") and (":" in name or "\\" in name):
                raise QueryRefused(f"{name}: a name with a colon or an escape could be misread")
        if "TABLE_FUNCTION" in tree:
            raise QueryRefused("a table function: give a table of the database taximeter")
        if re.search(r"^ *SETTINGS ", tree, re.MULTILINE):
            raise QueryRefused("SETTINGS: a reader's are given")
        for name in FUNCTION.findall(tree):
            if not self._is_harmless(name.lower()):
                raise QueryRefused(f"the function {name} is not one that only computes")
        for name in IDENTIFIER.findall(tree):
            self._refuse_identifier(name)
        self._refuse_zones_of_files(tree)

    def _refuse_identifier(self, name: str) -> None:
        database, dot, _ = name.partition(".")
        if dot and database in self._databases and name not in TABLES_OF_CLIENTS:
            raise QueryRefused(f"{name}: give a table of the database taximeter")
        # `arrayMap(file, ...)` calls a function by its bare name.
        if not dot and self._computes.get(name.lower(), True) is False:
            raise QueryRefused(f"{name} is the name of a function that does not only compute")

    def _is_harmless(self, name: str) -> bool:
        known = self._computes.get(name)
        if known is None:
            return name.startswith(self._aggregates) and name not in BUT_NOT
        return known

    def _refuse_zones_of_files(self, tree: str) -> None:
        """Let nobody compute the name of a time zone: the engine opens `file:...`, whatever it is,
        and waits for it with all of its threads.
        """
        if FROM_A_FILE.search(tree):
            raise QueryRefused("file: names a file, which is no time zone here")
        nodes = list(_nodes(tree))
        if any(node.kind == "LAMBDA" and node.alias for node in nodes):
            raise QueryRefused("a lambda with a name: write it where it is used")
        named: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            # What stands for a lambda's argument may be anything.
            named[node.name if node.kind == "ARGUMENT" else node.alias].append(node)
        for place, node in enumerate(nodes):
            if node.kind != "FUNCTION" or not self._takes_a_zone(node.name):
                continue
            first = 0 if node.name in ZONE_FIRST else 3 if node.name in ZONE_FOURTH else 1
            for argument in list(_arguments(nodes, place))[first:]:
                if not _may_be_constant(argument, named, depth=0):
                    raise QueryRefused(
                        f"{node.name}: give a time zone or a type as a literal, the rest as columns"
                    )

    def _takes_a_zone(self, name: str) -> bool:
        return name == "_cast" or self._kind_of.get(name) in WITH_ZONES


def _computes(name: str, kind: str) -> bool:
    return (kind in KINDS or name in ALSO) and name not in BUT_NOT


def _nodes(tree: str) -> Iterator[Node]:
    for line in tree.splitlines():
        found = NODE.match(line)
        if found:
            alias = ALIAS.search(line)
            name = FUNCTION.search(line) or IDENTIFIER.search(line) or ARGUMENT.search(line)
            yield Node(
                len(found[1]),
                found[2],
                alias[1].lower() if alias else "",
                name[1].lower() if name else "",
            )


def _arguments(nodes: Sequence[Node], place: int) -> Iterator[Node]:
    depth = nodes[place].depth
    for node in nodes[place + 1 :]:
        if node.depth <= depth:
            return
        if node.depth == depth + ARGUMENT_DEPTH:
            yield node


def _may_be_constant(node: Node, named: Mapping[str, Sequence[Node]], depth: int) -> bool:
    """Tell whether an argument is a literal, a column, or can't give a text."""
    if node.kind == "CONSTANT":
        return True
    if node.kind == "FUNCTION":
        return GIVES_NO_TEXT.match(node.name) is not None
    if node.kind != "IDENTIFIER" or depth > len(named):
        return False
    name = node.name.rpartition(".")[2]
    return all(_may_be_constant(one, named, depth + 1) for one in named.get(name, ()))
