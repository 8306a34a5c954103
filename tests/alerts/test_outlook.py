"""Forecasts, fast burns, unusual hours and corrections, from calls to alerts."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from builders import NOON, Rows, alert, budget, costing, outgoing
from taximeter_alerts.alert import Alert, Kind
from taximeter_alerts.budgets import Budget, read_budgets
from taximeter_alerts.channels.slack import plain, slack_message
from taximeter_alerts.message import message_of
from taximeter_alerts.outlook import Outlook
from taximeter_alerts.register import Register
from taximeter_alerts.state import State
from taximeter_alerts.voice import SLACK
from taximeter_alerts.watch import evaluate
from taximeter_collector.live_file import LiveFile
from taximeter_collector.store import Store

TOKENS = count()
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def add(store: Store, *rows: object) -> None:
    typed: Rows = rows  # type: ignore[assignment]
    store.add(typed, token=f"outlook-{next(TOKENS)}", book_version="b1", now=NOON)


@pytest.fixture
def outlook(store: Store, state: State) -> Outlook:
    return looking(store, state)


def looking(store: Store, state: State) -> Outlook:
    return Outlook(store, state, Register(LiveFile(Path("nowhere.yaml"), read_budgets), state))


def daily(store: Store, usd: str, days: int, **fields: object) -> None:
    add(store, *(costing(usd, ts=NOON - day * DAY - HOUR, **fields) for day in range(days)))


def looked(outlook: Outlook, budgets: list[Budget], *moments: datetime) -> list[Alert]:
    return [told for moment in moments for told in outlook.look(budgets, moment)]


def test_a_month_on_course_to_pass_its_budget_is_told_after_the_second_look(
    store: Store, outlook: Outlook
) -> None:
    daily(store, "10", 60)
    # $160 on the 16th, about $300 at the month's end.
    budgets = [budget("250")]
    quarter = timedelta(minutes=15)

    first = looked(outlook, budgets, NOON, NOON + timedelta(minutes=5))
    later = looked(outlook, budgets, NOON + quarter, NOON + 2 * quarter, NOON + 9 * quarter)

    assert first == []
    (told,) = later
    assert told.key.kind == Kind.FORECAST
    forecast = told.story.forecast
    assert forecast is not None
    assert 290 < forecast.total < 310
    assert forecast.reached_at is not None
    assert forecast.reached_at.day in (25, 26)
    said = plain(slack_message(message_of(outgoing(told), SLACK)))
    assert said[0] == "📈 On course to pass its budget: search (November 2026)"
    assert any(text.startswith("*Such forecasts were off by*\n0%") for text in said)


def test_looks_of_replicas_and_before_a_restart_count_together(
    store: Store, state_url: str
) -> None:
    daily(store, "10", 60)
    budgets = [budget("250")]

    def of_a_new_process(at: datetime) -> int:
        with closing(State(state_url)) as opened:
            return len(looked(looking(store, opened), budgets, at))

    looks = [0, 0, 14, 15, 16]
    told = [of_a_new_process(NOON + timedelta(minutes=minutes)) for minutes in looks]

    assert told == [0, 0, 0, 1, 0]


def test_a_state_of_the_schema_before_keeps_looks(state_url: str) -> None:
    with closing(State(state_url)) as before, before._database.writing() as connection:
        connection.execute(sa.text("drop table on_course"))
        connection.execute(sa.text("delete from migrations where number = 3"))

    with closing(State(state_url)) as now:
        key = alert().key
        seen = [now.on_course_since(key, at) for at in (NOON, NOON + HOUR)]

    assert (now.migrated, seen) == ([3], [NOON, NOON])


@pytest.mark.parametrize(("usd_a_day", "told"), [("8", 1), ("7", 0)])
def test_a_forecast_that_falls_below_95_percent_begins_anew(
    store: Store, outlook: Outlook, usd_a_day: str, told: int
) -> None:
    calls = [costing("10", ts=NOON - day * DAY - HOUR) for day in range(60)]
    quarter = timedelta(minutes=15)

    def look_when_a_day_costs(usd: str, at: datetime) -> int:
        add(store, *((call, costing(usd)[1]) for call, _ in calls))
        return len(looked(outlook, [budget("250")], at))

    # About 122, then 98 or 85 %, then 122 again.
    first = look_when_a_day_costs("10", NOON)
    between = look_when_a_day_costs(usd_a_day, NOON + quarter)
    again = look_when_a_day_costs("10", NOON + 2 * quarter)

    assert (first, between, again) == (0, 0, told)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "400"},
        {"amount": "100"},
        {"amount": "250", "forecast": False},
        {"amount": "9", "period": "day"},
        {"amount": "250", "period": "30 days"},
    ],
)
def test_what_is_not_on_course_or_not_asked_for_is_not_told(
    store: Store, outlook: Outlook, fields: dict[str, str]
) -> None:
    daily(store, "10", 60)

    assert looked(outlook, [budget(**fields)], NOON, NOON + HOUR, NOON + 2 * HOUR) == []


@pytest.mark.parametrize(("hours", "alerts"), [([], 0), ([1], 0), ([4, 5, 6], 0), (range(1, 7), 1)])
def test_a_burst_that_goes_on_is_told_before_the_budget_is_used_up(
    store: Store, outlook: Outlook, hours: list[int], alerts: int
) -> None:
    # About $300 at the month's end; with six hours of $10 it is $360, and $390 with three more.
    daily(store, "10", 60)
    add(store, *(costing("10", ts=NOON - hour * HOUR) for hour in hours))

    told = looked(outlook, [budget("375")], NOON, NOON + timedelta(minutes=15))

    assert len(told) == alerts


def test_a_burn_of_several_times_the_even_rate_is_told_once_a_day(
    store: Store, outlook: Outlook
) -> None:
    # $720 a month is $1 an hour.
    fast = [budget("720", pace=True, forecast=False)]
    add(store, *(costing("3", ts=NOON - hour * HOUR - timedelta(minutes=5)) for hour in range(6)))
    assert looked(outlook, fast, NOON) == []
    add(store, costing("2.5", ts=NOON - timedelta(minutes=4)))

    (told,) = looked(outlook, fast, NOON, NOON + timedelta(minutes=1))

    assert (told.key.kind, told.story.burn) == (Kind.PACE, Decimal("5.5"))
    line = message_of(outgoing(told), SLACK).line
    assert "burned 5.5 times its even rate in the last hour" in line


def test_an_unusual_hour_of_a_feature_is_told_once(store: Store, outlook: Outlook) -> None:
    hours = [NOON - hour * HOUR for hour in range(8 * 7 * 24)]
    add(store, *(costing("0.5", ts=hour, feature="chat") for hour in hours))
    add(store, costing("30", ts=NOON - 2 * HOUR + timedelta(minutes=1), feature="rare"))
    add(store, costing("40", ts=NOON - HOUR, feature="chat"))
    watched = [budget("100000", spikes=Decimal(5))]

    (told,) = looked(outlook, watched, NOON + timedelta(minutes=3), NOON + timedelta(minutes=4))

    assert (told.key.kind, told.key.value) == (Kind.SPIKE, "chat")
    found = told.story.unusual
    assert found is not None
    assert (found.cost, round(found.usual, 6)) == (Decimal("40.5"), Decimal("0.5"))
    line = message_of(outgoing(told), SLACK).line
    assert line == "search: chat: $40.50 in the hour from 16 Nov 11:00, where $0.50 is usual."
    assert looked(outlook, [budget("1", spikes=Decimal(50))], NOON) == []


def test_spend_that_falls_well_below_what_was_told_is_corrected_once(
    store: Store, state: State
) -> None:
    dear, cheap = costing("9", feature="chat"), costing("1")
    add(store, dear, cheap)
    evaluate(store, state, [budget("10")], NOON)

    def again(usd: str) -> list[tuple[str, int]]:
        add(store, (dear[0], costing(usd)[1]))
        return [(one.key.kind, one.key.percent) for one in evaluate(store, state, [budget()], NOON)]

    assert again("8.6") == []
    assert again("8.4") == [("correction", 100)]
    assert again("2") == []
    assert again("9") == []


def test_an_alert_tells_what_drives_it_against_the_same_days_of_the_last_month(
    store: Store, state: State
) -> None:
    before = NOON.replace(month=10, day=10)
    add(store, costing("2", feature="chat", ts=before, user_id="ada"))
    add(store, costing("1", feature="search", ts=before))
    # After the same days: not compared.
    add(store, costing("50", feature="search", ts=NOON.replace(month=10, day=20)))
    add(
        store,
        *(costing("2", feature="chat", user_id="ada") for _ in range(3)),
        costing("1.5", feature="new one"),
    )

    (told,) = evaluate(store, state, [budget("10")], NOON)

    story = told.story
    assert [(one.dimension, one.name, one.change, one.why) for one in story.drivers] == [
        ("feature", "chat", Decimal(4), "more calls"),
        ("model", "gpt-4o", Decimal("4.5"), "more calls"),
        ("user", "ada", Decimal(4), "more calls"),
    ]
    assert story.causes is not None
    assert story.causes.total == Decimal("4.5")
    said = "\n".join(plain(slack_message(message_of(outgoing(told), SLACK))))
    assert "*What drives it* (against 1 to 16 October 2026)" in said
    assert "1. feature `chat` · $6.00 · +$4.00 (+200%): more calls" in said


def test_the_story_tells_pace_and_last_day(store: Store, state: State) -> None:
    add(store, costing("2", ts=NOON - HOUR), costing("1", ts=NOON - HOUR - 7 * DAY))
    add(store, costing("3", ts=NOON - 2 * DAY))

    (told,) = evaluate(store, state, [budget("10")], NOON)

    # $6 of $10 after 15.5 of 30 days.
    assert told.story.pace == pytest.approx(Decimal("0.6") * 30 / Decimal("15.5"))
    assert (told.story.last_24_hours, told.story.usual_24_hours) == (Decimal(2), Decimal(1))
    assert told.story.course[0] == (told.period.start, Decimal(0))
    assert told.story.course[-1] == (NOON, Decimal(6))
    said = plain(slack_message(message_of(outgoing(told), SLACK)))
    assert "*Last 24 hours*\n$2.00 (+100% against a week before)" in said
    assert "*Pace*\n1.16 times an even burn" in said


def test_an_alert_whose_story_fails_is_told_without(
    store: Store, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, costing("6"))
    monkeypatch.setattr("taximeter_alerts.watch.story_of", lambda *_: 1 / 0)

    (told,) = evaluate(store, state, [budget("10")], NOON)

    assert (told.key.percent, told.top_features) == (50, ())
