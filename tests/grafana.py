"""What Grafana and its ClickHouse plugin 4.20.0 do to a query before the engine sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

ALL = ("$__all",)

CONDITIONAL_ALL = "$__conditionalAll("


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A dashboard as someone looks at it: the range, and each variable's chosen values."""

    start: datetime
    end: datetime
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def expanded(self, sql: str) -> str:
        """Return the query as it reaches the engine; a macro that nobody knows is an error."""
        sql = self._with_macros(self._with_variables(self._without_all(sql)))
        left = re.search(r"\$(__\w+|\{)", sql)
        assert left is None, f"nothing expands {sql[left.start() :][:40]}"
        return sql

    def _without_all(self, sql: str) -> str:
        while (at := sql.rfind(CONDITIONAL_ALL)) >= 0:
            condition, variable, end = _arguments(sql, at + len(CONDITIONAL_ALL))
            is_all = ",".join(self.chosen.get(variable.strip(" $"), ALL)) in {"", *ALL}
            sql = sql[:at] + ("1=1" if is_all else condition) + sql[end:]
        return sql

    def _with_variables(self, sql: str) -> str:
        def formatted(match: re.Match[str]) -> str:
            # encodeURIComponentStrict leaves what quote() leaves.
            return "&".join(
                f"{match[2]}={quote(value, safe='')}" for value in self.chosen[match[1]]
            )

        return re.sub(r"\$\{(\w+):customqueryparam:(\w+)\}", formatted, sql)

    def _with_macros(self, sql: str) -> str:
        sql = re.sub(r"\$__fromTime\b", f"toDateTime({int(self.start.timestamp())})", sql)
        return re.sub(r"\$__toTime\b", f"toDateTime({int(self.end.timestamp())})", sql)


def _arguments(sql: str, start: int) -> tuple[str, str, int]:
    """Split a macro's two arguments as the plugin does: by brackets alone, blind to quotes."""
    depth = 1
    comma = -1
    for at in range(start, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[at], 0)
        if sql[at] == "," and depth == 1:
            assert comma < 0, "the plugin gives up on a third argument"
            comma = at
        if depth == 0:
            return sql[start:comma], sql[comma + 1 : at], at + 1
    raise AssertionError("the macro's bracket is never closed")
