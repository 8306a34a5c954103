from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY

from builders import NOON, Rows, call, costing, unpriced
from stores import empty
from taximeter_collector.calls import CostStatus, Priced, Rates
from taximeter_collector.store import Dimension, Period, Scope, Store, StoreError, StoreUnavailable
from taximeter_collector.store.calls import Only
from taximeter_collector.store.connection import READERS
from taximeter_collector.store.lookup import Clue, FoundCall, ListedCall
from taximeter_collector.store.rollups import reopen
from taximeter_collector.store.schema import _migrations, migrate, statements

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
HOUR = timedelta(hours=1)

_tokens = count()


def add(store: Store, rows: Rows, token: str = "") -> None:
    store.add(rows, token=token or f"test-{next(_tokens)}", book_version="b1", now=NOON)


def by_feature(store: Store, period: Period = NOVEMBER) -> dict[str, Decimal]:
    return {row.key[0]: row.cost for row in store.spend(period, [Dimension.FEATURE])}


def test_spend_is_exact_before_and_after_a_refresh_and_between(store: Store) -> None:
    add(store, [costing("0.000000000001", feature="a"), costing("2", feature="b")])
    before = by_feature(store)
    store.refresh()
    add(store, [costing("1.5", feature="a")])
    between = by_feature(store)
    store.refresh()

    assert before == {"a": Decimal("0.000000000001"), "b": Decimal(2)}
    assert between == {"a": Decimal("1.500000000001"), "b": Decimal(2)}
    assert by_feature(store) == between


def test_the_same_token_adds_the_same_rows_once(store: Store) -> None:
    rows = [costing("1")]
    add(store, rows, token="segment-1")
    add(store, rows, token="segment-1")

    assert store.spend(NOVEMBER)[0].calls == 1


def test_a_call_sent_twice_counts_once_whatever_else_it_says(store: Store) -> None:
    add(store, [costing("1", call_id="chatcmpl-9", feature="a")])
    store.refresh()
    add(store, [costing("1", call_id="chatcmpl-9", feature="renamed", span_id="other")])

    for _ in range(2):
        assert by_feature(store) == {"renamed": Decimal(1)}
        store.refresh()


def test_a_key_that_vanished_from_the_rows_vanishes_from_the_rollups(store: Store) -> None:
    add(store, [costing("1", call_id="x", feature="old"), costing("2", feature="stays")])
    store.refresh()
    add(store, [costing("3", call_id="x", feature="new")])
    store.refresh()

    assert by_feature(store) == {"new": Decimal(3), "stays": Decimal(2)}
    by_day = {
        row.key: row.cost for row in store.spend(NOVEMBER, [Dimension.DAY, Dimension.FEATURE])
    }
    assert by_day == {("new",): Decimal(3), ("stays",): Decimal(2)}


def test_a_late_call_reopens_its_hour_and_its_day(store: Store) -> None:
    add(store, [costing("1", ts=NOON)])
    store.refresh()
    add(store, [costing("5", ts=NOON - timedelta(days=14))])

    assert store.spend(NOVEMBER)[0].cost == Decimal(6)
    assert store.refresh() == 1
    assert store.spend(NOVEMBER)[0].cost == Decimal(6)


def test_an_hour_that_changes_now_is_rolled_up_when_it_is_quiet(store: Store) -> None:
    store.add([costing("1")], token="one", book_version="b", now=NOON)

    for quiet_s, summed in ((60, 0), (0, 1)):
        assert store.refresh(quiet_s=quiet_s) == summed
        assert REGISTRY.get_sample_value("taximeter_open_hours") == 1 - summed
        assert store.spend(NOVEMBER)[0].cost == 1


def test_a_refresh_that_died_before_its_note_is_repeated_without_harm(store: Store) -> None:
    add(store, [costing("1")])
    store.refresh()
    empty(store, "hours_done")

    assert store.spend(NOVEMBER)[0].cost == Decimal(1)
    store.refresh()
    assert store.spend(NOVEMBER)[0].cost == Decimal(1)


def test_a_refresh_that_comes_between_mark_and_rows_hides_no_call(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh: list[threading.Thread] = []
    insert = store._connection.insert

    def inserted(table: str, *args: Any, **more: Any) -> None:
        if table == "calls":
            refresh.append(threading.Thread(target=store.refresh))
            refresh[0].start()
            refresh[0].join(0.5)
        insert(table, *args, **more)

    monkeypatch.setattr(store._connection, "insert", inserted)
    add(store, [costing("1")])
    refresh[0].join()
    store.refresh()

    assert store.spend(NOVEMBER)[0].cost == Decimal(1)


def test_numbers_go_on_from_a_rollup_whose_note_was_lost(tmp_path: Path) -> None:
    script = """
import os, sys
from builders import NOON, costing
from taximeter_collector.store import Period, Store
store = Store(sys.argv[1])
if sys.argv[2] == "crash":
    store.add([costing("1")], token="t", book_version="b", now=NOON)
    insert = store._connection.insert
    store._connection.insert = lambda table, *a, **k: os._exit(9) if table == "hours_done" else None
store.refresh()
print(store.spend(Period(NOON.replace(day=1, hour=0), NOON.replace(day=30)))[0].cost)
store.close()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, f"chdb://{tmp_path / 'store'}"]
    crashed = subprocess.run([*command, "crash"], env=environment, check=False)
    again = subprocess.run([*command, "again"], env=environment, capture_output=True, check=True)

    assert crashed.returncode == 9
    assert Decimal(again.stdout.decode()) == 1


def test_a_call_without_a_price_is_counted_and_is_not_zero_dollars(store: Store) -> None:
    add(store, [costing("1"), unpriced(), unpriced()])

    for _ in range(2):
        (total,) = store.spend(NOVEMBER)
        assert (total.cost, total.calls, total.unpriced_calls) == (Decimal(1), 3, 2)
        store.refresh()
    rows = store._connection.read("select cost from taximeter.calls where cost_status = 'unpriced'")
    assert rows.result_rows == [(None,), (None,)]


@pytest.mark.parametrize("zone_offset_minutes", [0, -330, 345])
@pytest.mark.parametrize("refreshed", [False, True])
def test_a_period_is_half_open_to_the_millisecond_in_any_zone(
    store: Store, zone_offset_minutes: int, refreshed: bool
) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=zone_offset_minutes)
    end = start + timedelta(days=7)
    millisecond = timedelta(milliseconds=1)
    moments = [start - millisecond, start, end - millisecond, end]
    add(store, [costing("1", ts=moment, feature=f"{n}") for n, moment in enumerate(moments)])
    if refreshed:
        store.refresh()

    assert set(by_feature(store, Period(start, end))) == {"1", "2"}
    assert store.spent(Period(start, end), {"all": Scope()})["all"].calls == 2


def test_many_scopes_are_answered_each_with_its_own_sum(store: Store) -> None:
    add(
        store,
        [
            costing("1", feature="a", team="x"),
            costing("2", feature="b", team="x"),
            costing("4", feature="a", team="y"),
        ],
    )
    scopes = {
        "everything": Scope(),
        "a": Scope({Dimension.FEATURE: ("a",)}),
        "a of x": Scope({Dimension.FEATURE: ("a",), Dimension.TEAM: ("x",)}),
        "a or b of x": Scope({Dimension.FEATURE: ("a", "b"), Dimension.TEAM: ("x",)}),
        "nobody": Scope({Dimension.TEAM: ("') or 1=1 --",)}),
        "not b": Scope(without={Dimension.FEATURE: ("b",)}),
        "x, not b": Scope({Dimension.TEAM: ("x",)}, {Dimension.FEATURE: ("b", "')")}),
        "neither": Scope(without={Dimension.FEATURE: ("a", "b")}),
    }

    spent = store.spent(NOVEMBER, scopes)

    assert {name: row.cost for name, row in spent.items()} == {
        "everything": 7,
        "a": 5,
        "a of x": 1,
        "a or b of x": 3,
        "nobody": 0,
        "not b": 5,
        "x, not b": 1,
        "neither": 0,
    }
    for name, scope in scopes.items():
        assert store.spend(NOVEMBER, (), scope)[0].cost == spent[name].cost


def test_the_users_of_days_that_are_over_come_from_a_rollup(store: Store) -> None:
    add(store, [costing("1", user_id="ada"), costing("2", user_id="bob"), costing("3")])
    from_rows = store.spend(NOVEMBER, [Dimension.USER])
    store.refresh()
    empty(store, "calls")

    rows = store.spend(NOVEMBER, [Dimension.USER])

    assert rows == from_rows
    assert [(row.key[0], f"{row.cost:.0f}") for row in rows] == [
        ("", "3"),
        ("bob", "2"),
        ("ada", "1"),
    ]
    assert store.spend(NOVEMBER, [Dimension.USER], limit=2) == rows[:2]


def test_the_users_of_a_day_that_is_not_over_come_from_the_rows(store: Store) -> None:
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + 24 * HOUR
    add(store, [costing("1", user_id="ada", ts=tomorrow)])
    store.refresh()

    (kept,) = store._connection.read("select count() from taximeter.users_daily").result_rows[0]
    (row,) = store.spend(Period(tomorrow, tomorrow + 24 * HOUR), [Dimension.USER])

    assert kept == 0
    assert (row.key, row.cost) == (("ada",), Decimal(1))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 100])
def test_a_user_s_newest_calls_are_found_whether_their_days_are_summed_or_not(
    store: Store, limit: int
) -> None:
    def on_day(number: int, *calls: int) -> Rows:
        return [
            costing("1", user_id="ada", ts=NOON - number * 24 * HOUR + one * HOUR, call_id=f"{one}")
            for one in calls
        ]

    add(store, [*on_day(9, 0, 1), *on_day(6, 2, 3), *on_day(3, 4)])
    for _ in range(3):
        store.refresh()
    # Of a day that was never summed, and of one that was summed when there was less.
    add(store, [*on_day(1, 5), *on_day(6, 6)])
    add(store, [costing("1", user_id="bob", ts=NOON, call_id="bob")])

    found = store.find(FoundCall, Clue.USER, "ada", limit)

    newest_first = ["5", "4", "6", "3", "2", "1", "0"]
    assert [call.call_id for call in found] == newest_first[:limit]
    of_ada = Scope({Dimension.USER: ("ada",)})
    listed = store.calls(FoundCall, NOVEMBER, of_ada, limit)
    assert [call.call_id for call in listed] == newest_first[:limit]
    older = store.calls(FoundCall, NOVEMBER, of_ada, limit, after=listed[-1].place)
    assert [call.call_id for call in older] == newest_first[limit : 2 * limit]


def test_a_user_s_few_calls_of_a_kind_are_found_in_many_days(store: Store) -> None:
    days = [NOON - number * 24 * HOUR for number in range(6)]
    add(store, [costing("1", user_id="ada", ts=ts, call_id=f"{ts}") for ts in days])
    add(store, [unpriced(user_id="ada", ts=ts + HOUR, call_id=f"u{ts}") for ts in days[3:]])
    store.refresh()
    of_ada = Scope({Dimension.USER: ("ada", "bob")})

    found = store.calls(FoundCall, Period(days[4], days[0]), of_ada, 2, Only.UNPRICED)

    assert [call.call_id for call in found] == [f"u{days[3]}", f"u{days[4]}"]


def test_an_hour_is_summed_anew_only_while_all_of_its_calls_are_kept(store: Store) -> None:
    add(store, [costing("1", ts=NOON, call_id="a"), costing("2", ts=NOON, call_id="b")])
    add(store, [costing("2", ts=NOON, call_id="b")])
    add(store, [costing("4", ts=NOON - HOUR, call_id="c")])
    store.refresh()
    gone = {"settings": {"mutations_sync": 2}}
    store._connection.alter("calls", "delete where call_id = 'a'", **gone)

    reopen(store._connection, "a-program")

    hours = store._connection.read("select hour from taximeter.open_hours").result_rows
    assert hours == [((NOON - HOUR).replace(minute=0),)]
    assert store.refresh() == 1
    assert store.spend(NOVEMBER)[0].cost == 7
    reopen(store._connection, "a-program")
    assert store.refresh() == 0


def test_an_embedded_store_whose_migration_was_cut_off_counts_nothing_twice(store: Store) -> None:
    add(store, [costing("1", user_id="ada", ts=NOON - 48 * HOUR)])
    store.refresh()
    (script,) = [one.script for one in _migrations() if one.number == 19]

    for statement in [*statements(script), *statements(script)]:
        store._connection.command(statement)

    rows = store.spend(NOVEMBER, [Dimension.USER])
    assert [(row.key, row.cost, row.calls) for row in rows] == [(("ada",), Decimal(1), 1)]


def test_a_call_is_of_a_kind_by_its_newest_revision_alone(store: Store) -> None:
    ids = [f"id-{number:02}" for number in range(30)]
    add(store, [unpriced(call_id=name) for name in ids])
    add(store, [unpriced(call_id="still", ts=NOON - HOUR)])
    add(store, [costing("1", call_id=name, feature="priced") for name in ids])

    found = store.calls(FoundCall, NOVEMBER, Scope(), 1, Only.UNPRICED)
    of_feature = store.calls(FoundCall, NOVEMBER, Scope({Dimension.FEATURE: ("search",)}), 100)

    assert [one.call_id for one in found] == ["still"]
    assert [one.call_id for one in of_feature] == ["still"]


@pytest.mark.parametrize("priced_anew", [0, 1, 9, 60])
def test_the_dearest_calls_are_those_of_newest_revisions_alone(
    store: Store, priced_anew: int
) -> None:
    usd = {f"id-{number:02}": Decimal(100 + number) for number in range(70)}
    add(store, [costing(str(cost), call_id=name) for name, cost in usd.items()])
    for share in (2, 10):
        usd |= {name: usd[name] // share for name in list(usd)[-priced_anew:] if priced_anew}
        again = [name for name in usd if usd[name] < 100]
        add(store, [costing(str(usd[name]), call_id=name) for name in again])
    add(store, [costing("900", call_id="moved"), costing("900", call_id="unknown")])
    add(store, [costing("800", call_id="moved", feature="other"), unpriced(call_id="unknown")])
    search = Scope({Dimension.FEATURE: ("search",)})

    found = store.dearest_calls(ListedCall, NOVEMBER, search, 10)

    dearest = sorted(usd, key=lambda name: (usd[name], name), reverse=True)[:10]
    assert [(one.call_id, one.cost) for one in found] == [(name, usd[name]) for name in dearest]


def test_all_calls_of_known_cost_are_among_the_dearest_of_a_few(store: Store) -> None:
    add(store, [costing("0", error_type="Timeout", call_id="failed"), unpriced(call_id="unknown")])
    add(store, [costing("2", call_id="two", ts=NOON - HOUR), costing("1", call_id="one")])

    def ids(period: Period, only: Only | None = None) -> list[str]:
        found = store.dearest_calls(FoundCall, period, Scope(), 5, only)
        return [call.call_id for call in found]

    assert ids(NOVEMBER) == ["two", "one", "failed"]
    assert ids(NOVEMBER, Only.ERRORS) == ["failed"]
    assert ids(Period(NOON, NOVEMBER.end)) == ["one", "failed"]


def test_a_list_of_calls_goes_on_where_it_ended_though_all_came_at_once_and_twice(
    store: Store,
) -> None:
    ts = NOON + timedelta(milliseconds=123)
    for _ in range(2):
        add(store, [costing("1", ts=ts, call_id=f"id-{number:02}") for number in range(60)])

    first = store.calls(FoundCall, NOVEMBER, Scope(), 25)
    second = store.calls(FoundCall, NOVEMBER, Scope(), 25, after=first[-1].place)
    third = store.calls(FoundCall, NOVEMBER, Scope(), 25, after=second[-1].place)

    assert [len(page) for page in (first, second, third)] == [25, 25, 10]
    found = [one.call_id for one in (*first, *second, *third)]
    assert found == [f"id-{number:02}" for number in reversed(range(60))]


def test_an_embedded_store_reads_whole_what_an_older_program_wrote(
    store: Store, tmp_path: Path
) -> None:
    add(store, [costing("1", user_id="ada", ts=NOON - 48 * HOUR), costing("2", user_id="bob")])
    store.refresh()
    wanted = store.spend(NOVEMBER, [Dimension.USER])
    store.write_tables(tmp_path)
    (tmp_path / "user_totals_daily.0.native.zst").unlink()
    schema = tmp_path / "migrations.0.native.zst"
    schema.unlink()
    store._connection.command(
        f"insert into function file('{schema}', 'Native') select toUInt32(16) as number"
    )

    empty(store)
    store.read_tables(tmp_path)

    assert store.spend(NOVEMBER, [Dimension.USER]) == wanted
    store.refresh()
    assert store.spend(NOVEMBER, [Dimension.USER]) == wanted


def test_the_parts_of_a_cost_sum_to_it(store: Store) -> None:
    rates = Rates(
        input=Decimal("0.0000025"),
        cached_input=Decimal("0.00000125"),
        cache_write=Decimal("0.000003125"),
        output=Decimal("0.00001"),
    )
    usage = {"cached_input_tokens": 400, "cache_write_tokens": 100}
    # 500 x 2.50 + 400 x 1.25 + 100 x 3.125 + 100 x 10 USD per million
    priced = Priced(status=CostStatus.EXACT, usd=Decimal("0.0030625"), rates=rates)
    add(store, [(call(usage=usage), priced)])
    store.refresh()

    (row,) = store.spend(NOVEMBER)

    parts = (row.cost_input, row.cost_cached_input, row.cost_cache_write, row.cost_output)
    assert parts == (
        Decimal("0.00125"),
        Decimal("0.0005"),
        Decimal("0.0003125"),
        Decimal("0.001"),
    )
    assert sum(parts) == row.cost


def test_the_parts_of_a_cost_beside_text_sum_to_it_too(store: Store) -> None:
    # 1,000 seconds of transcription at 0.006 a minute and two searches at 10 per thousand
    parts = {"input": "0.002", "output": "0.003", "seconds": "0.1", "web_searches": "0.02"}
    components = {name: Decimal(usd) for name, usd in parts.items()}
    priced = Priced(status=CostStatus.EXACT, usd=Decimal("0.125"), components=components)
    usage = {"meters": {"seconds": Decimal(1_000), "web_searches": Decimal(2)}}
    add(store, [(call(usage=usage), priced), costing("1")])

    for _ in range(2):
        (row,) = store.spend(NOVEMBER)
        assert row.cost == Decimal("1.125")
        assert (row.cost_input, row.cost_output) == (Decimal("0.002"), Decimal("0.003"))
        assert row.cost_other == Decimal("1.12")
        store.refresh()


def test_rows_of_many_weeks_go_in_at_once(store: Store) -> None:
    add(store, [costing("1", ts=NOON - timedelta(days=days)) for days in range(0, 390, 2)])

    year = Period(NOON - timedelta(days=395), NOON + HOUR)
    assert store.spend(year)[0].calls == 195


DISTINCT_USERS = """
select uniqCombined64Merge(14)(users)
from taximeter.distinct_users_by_day
where day >= '2026-11-01' and day < '2026-12-01'
"""


def test_users_are_counted_over_days_and_features(store: Store) -> None:
    rows = [
        costing("1", user_id=f"u{number % 300}", ts=NOON - timedelta(days=number % 3))
        for number in range(900)
    ]
    add(store, [*rows, costing("1", feature="chat", user_id="u7"), costing("1", user_id="")])

    before = store._connection.read(DISTINCT_USERS).result_rows[0][0]
    store.refresh()
    store.refresh()
    empty(store, "calls")

    assert before == store._connection.read(DISTINCT_USERS).result_rows[0][0]
    assert before == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize("refreshed", [False, True])
def test_traffic_latency_and_quality_of_a_period(store: Store, refreshed: bool) -> None:
    add(
        store,
        [
            costing("1", duration_ms=1000, ttft_ms=200, ts=NOON),
            costing("0", duration_ms=1000, error_type="RateLimitError", http_status=429, ts=NOON),
            costing("1", duration_ms=1000, ts=NOON - timedelta(days=2)),
            unpriced(duration_ms=1000, tags_altered=2, ts=NOON),
        ],
    )
    if refreshed:
        store.refresh()
        empty(store, "calls")

    around = Period(NOON - timedelta(days=1), NOON + HOUR)
    traffic = store.traffic(around)
    assert (traffic.calls, traffic.errors, traffic.rate_limited) == (3, 1, 1)
    assert (traffic.input_tokens, traffic.cached_input_tokens) == (3000, 0)
    assert traffic.p95_ms == pytest.approx(1000, rel=0.01)
    assert traffic.median_ttft_ms == pytest.approx(200, rel=0.01)
    assert store.p95_ms_by_feature(around) == {"search": pytest.approx(1000, rel=0.01)}
    quality = store.quality(around)
    assert (quality.calls, quality.altered_calls) == (3, 1)
    assert quality.unpriced_calls == {unpriced()[1].reason: 1}


def test_a_percentile_is_at_most_1_6_percent_off(store: Store) -> None:
    durations = [int(10 * 1.05**number) for number in range(250)] + [2**32 - 1]
    rows = [
        costing("1", feature=str(duration), duration_ms=duration, ttft_ms=duration, ts=NOON)
        for duration in durations
    ]
    add(store, rows)

    found = store.p95_ms_by_feature(Period(NOON - HOUR, NOON + HOUR))

    usual, longest = durations[:-1], durations[-1]
    assert {str(one): found[str(one)] for one in usual} == {
        str(one): pytest.approx(one, rel=0.016) for one in usual
    }
    assert found[str(longest)] > 3_600_000_000


def test_an_empty_store_knows_that_it_is_empty(store: Store) -> None:
    assert store.last_call_at() is None
    assert store.traffic(NOVEMBER).p95_ms is None
    assert store.spend(NOVEMBER)[0].cost == 0


def test_an_answer_begins_where_it_begins_though_the_one_before_failed_half_way(
    store: Store,
) -> None:
    failing = "select throwIf(number = 3000000) from system.numbers limit 10000000"
    for _ in range(READERS):
        with pytest.raises(StoreError, match="throwIf"):
            store._connection.read(failing)
    for _ in range(READERS):
        assert store._connection.read("select 42").result_rows == [(42,)]


def test_an_answer_begins_where_it_begins_though_the_one_before_was_not_read_whole(
    store: Store,
) -> None:
    for _ in range(READERS):
        many = "select number from system.numbers limit 10000000"
        with suppress(OSError), store._connection.stream(many, {}, "CSV", {}) as lines:
            assert lines.read(2) == b"0\n"
            raise OSError("no space left")
    for _ in range(READERS):
        assert store._connection.read("select 42").result_rows == [(42,)]


def test_who_finds_all_readers_busy_is_told_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taximeter_collector.store.connection.WAIT_S", 0.1)
    with ExitStack() as busy:
        for _ in range(READERS):
            busy.enter_context(store._connection._readers.lent())
        with pytest.raises(StoreUnavailable, match="all 2 readers of the store are busy"):
            store.spend(NOVEMBER)
    assert store.spend(NOVEMBER)[0].calls == 0


def test_what_is_told_after_a_restart_is_newer_though_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    script = """
import sys, time
from builders import NOON, costing
from taximeter_collector.store import Dimension, Period, Store
if sys.argv[2] == "later":
    time.time_ns = lambda: 1
store = Store(sys.argv[1])
row = costing("1", call_id="one", feature=sys.argv[2])
store.add([row], token=sys.argv[2], book_version="b", now=NOON)
store.refresh()
period = Period(NOON.replace(day=1, hour=0), NOON.replace(day=30))
print(*(row.key[0] for row in store.spend(period, [Dimension.FEATURE])))
store.close()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", script, f"chdb://{tmp_path / 'store'}", feature],
            env=environment,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for feature in ("first", "later")
    ]

    assert said == ["first\n", "later\n"]


def test_an_embedded_store_tells_moments_in_utc_wherever_the_machine_is(tmp_path: Path) -> None:
    script = """
import sys
from builders import NOON, costing
from taximeter_collector.store import Dimension, Period, Scope, Store
from taximeter_collector.store.lookup import FoundCall
store = Store(sys.argv[1])
period = Period(NOON.replace(day=1, hour=0), NOON.replace(day=30))
store.add([costing("1")], token="t", book_version="b", now=NOON)
print(store.spend(period, [Dimension.HOUR])[0].at == store.first_hour() == NOON)
print(store.refresh(), store.spend(period, [Dimension.HOUR])[0].at == NOON)
print(*(call.ts == NOON for call in store.calls(FoundCall, period, Scope(), limit=9)))
store.close()
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "TZ": "Asia/Kolkata"}
    said = subprocess.run(
        [sys.executable, "-c", script, f"chdb://{tmp_path / 'store'}"],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    ).stdout.decode()

    assert said == "True\n1 True\nTrue\n"


def test_a_store_of_a_newer_program_is_refused(store: Store) -> None:
    connection = store._connection
    connection.insert("migrations", {"number": [999]}, database=connection.shard_database)
    try:
        with pytest.raises(StoreError, match=r"schema 999.*upgrade Taximeter"):
            migrate(connection)
    finally:
        connection.alter("migrations", "delete where number = 999")


def test_an_embedded_store_is_made_without_waiting_for_pandas(tmp_path: Path) -> None:
    script = """
import sys
from taximeter_collector.store import Store
Store(sys.argv[1]).close()
print("pandas" in sys.modules)
"""
    made = subprocess.run(
        [sys.executable, "-c", script, f"chdb://{tmp_path / 'store'}"],
        capture_output=True,
        check=True,
    )

    assert made.stdout == b"False\n"


def test_a_second_process_on_an_embedded_store_is_refused(store: Store) -> None:
    script = "import sys; from taximeter_collector.store import Store; Store(sys.argv[1])"

    second = subprocess.run(
        [sys.executable, "-c", script, store.url], capture_output=True, text=True, check=False
    )

    assert second.returncode == 1
    assert f"another process has the store {urlsplit(store.url).path} open" in second.stderr


def test_a_server_that_does_not_answer_is_named_and_may_answer_later() -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9"):
        Store("clickhouse://default@127.0.0.1:9")
