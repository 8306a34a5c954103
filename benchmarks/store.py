"""The store at CALLS calls: bytes a call, how long questions take and pages, warm; loopback only.

The calls are made by the engine itself: 90 days, 40 features, 8 teams, 200,000 users, ids as random
as the real ones, the newest two hours still open.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pages import pages

from taximeter_collector.store import Dimension, Period, Retention, Scope, Store
from taximeter_collector.store.lookup import Clue, FoundCall

CALLS = int(os.environ.get("CALLS", "10000000"))
DAYS = 90
ROUNDS = 9
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = NOW - timedelta(days=DAYS)

FILL = """
insert into taximeter.calls (
    ts, call_id, revision, ingested_at, trace_id, span_id, parent_span_id, request_id, environment,
    service, feature, team, user_id, prompt_name, prompt_version, api_key_id, provider, operation,
    endpoint, server_address, model, request_model, service_tier, stream, finish_reason, error_type,
    http_status, attempts, attempt_statuses, attempt_waits_ms, remaining_requests,
    remaining_tokens, max_output_tokens, timeout_set, duration_ms, ttft_ms, usage_source,
    input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, tags, rate_card,
    book_version, price_input, price_cached_input, price_cache_write, price_output, cost,
    cost_status)
with
    ['gpt-5-2025-08-07', 'gpt-5-mini-2025-08-07', 'gpt-4o-2024-08-06', 'gpt-4.1-2025-04-14',
     'o4-mini-2025-04-16'] as models,
    [1.25, 0.25, 2.5, 2.0, 1.1] as input_rates,
    toUInt8(floor(40 * pow(randCanonical(1), 2))) as feature_number,
    1 + (feature_number + (rand(2) % 4 = 0)) % 5 as model_number,
    exp(randNormal(6.5, 1, 3)) as size,
    rand(4) % 100 < 2 as failed,
    rand(5) % 3 = 0 as streamed,
    toDecimal64(toString(input_rates[model_number] / 1000000), 12) as rate
select
    {start:DateTime64(3, 'UTC')}
        + toIntervalMillisecond(intDiv(toInt64({span_ms:Int64}) * number, {rows:UInt64})) as ts,
    concat('chatcmpl-', substring(base58Encode(randomFixedString(24)), 1, 29)) as call_id,
    1 as revision,
    toStartOfSecond(ts) + toIntervalMillisecond(2000) as ingested_at,
    lower(hex(sipHash128(intDiv(number * 5, 8), {start:DateTime64(3, 'UTC')}))) as trace_id,
    lower(hex(randomFixedString(8))) as span_id,
    if(rand(7) % 10 < 7, lower(hex(rand64(8))), '') as parent_span_id,
    concat('req_', lower(hex(randomFixedString(16)))) as request_id,
    if(rand(9) % 10 = 0, 'staging', 'production') as environment,
    concat('service-', toString(feature_number % 6)) as service,
    concat('feature-', toString(feature_number)) as feature,
    concat('team-', toString(feature_number % 8)) as team,
    concat('user-', toString(toUInt32(floor(200000 * pow(randCanonical(10), 3))))) as user_id,
    concat('prompt-', toString(feature_number)) as prompt_name,
    concat('v', toString(1 + intDiv(toUnixTimestamp(ts), 2600000) % 3)) as prompt_version,
    concat('key-', toString(feature_number % 8)) as api_key_id,
    'openai' as provider,
    'chat' as operation,
    'chat.completions' as endpoint,
    'api.openai.com' as server_address,
    models[model_number] as model,
    extract(model, '^(.*)-[0-9]+-[0-9]+-[0-9]+$') as request_model,
    'default' as service_tier,
    streamed as stream,
    if(failed, '', if(rand(11) % 20 = 0, 'length', 'stop')) as finish_reason,
    if(failed, 'RateLimitError', '') as error_type,
    if(failed, 429, 200) as http_status,
    if(rand(12) % 50 = 0, 2, 1) as attempts,
    if(attempts = 2, [429, http_status], [http_status]) as attempt_statuses,
    if(attempts = 2, [0, 500 + rand(13) % 1000], [0]) as attempt_waits_ms,
    9000 + rand(14) % 1000 as remaining_requests,
    1000000 + rand(15) % 1000000 as remaining_tokens,
    if(feature_number % 3 = 0, null, 1024) as max_output_tokens,
    feature_number % 2 = 0 as timeout_set,
    toUInt32(exp(randNormal(7, 0.7, 16))) as duration_ms,
    if(streamed, toUInt32(exp(randNormal(6, 0.5, 17))), null) as ttft_ms,
    if(failed, 'none', 'reported') as usage_source,
    if(failed, 0, toUInt32(least(size, 100000))) as input_tokens,
    if(rand(18) % 3 = 0, intDiv(input_tokens, 128) * 64, 0) as cached_input_tokens,
    if(failed, 0, toUInt32(exp(randNormal(5, 1, 19)))) as output_tokens,
    if(model_number in (1, 2, 5), intDiv(output_tokens, 2), 0) as reasoning_tokens,
    map('tenant', concat('tenant-', toString(cityHash64(user_id) % 300))) as tags,
    concat(model, '/default') as rate_card,
    'book-1' as book_version,
    rate as price_input,
    rate / 10 as price_cached_input,
    rate as price_cache_write,
    rate * 8 as price_output,
    if(failed, toDecimal64(0, 12), (input_tokens - cached_input_tokens) * price_input
        + cached_input_tokens * price_cached_input + output_tokens * price_output) as cost,
    if(failed, 'free', 'exact') as cost_status
from numbers({rows:UInt64})
"""

SIZES = """
select table, sum(data_compressed_bytes), sum(rows)
from system.parts
where database = 'taximeter' and active
group by table
order by table
"""

COLUMNS = """
select name, data_compressed_bytes
from system.columns
where database = 'taximeter' and table = 'calls'
order by data_compressed_bytes desc
"""


SOME_CALLS = """
select call_id, trace_id, request_id
from taximeter.calls
where ts > now() - interval 10 day and ts < now() - interval 9 day
limit {rows:UInt32}
"""


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("FOLDER")) as folder:
        store = Store(f"chdb://{folder}/store")
        try:
            fill(store)
            sizes(store)
            weeks = len(store.clear_old_ids(Retention(), datetime.now(UTC)))
            print(f"  and without the ids of {weeks} old weeks:")
            sizes(store)
            questions(store)
        finally:
            store.close()
        pages(Path(folder))


def fill(store: Store) -> None:
    began = time.perf_counter()
    for day in (START + timedelta(days=number) for number in range(DAYS)):
        store._connection.command(
            FILL, {"start": day, "span_ms": 86_400_000, "rows": CALLS // DAYS}
        )
        hours = [day + timedelta(hours=hour) for hour in range(25)]
        with store._changing(hours):
            pass
    print(f"{CALLS:,} calls made in {time.perf_counter() - began:.0f} s")
    store._connection.command("optimize table taximeter.calls final")
    began = time.perf_counter()
    hours = 0
    while (changed := store.refresh()) or open_days(store) > 1:
        hours += changed
    took = time.perf_counter() - began
    print(f"rollups of {hours:,} hours in {took:.0f} s, {took / hours * 1000:.0f} ms an hour")
    with store._changing([NOW - timedelta(hours=1), NOW - timedelta(hours=2)]):
        pass


def open_days(store: Store) -> int:
    """Return how many days have users that are still summed from the calls; today always does."""
    sql = "select count() from taximeter.open_user_days"
    return int(store._connection.read(sql).result_rows[0][0])


def sizes(store: Store) -> None:
    for table, size, rows in store._connection.read(SIZES).result_rows:
        print(f"  {table:24}{size / CALLS:8.1f} bytes a call {rows:12,} rows")
    for name, size in store._connection.read(COLUMNS).result_rows[:12]:
        print(f"    {name:22}{size / CALLS:8.1f} bytes a call")


def questions(store: Store) -> None:
    month = Period(NOW.replace(hour=0) - timedelta(days=29), NOW)
    ninety = Period(START.replace(hour=0) + timedelta(days=1), NOW.replace(hour=0))
    week = Period(NOW - timedelta(days=7), NOW)
    budgets = {
        f"budget {number}": Scope(
            {
                Dimension.FEATURE: (f"feature-{number % 40}",),
                Dimension.TEAM: (f"team-{number % 8}",),
            }
        )
        for number in range(1_000)
    }
    asked: dict[str, Callable[[], Any]] = {
        "cost a day by feature, 90 days": lambda: store.spend(
            ninety, [Dimension.DAY, Dimension.FEATURE]
        ),
        "cost an hour by model, 7 days": lambda: store.spend(
            week, [Dimension.HOUR, Dimension.MODEL]
        ),
        "the last 30 days": lambda: store.spend(month),
        "1,000 budgets, 30 days": lambda: store.spent(month, budgets),
        "dearest users, 30 days": lambda: store.spend(month, [Dimension.USER], limit=20),
        "p95 by feature, 90 days": lambda: store.p95_ms_by_feature(ninety),
        "quality, 90 days": lambda: store.quality(ninety),
        "traffic, 24 hours": lambda: store.traffic(Period(NOW - timedelta(days=1), NOW)),
    }
    for name, ask in asked.items():
        print_time(name, [ask] * (ROUNDS + 1))
    # Each time another one: the engine remembers where it found what was asked before.
    calls = store._connection.read(SOME_CALLS, {"rows": ROUNDS + 1}).result_rows
    for place, clue in enumerate((Clue.RESPONSE_ID, Clue.TRACE_ID, Clue.REQUEST_ID)):
        finds = [partial(store.find, FoundCall, clue, ids[place], 100) for ids in calls]
        print_time(f"a call by its {clue.outside_name}", finds)
    for first in (0, 1_000, 150_000):
        names = [f"user-{number}" for number in range(first, first + ROUNDS + 1)]
        finds = [partial(store.find, FoundCall, Clue.USER, name, 100) for name in names]
        print_time(f"the newest 100 calls of {names[0]} to {ROUNDS}", finds)


def print_time(name: str, asks: Sequence[Callable[[], Any]]) -> None:
    """Print the median time of all but the first."""
    took = []
    for ask in asks:
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    print(f"{name:40}{statistics.median(took[1:]):8.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
