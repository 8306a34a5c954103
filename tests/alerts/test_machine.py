"""Whatever happens to calls, budgets, clock and process: alerts are those of a plain model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from builders import budget, costing
from stores import empty
from taximeter_alerts import evaluate as evaluating
from taximeter_alerts.alert import AlertKey, Kind
from taximeter_alerts.budgets import Budget
from taximeter_alerts.state import State
from taximeter_alerts.watch import evaluate
from taximeter_collector.calls import Call
from taximeter_collector.store import Store

START = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)
"""The last day of a month, and the eve of a change of clocks in New York."""
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Apia")
LATE = timedelta(days=3)
TOKENS = count()
EXAMPLES = 12
"""Of up to 20 steps each: enough to find each mutant."""

Told = tuple[str, int, str]
"""Kind, percent and the month, like `threshold 50 of 2026-11`."""


@dataclass
class Model:
    """What must be told, worked out the plain way."""

    calls: dict[int, tuple[datetime, Decimal]] = field(default_factory=dict)
    raised: set[tuple[str, str, int, Decimal]] = field(default_factory=set)
    """Kind, month, percent and dollars."""
    known_since: datetime | None = None

    def month(self, moment: datetime, zone: ZoneInfo) -> str:
        return f"{moment.astimezone(zone):%Y-%m}"

    def end(self, month: str, zone: ZoneInfo) -> datetime:
        year, number = map(int, month.split("-"))
        following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
        return following.astimezone(UTC)

    def spent(self, month: str, zone: ZoneInfo) -> Decimal:
        costs = [usd for at, usd in self.calls.values() if self.month(at, zone) == month]
        return sum(costs, Decimal(0))

    def evaluated(self, one: Budget, now: datetime) -> set[Told]:
        self.known_since = self.known_since or now
        months = [self.month(now, one.zone)]
        begin = self.end(self.month(now - 40 * timedelta(days=1), one.zone), one.zone)
        last = self.month(begin - timedelta(hours=1), one.zone)
        if last != months[0] and now - self.end(last, one.zone) < LATE:
            months.append(last)
        before = self.month(
            datetime.fromisoformat(f"{months[0]}-01T12:00+00:00") - timedelta(days=5), one.zone
        )
        if before not in months and now - self.end(before, one.zone) < LATE:
            months.append(before)
        return {
            told
            for month in months
            if self.known_since < self.end(month, one.zone)
            for told in self._of_month(one, month)
        }

    def _of_month(self, one: Budget, month: str) -> Iterator[Told]:
        spent = self.spent(month, one.zone)
        crossed = {p for p in one.thresholds if spent > 0 and 100 * spent >= p * one.amount}
        known = {p for p in one.thresholds if self._key(one, month, p) in self.raised}
        new = crossed - known
        yield from self._of_a_raise(one, month, spent)
        if new and max(new) == max(crossed):
            self.raised |= {self._key(one, month, p) for p in new}
            yield Kind.THRESHOLD, max(new), month
            return
        if known and 100 * spent <= one.amount * (max(known) - 5):
            key = self._key(one, month, max(known), Kind.CORRECTION)
            if key not in self.raised:
                self.raised.add(key)
                yield Kind.CORRECTION, max(known), month

    def _of_a_raise(self, one: Budget, month: str, spent: Decimal) -> Iterator[Told]:
        if spent >= one.amount:
            return
        was = [(usd, p) for kind, m, p, usd in self.raised if (kind, m) == (Kind.THRESHOLD, month)]
        under = [(usd, p) for usd, p in was if max(usd, spent) * 100 < one.amount * p]
        if under:
            usd, percent = max(under)
            key = (Kind.CORRECTION.value, month, percent, usd)
            if key not in self.raised:
                self.raised.add(key)
                yield Kind.CORRECTION, percent, month

    def _key(
        self, one: Budget, month: str, percent: int, kind: str = Kind.THRESHOLD
    ) -> tuple[str, str, int, Decimal]:
        return kind, month, percent, one.amount * percent / 100


class Machine(RuleBasedStateMachine):
    store: Store
    folder: Path

    @initialize(zone=st.sampled_from(ZONES), amount=st.sampled_from(["10", "4", "0"]))
    def begin(self, zone: str, amount: str) -> None:
        empty(self.store, "calls", "dirty_hours")
        self.url = f"sqlite:///{self.folder / f'{next(TOKENS)}.db'}"
        self.state = State(self.url)
        self.model = Model()
        self.now = START
        self.budget = budget(amount, zone=zone, thresholds=(50, 80, 100))
        self.kept: dict[int, Call] = {}

    @rule(
        usd=st.sampled_from(["0", "0.5", "2", "5"]),
        hours_ago=st.sampled_from([0, 0, 1, 12, 40]),
    )
    def spend(self, usd: str, hours_ago: int) -> None:
        at = self.now - timedelta(hours=hours_ago)
        number = next(TOKENS)
        self.kept[number] = costing(usd, ts=at)[0]
        self._add(number, usd)

    @rule(choice=st.integers(0, 99))
    def come_again(self, choice: int) -> None:
        if self.kept:
            number = sorted(self.kept)[choice % len(self.kept)]
            self._add(number, str(self.model.calls[number][1]))

    @rule(choice=st.integers(0, 99), usd=st.sampled_from(["0", "1", "6"]))
    def price_anew(self, choice: int, usd: str) -> None:
        if self.kept:
            self._add(sorted(self.kept)[choice % len(self.kept)], usd)

    @rule(
        amount=st.sampled_from(["10", "5", "4", "0"]),
        thresholds=st.sampled_from([(50, 80, 100), (50,), (60, 100)]),
    )
    def edit(self, amount: str, thresholds: tuple[int, ...]) -> None:
        self.budget = replace(self.budget, amount=Decimal(amount), thresholds=thresholds)

    @rule()
    def restart(self) -> None:
        self.state.close()
        self.state = State(self.url)

    @rule(hours=st.sampled_from([1, 6, 13, 30, 70]))
    def go_on(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(hours=st.sampled_from([1, 8]))
    def set_the_clock_back(self, hours: int) -> None:
        self.now -= timedelta(hours=hours)

    @invariant()
    def tells_what_the_model_tells(self) -> None:
        if not hasattr(self, "model"):
            return
        expected = self.model.evaluated(self.budget, self.now)
        told = evaluate(self.store, self.state, [self.budget], self.now)
        zone = self.budget.zone
        assert {
            (one.key.kind, one.key.percent, self.model.month(one.period.start, zone))
            for one in told
        } == expected

    @rule()
    def look_again(self) -> None:
        assert evaluate(self.store, self.state, [self.budget], self.now) == []

    def teardown(self) -> None:
        if hasattr(self, "state"):
            self.state.close()

    def _add(self, number: int, usd: str) -> None:
        call = self.kept[number]
        self.model.calls[number] = call.ts, Decimal(usd)
        row = (call, costing(usd)[1])
        self.store.add([row], token=f"m{next(TOKENS)}", book_version="b", now=self.now)


@pytest.fixture
def machine(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Machine]:
    # What an alert tells beside its figures is not this test's matter, and would take its time.
    monkeypatch.setattr("taximeter_alerts.watch._in_full", lambda _store, alert, *_: alert)
    return type("Machine", (Machine,), {"store": store, "folder": tmp_path})


def run(machine: type[Machine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
        ),
    )


def test_alerts_are_those_of_the_model(machine: type[Machine]) -> None:
    run(machine, EXAMPLES)


def with_greater(one: Budget, spend: Decimal) -> list[int]:
    return [p for p in one.thresholds if spend > 0 and spend * 100 > one.amount * p]


def at_nothing(one: Budget, spend: Decimal) -> list[int]:
    return [p for p in one.thresholds if spend * 100 >= one.amount * p]


def without_amount(one: Any, percent: int, kind: Kind = Kind.THRESHOLD) -> AlertKey:
    return AlertKey(one.budget.name, one.period.start, kind, percent, Decimal(0))


def in_utc(self: Budget, moment: datetime) -> Any:
    return self.period.at(moment, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("owner", "name", "mutant"),
    [
        (evaluating, "crossed", with_greater),
        (evaluating, "crossed", at_nothing),
        (evaluating, "key_of", without_amount),
        (Budget, "period_at", in_utc),
    ],
)
def test_a_mutant_is_found_out(
    machine: type[Machine],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    mutant: Callable[..., Any],
) -> None:
    monkeypatch.setattr(owner, name, mutant)

    with pytest.raises(AssertionError):
        run(machine, EXAMPLES)
