from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from builders import NOON, Rows, call, costing, outgoing, unpriced
from taximeter_alerts.channels.slack import plain, slack_message
from taximeter_alerts.message import message_of
from taximeter_alerts.own_alerts import OwnAlerts
from taximeter_alerts.state import State
from taximeter_alerts.voice import SLACK
from taximeter_collector.calls import CostStatus, Priced
from taximeter_collector.store import Store

TOKENS = count()
WEEK = timedelta(days=7)
TEN = NOON - timedelta(hours=2)


def add(store: Store, rows: Rows) -> None:
    store.add(rows, token=f"own-{next(TOKENS)}", book_version="b1", now=NOON)


def watching(store: Store, state: State, lag_s: float = 0.0) -> OwnAlerts:
    return OwnAlerts(store, state, lambda: lag_s, ("slack",))


def busy_weeks(store: Store, calls: int = 20) -> None:
    for week in (1, 2, 3):
        at = NOON - week * WEEK - timedelta(minutes=30)
        add(store, [costing("0.1", ts=at) for _ in range(calls)])


def test_silence_where_there_were_always_calls_is_told_once_a_day(
    store: Store, state: State
) -> None:
    busy_weeks(store)
    own = watching(store, state)

    (told,) = own.look(NOON)

    assert own.look(NOON + timedelta(minutes=1)) == []
    said = plain(slack_message(message_of(outgoing(told), SLACK)))
    assert said[0] == "⚠️ No calls for an hour"
    assert "at least 20; the last one is of 09 Nov 11:30 UTC" in said[1]


def test_an_hour_that_is_often_silent_is_not_told(store: Store, state: State) -> None:
    busy_weeks(store, calls=19)
    assert watching(store, state).look(NOON) == []

    busy_weeks(store)
    add(store, [costing("0.1", ts=NOON - timedelta(minutes=1))])
    assert watching(store, state).look(NOON) == []


@pytest.mark.parametrize(("lag_s", "titles"), [(300, []), (660, ["Calls come 11 minutes late"])])
def test_calls_that_come_late_are_told(
    store: Store, state: State, lag_s: float, titles: list[str]
) -> None:
    assert [one.title for one in watching(store, state, lag_s).look(NOON)] == titles


def test_calls_without_a_price_are_told_by_model(store: Store, state: State) -> None:
    add(store, [unpriced(ts=NOON - timedelta(hours=2)) for _ in range(9)])
    assert watching(store, state).look(NOON) == []
    add(store, [unpriced(ts=NOON - timedelta(hours=2)) for _ in range(3)])

    (told,) = watching(store, state).look(NOON)

    assert "by model: mystery-1 (12)." in told.text


def test_calls_without_a_price_are_told_with_what_helps_against_each_reason(
    store: Store, state: State
) -> None:
    def without(reason: str, calls: int, model: str) -> None:
        priced = Priced(status=CostStatus.UNPRICED, usd=None, reason=reason)
        add(store, [(call(ts=TEN, model=model), priced) for _ in range(calls)])

    without("the usage was lost", 30, model="gpt-4o")
    without("no price for model 'gpt-7'", 12, model="gpt-7")
    without("no price for gpt-5 in tier 'scale'", 2, model="gpt-5")

    (told,) = watching(store, state).look(NOON)

    assert told.text == (
        "In the last day, by model: gpt-4o (30), gpt-7 (12). What they cost is in no sum. "
        "Why, and what helps: the usage was lost (30): no price helps: OpenAI's answer told no "
        "usage, or never came; taximeter[estimate] in the app counts the tokens of most streams. "
        "no price for model 'gpt-7' (12), no price for gpt-5 in tier 'scale' (2): give the rate in "
        "prices.yaml, or upgrade to a book that has it, then taximeter reprice."
    )


def test_without_a_channel_nothing_is_looked_at(store: Store, state: State) -> None:
    assert OwnAlerts(store, state, lambda: 1e9, ()).look(NOON) == []
