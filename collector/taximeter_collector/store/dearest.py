"""The dearest of very many users, found among the few that were dear on some day."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from taximeter_collector.store.connection import Connection
from taximeter_collector.store.question import Question, Rollup
from taximeter_collector.store.scope import DAY, Dimension, Period, Scope

LISTED: Final = Rollup("dearest_users_by_day", "day", "Date", DAY, ("bound", "bound_once"))
"""The dearest of each day, and what anybody else cost at most."""
CANDIDATES: Final = 1_000
RANK: Final = """
select user_id, known, known + unlisted - counted as at_most, unlisted
from (
    select user_id, known, counted, sum(once) over () as unlisted
    from (
        select
            user_id,
            sum(part.cost) as known,
            sum(part.bound) as counted,
            sum(part.bound_once) as once
        from ({parts}) as part
        group by user_id
    )
)
where {condition}
order by at_most desc, user_id
limit {limit}
"""


def names(
    connection: Connection, period: Period, scope: Scope, limit: int | None, least: Decimal | None
) -> list[str] | None:
    """Return everybody who may be among the dearest, or None where lists do not tell.

    That is where a user who is on no list, or a name more than are read, may cost as much.
    """
    if (limit, least) == (None, None) or not _is_listed(scope):
        return None
    question = Question([Dimension.USER], scope, ["cost"], LISTED)
    sql = RANK.format(
        parts=question.parts(period), condition=question.condition(), limit=CANDIDATES
    )
    rows = connection.read_sums(sql, question.bound, period).result_rows
    return _proven(rows, limit, least)


def _is_listed(scope: Scope) -> bool:
    return not (scope.values or scope.has_tags or scope.without.keys() - {Dimension.USER})


def _proven(
    rows: Sequence[Sequence[Any]], limit: int | None, least: Decimal | None
) -> list[str] | None:
    if limit is not None and limit <= len(rows):
        of_last = sorted((known for _, known, *_ in rows), reverse=True)[limit - 1]
        least = of_last if least is None else max(least, of_last)
    if not rows or least is None or rows[0][3] >= least:
        return None
    if len(rows) == CANDIDATES and rows[-1][2] >= least:
        return None
    return [user for user, _, at_most, _ in rows if at_most >= least]
