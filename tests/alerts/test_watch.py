from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from builders import NOON, Rows, alert, budget, costing, outgoing, unpriced
from taximeter_alerts.alert import AlertKey, Kind
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.message import message_of
from taximeter_alerts.periods import Recurrence, name_of
from taximeter_alerts.register import Register
from taximeter_alerts.schedule import Pace
from taximeter_alerts.spending import now_spent
from taximeter_alerts.state import DeliveryState, Silence, State
from taximeter_alerts.voice import SLACK
from taximeter_alerts.watch import Watch, evaluate
from taximeter_collector.labels import label
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Dimension, Scope, Store

TOKENS = count()


@pytest.fixture
def register(state: State, tmp_path: Path) -> Register:
    return Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)


def add(store: Store, *rows: object) -> None:
    typed: Rows = rows  # type: ignore[assignment]
    store.add(typed, token=f"watch-{next(TOKENS)}", book_version="b1", now=NOON)


def test_spend_that_crosses_a_threshold_raises_one_alert_with_its_facts(
    store: Store, state: State
) -> None:
    add(
        store,
        costing("4", feature="chat"),
        costing("2", feature="search"),
        unpriced(),
        costing("50", ts=NOON - timedelta(days=20)),
    )

    raised = evaluate(store, state, [budget("10")], NOON)
    again = evaluate(store, state, [budget("10")], NOON)

    (alert,) = raised
    assert again == []
    assert (alert.key.percent, alert.spent, alert.unpriced_calls) == (50, Decimal(6), 1)
    assert alert.top_features[:2] == (("chat", Decimal(4)), ("search", Decimal(2)))


def test_each_budget_is_compared_with_its_own_scope_and_month(store: Store, state: State) -> None:
    # 31 October 20:00 UTC is November already in Kolkata.
    add(
        store,
        costing("6", feature="chat", ts=NOON.replace(month=10, day=31, hour=20)),
        costing("6", feature="search"),
    )
    budgets = [
        budget("10", name="all, UTC"),
        budget("20", name="all, Kolkata", zone="Asia/Kolkata"),
        budget("10", name="chat", scope={"feature": "chat"}),
        budget("10", name="nobody", scope={"user": "nobody"}),
    ]

    raised = evaluate(store, state, budgets, NOON)

    assert {alert.key.budget: alert.spent for alert in raised} == {
        "all, UTC": 6,
        "all, Kolkata": 12,
    }


def test_a_budget_may_be_of_one_user(store: Store, state: State) -> None:
    add(store, costing("6", user_id="ada"), costing("3", user_id="bob"))
    budgets = [budget("10", name=name, scope={"user": name}) for name in ("ada", "bob")]

    assert [alert.key.budget for alert in evaluate(store, state, budgets, NOON)] == ["ada"]


def test_without_budgets_nothing_is_raised(store: Store, state: State) -> None:
    add(store, costing("6"))

    assert evaluate(store, state, [], NOON) == []


def test_a_scope_is_made_from_names_people_use() -> None:
    assert budget(scope={"user": ["a", "b"]}).scope == Scope({Dimension.USER: ("a", "b")})


MIDNIGHT = NOON.replace(month=12, day=1, hour=0)


def test_what_was_spent_in_a_months_last_second_still_alerts(store: Store, state: State) -> None:
    assert evaluate(store, state, [budget("10")], MIDNIGHT - timedelta(seconds=2)) == []
    add(store, costing("6", ts=MIDNIGHT - timedelta(seconds=1)))

    raised = evaluate(store, state, [budget("10")], MIDNIGHT + timedelta(days=2))

    assert [(alert.key.percent, alert.key.period_start.month) for alert in raised] == [(50, 11)]


def test_a_budget_says_nothing_about_months_before_it_was_set(store: Store, state: State) -> None:
    add(store, costing("6", ts=MIDNIGHT - timedelta(days=1)))

    assert evaluate(store, state, [budget("10")], MIDNIGHT + timedelta(hours=1)) == []


@pytest.mark.parametrize("user", ["o'brien", "cafe\u0301", "a\\b"])
def test_a_scope_speaks_of_labels_as_they_are_stored(store: Store, state: State, user: str) -> None:
    add(store, costing("6", user_id=label(user)))

    assert len(evaluate(store, state, [budget("10", scope={"user": user})], NOON)) == 1


def test_a_channel_named_twice_is_one_channel(store: Store, state: State) -> None:
    add(store, costing("6"))

    evaluate(store, state, [budget("10", channels=("slack", "slack"))], NOON)

    assert len(state.deliveries.all()) == 1


def test_late_calls_of_the_last_three_days_alert_for_the_day_they_were_made(
    store: Store, state: State
) -> None:
    daily = budget("10", period=Recurrence.parse("day"), thresholds=(100,))
    evaluate(store, state, [daily], NOON - timedelta(days=10))
    add(
        store,
        *(costing("11", ts=NOON - timedelta(days=days)) for days in (0, 2, 5)),
        costing("9", ts=NOON - timedelta(days=1)),
    )

    raised = evaluate(store, state, [daily], NOON)

    assert {name_of(one.period, daily.zone) for one in raised} == {
        "16 November 2026",
        "14 November 2026",
    }
    assert evaluate(store, state, [daily], NOON) == []


def test_a_rolling_budget_is_told_once_while_it_stays_crossed_and_again_later(
    store: Store, state: State
) -> None:
    rolling = budget("10", period=Recurrence.parse("7 days"), thresholds=(100,))
    begin = NOON - timedelta(days=40)
    evaluate(store, state, [rolling], begin)
    add(store, costing("11", ts=begin), costing("12", ts=begin + timedelta(days=20)))

    told = [
        day
        for day in range(40)
        for _ in evaluate(store, state, [rolling], begin + timedelta(days=day, minutes=1))
    ]

    assert told == [0, 20]


def test_a_budget_for_each_user_tells_of_those_who_reached_it(store: Store, state: State) -> None:
    add(
        store,
        *(costing("6", user_id=name, feature="chat") for name in ("ada", "bob")),
        costing("4", user_id="eve"),
        costing("9", user_id="eve", feature="other"),
    )
    each = budget("10", each=Dimension.USER, scope={"feature": "chat"})

    raised = evaluate(store, state, [each], NOON)

    assert {(one.key.value, one.spent, one.top_features) for one in raised} == {
        (name, Decimal(6), (("chat", Decimal(6)),)) for name in ("ada", "bob")
    }
    assert evaluate(store, state, [each], NOON) == []
    add(store, costing("5", user_id="ada", feature="chat"))
    (again,) = evaluate(store, state, [each], NOON)
    assert (again.key.value, again.key.percent, again.also_passed) == ("ada", 100, (75, 90))
    links = dict(message_of(outgoing(again), SLACK).links)
    assert links["Its calls"] == (
        "http://127.0.0.1:8787/calls?from=2026-11-01T00%3A00%3A00%2B00%3A00"
        "&to=2026-12-01T00%3A00%3A00%2B00%3A00&feature=chat&user=ada"
    )


@pytest.mark.parametrize("each", [Dimension.USER, Dimension.TEAM, Dimension.PROMPT_NAME])
def test_calls_without_a_value_are_in_no_budget_for_each_value(
    store: Store, state: State, each: Dimension
) -> None:
    add(store, costing("75", user_id="", team="", prompt_name=""))
    one = budget("10", each=each)

    nothing_told = evaluate(store, state, [one], NOON)
    (nobody,) = now_spent(store, [one], NOON)
    add(store, costing("6", user_id="ada", team="ada", prompt_name="ada"))
    raised = evaluate(store, state, [one], NOON)
    (dearest,) = now_spent(store, [one], NOON)

    assert nothing_told == []
    assert (nobody.value, nobody.spent.cost) == ("", Decimal(0))
    assert store.spend(nobody.period, [], nobody.scope)[0].cost == 0
    assert [(alert.key.value, alert.spent) for alert in raised] == [("ada", Decimal(6))]
    assert (dearest.value, dearest.spent.cost) == ("ada", Decimal(6))


def test_what_was_told_of_a_budget_is_that_of_its_values_and_of_its_last_days(
    store: Store, state: State
) -> None:
    each = budget("10", name="each", each=Dimension.USER)
    rolling = budget("10", name="rolling", period=Recurrence.parse("7 days"))
    for name, usd in (("u1", "6"), ("u2", "6"), ("u3", "20")):
        add(store, costing(usd, user_id=name))
    evaluate(store, state, [each, budget("1000", name="Each"), rolling], NOON)
    tomorrow = NOON + timedelta(days=1)

    told = {
        one.name: [
            (passed.percent, passed.values, passed.value)
            for passed in state.told(one, one.period_at(tomorrow))
        ]
        for one in (each, budget(name="Each"), rolling)
    }

    assert told == {
        "each": [(50, 2, "u1"), (100, 1, "u3")],
        "Each": [],
        "rolling": [(100, 1, "")],
    }


def test_a_scope_may_name_tags(store: Store, state: State) -> None:
    add(
        store,
        costing("6", tags={"tier": "pro"}),
        costing("3", tags={"tier": "free"}),
        costing("2.5"),
    )
    budgets = [
        budget("10", name="pro", scope={"tags": {"tier": "pro"}}),
        budget("10", name="not pro", scope={"tags": {"tier": {"not": "pro"}}}),
        budget("10", name="free", scope={"feature": "search", "tags": {"tier": ["free", "x"]}}),
    ]

    raised = evaluate(store, state, budgets, NOON)

    assert {one.key.budget: one.spent for one in raised} == {"pro": 6, "not pro": Decimal("5.5")}


def test_a_budget_that_is_over_covers_those_it_holds_on_its_channels(
    store: Store, state: State
) -> None:
    parent = budget("10", name="all")
    child = budget("8", name="chat", scope={"feature": "chat"}, channels=("slack", "mail"))
    other = budget("1", name="daily", period=Recurrence.parse("day"))
    add(store, costing("9", feature="chat"), costing("2", feature="search"))

    evaluate(store, state, [parent, child, other], NOON)

    became = {(one.alert.key.budget, one.channel): one.state for one in state.deliveries.all()}
    assert became == {
        ("all", "slack"): DeliveryState.PENDING,
        ("chat", "slack"): DeliveryState.INHIBITED,
        ("chat", "mail"): DeliveryState.PENDING,
        ("daily", "slack"): DeliveryState.PENDING,
    }
    later = budget("5", name="search", scope={"feature": "search"}, thresholds=(40,))
    evaluate(store, state, [parent, later], NOON)
    assert state.deliveries.all()[-1].state is DeliveryState.INHIBITED


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("10", "20", [("threshold", 50), ("correction", 100)]),
        # Still over, and over again at its limit.
        ("10", "10.40", [("threshold", 100)]),
        ("10", "10.50", [("threshold", 100)]),
        ("10", "10.51", [("threshold", 90), ("correction", 100)]),
        ("10", "100", [("correction", 100)]),
        ("10", "5", [("threshold", 100)]),
        ("12", "15", [("threshold", 50), ("correction", 75)]),
        ("0", "100", [("correction", 100)]),
    ],
)
def test_a_raise_beyond_what_was_told_takes_it_back_once(
    store: Store, state: State, before: str, after: str, told: list[tuple[str, int]]
) -> None:
    add(store, costing("10.50"))
    evaluate(store, state, [budget(before)], NOON)

    raised = evaluate(store, state, [budget(after)], NOON)
    again = evaluate(store, state, [budget(after)], NOON)

    assert [(one.key.kind, one.key.percent) for one in raised] == told
    assert again == []


def test_a_raise_is_told_in_its_own_words(store: Store, state: State) -> None:
    add(store, costing("10.50"))
    evaluate(store, state, [budget("10")], NOON)

    (told,) = evaluate(store, state, [budget("30")], NOON)

    message = message_of(outgoing(told), SLACK)
    assert message.title == "↩️ Budget raised: search (November 2026)"
    assert message.line == (
        "Budget “search / November 2026” was raised from $10.00: $10.50 of $30.00."
    )
    assert message.facts == (("Was told", "100% of $10.00"), ("Left", "$19.50"))
    assert message.paragraphs == ("The budget was raised: the alert of 100% no longer holds.",)


@pytest.mark.parametrize("is_deleted", [True, False])
def test_what_was_told_of_a_budget_that_is_deleted_or_paused_is_taken_back_once(
    store: Store, state: State, register: Register, *, is_deleted: bool
) -> None:
    add(store, costing("20", user_id="ada", ts=NOON), costing("6", user_id="bob", ts=NOON))
    for one in (budget("10"), budget("10", name="each", each=Dimension.USER), budget(name="kept")):
        register.put(one, "grace", NOON)
    Watch(store, state, register, PriceBook.shipped).tick(NOON)
    watch = Watch(store, state, register, PriceBook.shipped)
    watch.tick(NOON)
    told = {one.alert.subject_digest: one.alert.key.percent for one in state.deliveries.all()}

    for name in ("search", "each"):
        if is_deleted:
            register.delete(name, "grace", NOON)
        else:
            paused = replace(register.defined(name), paused=True)
            register.put(paused, "grace", NOON)
    watch.tick(NOON)
    watch.tick(NOON)
    Watch(store, state, register, PriceBook.shipped).tick(NOON)

    taken_back = [one.alert for one in state.deliveries.all() if one.alert.key.kind == "ended"]
    assert sorted((one.key.budget, one.key.value, one.key.percent) for one in taken_back) == [
        ("each", "ada", 100),
        ("each", "bob", 50),
        ("search", "", 100),
    ]
    assert {one.subject_digest: one.key.percent for one in taken_back}.items() <= told.items()
    (of_ada,) = (one for one in taken_back if one.key.value == "ada")
    message = message_of(outgoing(of_ada), SLACK)
    assert message.title == "↩️ Budget ended: each: ada (November 2026)"
    assert message.line == (
        "Budget “each: ada / November 2026” is not watched any more: it was deleted or paused."
    )
    assert (message.summary.strip(), message.facts) == ("", (("Was told", "100%"),))
    assert message.paragraphs == (
        "The budget was deleted or paused: the alert of 100% no longer holds.",
    )


@pytest.mark.parametrize("period", ["month", "7 days"])
def test_what_was_deleted_while_the_service_was_down_is_taken_back_at_its_start(
    store: Store, state: State, register: Register, period: str
) -> None:
    add(store, costing("20", ts=NOON))
    register.put(budget("10", period=Recurrence.parse(period)), "grace", NOON)
    Watch(store, state, register, PriceBook.shipped).tick(NOON)
    register.delete("search", "grace", NOON)

    Watch(store, state, register, PriceBook.shipped).tick(NOON + timedelta(days=30))
    assert [one.alert.key.kind for one in state.deliveries.all()] == ["threshold"]
    Watch(store, state, register, PriceBook.shipped).tick(NOON + timedelta(days=1))
    assert [one.alert.key.kind for one in state.deliveries.all()] == ["threshold", "ended"]


def test_what_was_taken_back_already_is_not_taken_back_again_with_its_budget(
    store: Store, state: State, register: Register
) -> None:
    add(store, costing("10.50"))
    for amount in ("10", "30"):
        register.put(budget(amount), "grace", NOON)
        Watch(store, state, register, PriceBook.shipped).tick(NOON)
    register.delete("search", "grace", NOON)

    Watch(store, state, register, PriceBook.shipped).tick(NOON)

    kinds = [one.alert.key.kind for one in state.deliveries.all()]
    assert kinds == ["threshold", "correction"]


def test_a_raise_takes_back_a_forecast_of_the_old_amount(store: Store, state: State) -> None:
    add(store, costing("1"))
    november = budget("10").period_at(NOON).start
    key = AlertKey("search", november, Kind.FORECAST, 100, Decimal(10))
    state.add(alert(key=key))

    same, raised = (
        [one.key.kind for one in evaluate(store, state, [budget(amount)], NOON)]
        for amount in ("10", "20")
    )

    assert (same, raised) == ([], ["correction"])


def test_a_raise_takes_back_what_was_told_of_each_user(store: Store, state: State) -> None:
    add(store, costing("12", user_id="ada"), costing("6", user_id="bob"))
    evaluate(store, state, [budget("5", each=Dimension.USER)], NOON)

    raised = evaluate(store, state, [budget("100", each=Dimension.USER)], NOON)

    assert {one.key.value: one.key.kind for one in raised} == dict.fromkeys(
        ("ada", "bob"), "correction"
    )


def test_what_is_taken_back_is_not_covered_by_a_budget_that_is_over(
    store: Store, state: State
) -> None:
    add(store, costing("10.50", feature="chat"))
    chat = budget("10", name="chat", scope={"feature": "chat"})
    evaluate(store, state, [chat], NOON)
    evaluate(store, state, [chat, budget("9", name="all")], NOON)

    evaluate(store, state, [replace(chat, amount=Decimal(100)), budget("9", name="all")], NOON)

    *_, last = state.deliveries.all()
    assert (last.alert.key.kind, last.state) == ("correction", DeliveryState.PENDING)


def test_a_budget_that_is_silenced_covers_nothing(store: Store, state: State) -> None:
    silence = Silence(budget="all", until=NOON + timedelta(days=1), made_by="ada", made_at=NOON)
    state.silences.add(silence)
    add(store, costing("11", feature="chat"))

    budgets = [budget("10", name="all"), budget("8", name="chat", scope={"feature": "chat"})]
    evaluate(store, state, budgets, NOON)

    assert {one.state for one in state.deliveries.all()} == {DeliveryState.PENDING}


@pytest.mark.parametrize(
    ("outer", "inner", "holds"),
    [
        ({}, {"feature": "a"}, True),
        ({"feature": ["a", "b"]}, {"feature": "a", "team": "t"}, True),
        ({"feature": "a"}, {"feature": ["a", "b"]}, False),
        ({"feature": "a"}, {}, False),
        ({"team": {"not": "x"}}, {"team": "y"}, True),
        ({"team": {"not": "x"}}, {"team": ["x", "y"]}, False),
        ({"team": {"not": "x"}}, {"team": {"not": ["x", "y"]}}, True),
        ({"team": {"not": "x"}}, {}, False),
        ({"tags": {"t": "a"}}, {"tags": {"t": "a"}, "feature": "f"}, True),
        ({"tags": {"t": "a"}}, {"feature": "f"}, False),
    ],
)
def test_a_scope_holds_another_when_all_its_calls_are_in_it(
    outer: dict[str, object], inner: dict[str, object], *, holds: bool
) -> None:
    assert budget(scope=outer).scope.holds(budget(scope=inner).scope) is holds


def test_what_took_long_waits_and_what_failed_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0, 2, 19, 20, 20, 21])
    monkeypatch.setattr("taximeter_alerts.schedule.monotonic", lambda: next(seconds))
    pace = Pace(0.1)
    done: list[str] = []

    # From 0 to 2 s, so not before 20 s; it fails then, and is done at once all the same.
    pace.run(lambda: done.append("first"))
    pace.run(lambda: done.append("too early"))
    with pytest.raises(ZeroDivisionError):
        pace.run(lambda: 1 / 0)
    pace.run(lambda: done.append("again"))

    assert done == ["first", "again"]
