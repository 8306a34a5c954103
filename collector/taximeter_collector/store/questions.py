"""What a store can be asked, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import IO

from taximeter_collector.store.calls import CallDetail, Only, call, calls
from taximeter_collector.store.condition import Condition, condition
from taximeter_collector.store.connection import Connection
from taximeter_collector.store.focus import Format, focus
from taximeter_collector.store.habits import Habit, habits
from taximeter_collector.store.lookup import Clue, FoundCall, Place, find
from taximeter_collector.store.quality import Quality, lost_spans, quality
from taximeter_collector.store.reconciliations import OwnUse, openai_use
from taximeter_collector.store.scope import Dimension, Period, Scope
from taximeter_collector.store.scopes import spent
from taximeter_collector.store.spend import SpendRow, dearest_users, spend
from taximeter_collector.store.traffic import (
    Traffic,
    distinct_users,
    first_hour,
    last_call_at,
    p95_ms_by_feature,
    traffic,
)


class Questions:
    """The questions of a store. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def spend(
        self,
        period: Period,
        by: Sequence[Dimension] = (),
        scope: Scope = Scope(),  # noqa: B008
        limit: int | None = None,
        least: Decimal | None = None,
    ) -> list[SpendRow]:
        """Return the spend of a period by some dimensions, the dearest first, from `least` on."""
        return spend(self._connection, period, by, scope, limit, least)

    def dearest_users(
        self,
        period: Period,
        scope: Scope = Scope(),  # noqa: B008
        *,
        limit: int,
    ) -> list[str]:
        """Return who cost most, the dearest first."""
        return dearest_users(self._connection, period, scope, limit)

    def spent(self, period: Period, scopes: Mapping[str, Scope]) -> dict[str, SpendRow]:
        """Return the spend of each named scope over one period."""
        return spent(self._connection, period, scopes) if scopes else {}

    def p95_ms_by_feature(self, period: Period) -> dict[str, float]:
        return p95_ms_by_feature(self._connection, period)

    def habits(self, period: Period, scope: Scope = Scope()) -> list[Habit]:  # noqa: B008
        """Return how the dearest features call their models."""
        return list(habits(self._connection, period, scope))

    def distinct_users(self, period: Period) -> int:
        """Return how many users called on whole UTC days, to about 1 %."""
        return distinct_users(self._connection, period)

    def traffic(self, period: Period) -> Traffic:
        return traffic(self._connection, period)

    def focus(
        self, period: Period, scope: Scope, form: Format
    ) -> AbstractContextManager[IO[bytes]]:
        """Give a file of the spend of whole days in FOCUS 1.2, without the unpriced calls."""
        return focus(self._connection, period, scope, form)

    def openai_use(self, period: Period) -> list[OwnUse]:
        """Return what OpenAI was used for, by what its bill tells apart."""
        return list(openai_use(self._connection, period))

    def find(self, clue: Clue, value: str, limit: int) -> list[FoundCall]:
        """Return the calls that have this id or user, the newest first."""
        return find(self._connection, clue, value, limit)

    def lost_spans(self, period: Period) -> dict[str, int]:
        return lost_spans(self._connection, period)

    def quality(self, period: Period) -> Quality:
        return quality(self._connection, period)

    def first_hour(self) -> datetime | None:
        """Return the first hour that any call is known of, by the sums too."""
        return first_hour(self._connection)

    def last_call_at(self) -> datetime | None:
        return last_call_at(self._connection)

    def calls(
        self,
        period: Period,
        scope: Scope,
        limit: int,
        only: Only | None = None,
        after: Place | None = None,
    ) -> list[FoundCall]:
        """Return calls of a scope, the newest first; of those that stand `after` a place."""
        return calls(self._connection, period, scope, limit, only, after)

    def size(self) -> int:
        """Return how many bytes the store takes on its disks."""
        sql = (
            "select sum(bytes_on_disk) from system.parts where database = {name:String} and active"
        )
        bound = {"name": self._connection.shard_database}
        return int(self._connection.read(sql, bound).result_rows[0][0])

    def condition(self) -> Condition:
        """Return how the engine is."""
        return condition(self._connection)

    def call(self, call_id: str) -> CallDetail | None:
        """Return all that is known of a call."""
        return call(self._connection, call_id)
