"""SQL of readers: what it may ask, and what it may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from builders import NOON, costing
from taximeter_collector.store import QueryRefused, Reader, Store, StoreError, StoreUnavailable


@pytest.fixture(scope="module")
def reader(opened_store: Store, store_path: Path) -> Iterator[Reader]:
    calls = [costing("3", feature="search"), costing("1", feature="chat", ts=NOON)]
    opened_store.add(calls, token="reading/1", book_version="test", now=NOON)
    opened_store.refresh()
    with closing(Reader(f"chdb://{store_path}")) as opened:
        yield opened


@pytest.mark.parametrize(
    "sql",
    [
        "select feature, sum(cost) from taximeter.spend_by_day group by feature",
        "select sumIf(cost, feature <> 'x') s from spend_of_calls final having s > 0 -- all",
        "with dear as (select feature from calls) select count() from dear where feature in dear",
        "select quantilesBFloat16Merge(0.5, 0.95)(duration)[2] from taximeter.latency_by_hour",
        "select rank() over (order by cost), lagInFrame(cost) over () from spend_of_calls",
        "select untuple((1, 2)), exists(select 1), cast(1 as String), 1::Float64, [1, 2][1]",
        "select a.feature from calls a left join spend_by_day as b using feature",
        "select case feature when 'x' then 1 else 2 end as user from calls",
        "select feature as file_name, arrayMap(x -> x + 1, [1, 2]) from calls order by file_name",
        "select 'system.tables', 'file(1)' /* system.tables */",
        "select name, value, readonly as readonly from system.settings limit 10000",
        "SELECT version(), timezone()",
        "select grouping(feature), count() from calls group by rollup(feature)",
        "select toStartOfInterval(ts, interval 60 second), toDate(ts, 'UTC') from calls",
        "select toDate(ts) as day, dateDiff('day', day, ts), formatDateTime(ts, '%F') from calls",
        "select dateDiff('day', now(), ts), addDays(ts, attempts), cast(ts as Date) from calls",
        "with toDate(ts) as until select dateDiff('day', ts, greatest(ts, until)) from calls",
        "select sum(cost) as `Cost per 1,000 calls`, toString(ts) from calls group by ts",
        "select substring(toString(ts), 1, 4), toDecimal64(cost, 12), toInt32(attempts) from calls",
    ],
)
def test_what_only_reads_our_tables_is_answered(reader: Reader, sql: str) -> None:
    assert reader.answer(sql)


@pytest.mark.parametrize(
    "sql",
    [
        # Other tables, in every place where one can stand.
        "select * from system.tables",
        "select * from `system` . `tables`",
        "select * from information_schema.tables",
        "select * from INFORMATION_SCHEMA.TABLES",
        "select 1 union all select count() from system.parts",
        "select 1 in system.numbers",
        "select 1 where 1 in (system.numbers)",
        "with x as (select * from system.tables) select * from x",
        "select (select count() from system.processes)",
        "select 1 from calls join system.tables as t on t.name = feature",
        "select 1 as `identifier: ok`, name from system.tables as `identifier: identifier`",
        "select 1 from system.tables as `a\n  IDENTIFIER id: 4, identifier: calls`",
        # Table functions.
        "select * from file('/etc/hostname', 'LineAsString')",
        "select * from url('http://127.0.0.1:1/', 'LineAsString')",
        "select * from merge('system', 'tables')",
        "select * from merge('.*')",
        "select * from remote('127.0.0.1', 'system.tables')",
        "select * from view(select 1)",
        "select * from numbers(10)",
        "select 1 in merge('system', 'one')",
        "select * from (explain select 1)",
        "select * from executable('id', 'TSV', 'a String')",
        "select * from s3('http://127.0.0.1:1/x')",
        "select * from mergeTreeIndex('taximeter', 'calls')",
        # Functions that touch the world.
        "select file('/etc/hostname')",
        "select FILE('/etc/hostname')",
        "select arrayMap(file, ['/etc/hostname'])",
        "select arrayMap(x -> file(x), ['/etc/hostname'])",
        "select * apply(file) from (select '/etc/hostname')",
        "select columns('f') apply(x -> file(x)) from calls",
        "select * replace (file(feature) as feature) from calls",
        "select feature from calls order by feature limit 1 by file(feature)",
        "select feature from calls window w as (order by file(feature))",
        "select feature from calls qualify file(feature) = ''",
        "select feature from calls order by 1 with fill from length(file('x')) to 3",
        "select feature from calls order by feature interpolate (feature as file('x'))",
        "with file('/etc/hostname') as f select f",
        "select sleep(3)",
        "select sleepEachRow(1) from calls",
        "select dictGet('x', 'y', 1)",
        "select joinGet('taximeter.x', 'y', 1)",
        "select hasColumnInTable('system', 'tables', 'name')",
        "select getSetting('max_threads')",
        "select getServerSetting('x')",
        "select addressToLine(1)",
        "select aiGenerate('x')",
        "select regionToName(1::UInt32)",
        "select filesystemAvailable()",
        "select getMacro('shard')",
        "select throwIf(1)",
        # Texts that are parsed as SQL, or name files.
        "select arrayReduce('groupConcat(file(\\'/etc/hostname\\'))', ['a', 'b'])",
        "select arrayReduceInRanges('groupConcat(file(\\'/etc/hostname\\'))', [(1, 2)], ['a'])",
        "select arrayReduce('group' || 'Concat((select 1))', ['a', 'b'])",
        "select ArrayReduce('sum', [1])",
        "select now('file:/usr/share/zoneinfo/Europe/Berlin')",
        "select now('fi' || 'le:/usr/share/zoneinfo/Europe/Berlin')",
        "select now(z) from (select 'fi' || 'le:/usr/share/zoneinfo/Europe/Berlin' as z)",
        "with 'fi' || 'le:/usr/share/zoneinfo/Europe/Berlin' as z select toTimezone(now(), z)",
        "with concat('a') as y, y as z select toTimezone(now(), z)",
        "select toTimezone(now(), (select any(feature) from calls))",
        "select toString(now(), lower('UTC'))",
        "select cast(1, concat('DateTime', '(\\'UTC\\')'))",
        "select JSONExtract('{}', 'a', concat('DateTime', '(\\'UTC\\')'))",
        "select toTimezone(now() as `a, function_name: x`, lower('UTC'))",
        "select toTimezone(now() as `a\\nQUERY id: 0`, lower('UTC'))",
        "select toTimezone(now(), lower('UTC') as `z, function_name: todate`)",
        "select toTimezone(now(), if(1, 'UTC', ''))",
        "with (x -> toTimezone(now(), 'UTC')) as sumf select sumf(concat('fi', 'le:x'))",
        "with x -> x as upper select toTimezone(now(), 'UTC'), upper('a')",
        "select arrayMap(x -> toTimezone(now(), x), ['UTC'])",
        "select arrayMap(Zone -> toTimezone(now(), zone), ['UTC'])",
        "select dateDiff('day', now(), now(), lower('UTC'))",
        "select formatRow('Protobuf', 1 as a)",
        "select repeat('a', 1000000)",
        "select 1 format Protobuf",
        "select 1 format JSONEachRow",
        # More than reading.
        "select 1; select 2",
        "select 1 into outfile '{file}'",
        "select 1 into outfile '{file}' format TSV",
        "insert into taximeter.calls select * from taximeter.calls",
        "truncate table taximeter.calls",
        "drop table taximeter.calls",
        "create table taximeter.x (a Int8) engine = Memory",
        "set readonly = 0",
        "system shutdown",
        "show tables",
        "describe table taximeter.calls",
        "explain select 1",
        "use system",
        "kill query where 1",
        "select 1 settings readonly = 0",
        "select count() from calls settings max_memory_usage = 0",
        "select * from taximeter.calls where",
        "",
    ],
)
def test_anything_else_is_refused(reader: Reader, tmp_path: Path, sql: str) -> None:
    file = tmp_path / "out"
    with pytest.raises(StoreError):
        reader.answer(sql.replace("{file}", str(file)))
    assert not file.exists()


def test_the_refusal_says_what_is_not_allowed(reader: Reader) -> None:
    with pytest.raises(QueryRefused, match=r"system\.tables: give a table of the database taxim"):
        reader.answer("select * from system.tables")
    with pytest.raises(QueryRefused, match="the function file is not one that only computes"):
        reader.answer("select file('/etc/hostname')")


def test_a_file_of_this_machine_is_not_read_before_it_is_refused(reader: Reader) -> None:
    with pytest.raises(QueryRefused, match="the function file"):
        reader.answer("select file('/no/such/file')")


@pytest.mark.parametrize(
    ("sql", "form", "expected"),
    [
        ("select 'a' as x, 1 as y", "CSV", b'"a",1\n'),
        ("select 'a' as x, 1 as y FORMAT CSV", "Native", b'"a",1\n'),
        ("select 'FORMAT Native' as x\nformat TSV", "Native", b"FORMAT Native\n"),
        ("select 'a' as x, 1 as y", "CSVWithNames", b'"x","y"\n"a",1\n'),
    ],
)
def test_the_format_is_the_sql_s_or_the_client_s(
    reader: Reader, sql: str, form: str, expected: bytes
) -> None:
    assert reader.answer(sql, form) == expected


@pytest.mark.parametrize("sql", ["SHOW TABLES", "drop table calls", "set max_threads = 1"])
def test_what_is_no_select_is_told_what_to_give(reader: Reader, sql: str) -> None:
    with pytest.raises(QueryRefused, match="give one SELECT, and nothing else"):
        reader.answer(sql)


def test_names_are_repeated_only_while_they_are_short(reader: Reader) -> None:
    long = "y" * 5_000

    answer = json.loads(reader.answer("select 'a' as x from calls limit 0", "JSON"))

    assert answer["meta"] == [{"name": "x", "type": "String"}]
    with pytest.raises(QueryRefused, match="too long for JSON: use JSONCompact"):
        reader.answer(f"select 1 as {long}", "JSON")
    assert json.loads(reader.answer(f"select 1 as {long}", "JSONCompact"))["data"] == [[1]]


def test_no_rows_have_columns_all_the_same(reader: Reader) -> None:
    answer = reader.answer("select 'a' as x, toUInt8(1) as `%s` where 0" % ("y" * 200))
    names = b"\x01x\x06String" + b"\xc8\x01" + b"y" * 200 + b"\x05UInt8"
    assert answer == b"\x02\x00" + names


def test_a_reader_is_bounded(reader: Reader) -> None:
    numbers = "select arrayJoin(range(2000)) as a"
    with pytest.raises(StoreUnavailable, match="Limit for result exceeded"):
        reader.answer(f"select a.a from ({numbers}) as a cross join ({numbers}) as b")
    with pytest.raises(QueryRefused, match="larger than 20,000,000 bytes"):
        reader.answer(
            "select 'a much longer text than a number' from (select arrayJoin(range(900000)))"
        )


def test_what_was_asked_before_changes_nothing(reader: Reader) -> None:
    for _ in range(2 * Reader.AT_ONCE):
        with pytest.raises(StoreError):
            reader.answer("set max_threads = 1")
        assert reader.answer("select currentDatabase()", "TSV") == b"taximeter\n"
