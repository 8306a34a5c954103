"""What the engine decodes and prices by itself is what Python would have made of it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from builders import NOON
from spans import request, span
from taximeter_collector import otlp
from taximeter_collector.calls import Call, Priced
from taximeter_collector.envelope import envelopes, write_spans
from taximeter_collector.otlp import Envelope
from taximeter_collector.prices import PriceBook, shipped_text
from taximeter_collector.prices.overrides import parse_overrides
from taximeter_collector.store import Dimension, Period, Scope, Store
from taximeter_collector.store.columns import as_stored
from taximeter_collector.store.repricing import rows_of
from taximeter_collector.writer import _rates

WINDOW = otlp.Window.at(NOON, timedelta(days=400))
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
BOOK = PriceBook(
    shipped_text(),
    parse_overrides(
        "hosts: {llm.internal: openai}\ndiscounts: [{percent: 7.5, model: 'gpt-4.1*'}]",
        "prices.yaml",
    ),
)
PLAIN: dict[str, Any] = {"taximeter.usage.source": "reported", "http.response.status_code": 200}


@pytest.fixture(params=["embedded", "server"])
def store_of_any_kind(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "embedded":
        yield request.getfixturevalue("store")
    else:
        store = Store(request.getfixturevalue("clickhouse")[1])
        yield store
        store.close()


def in_envelopes(*spans: Span, **resource: Any) -> list[Envelope]:
    message = request(*spans, scope="taximeter", resource=resource or None)
    return list(envelopes(message.SerializeToString(), WINDOW))


def taken(store: Store, spans: Sequence[Envelope], folder: Path) -> list[int]:
    path = folder / "test.spans"
    with path.open("wb") as file:
        write_spans(file, spans)
    left: list[int] = store.stage_spans(path, WINDOW, lambda key: _rates(BOOK, key))
    if len(left) < len(spans):
        token = f"incoming-{random.random()}"
        store.add_staged(token=token, book_version=BOOK.version, now=NOON)
    return left


def stored(store: Store) -> dict[str, tuple[Call, Priced]]:
    return {
        call.call_id: (call, priced)
        for part in store.repricing_spans(NOVEMBER, Scope())
        for call, priced in rows_of(store._connection, part, NOVEMBER, Scope())[0]
    }


def by_python(one: Envelope) -> tuple[Call, Priced]:
    call = otlp.call_of(one)
    assert call is not None
    return call, as_stored(BOOK.priced(call))


def test_a_plain_call_is_the_engines(store_of_any_kind: Store, tmp_path: Path) -> None:
    store = store_of_any_kind
    spans = in_envelopes(
        span({**PLAIN, "gen_ai.usage.cache_read.input_tokens": 400}),
        **{"service.name": "webapp", "deployment.environment.name": "prod"},
    )

    assert taken(store, spans, tmp_path) == []

    (found,) = stored(store).values()
    assert found == by_python(spans[0])
    # 600 x 2.50 + 400 x 1.25 + 100 x 10
    assert found[1].usd == Decimal("0.003")
    for _ in range(2):
        total = store.spend(NOVEMBER)[0]
        assert (total.cost, total.cost_cached_input) == (Decimal("0.003"), Decimal("0.0005"))
        store.refresh()


@pytest.mark.parametrize(
    "attributes",
    [
        {"taximeter.usage.source": "lost"},
        {"taximeter.usage.source": "estimated"},
        {"taximeter.usage.source": None},
        {"taximeter.feature": "naïve"},
        {"taximeter.feature": "a'b"},
        {"taximeter.feature": "x" * 300},
        {"user.id": 4711},
        {"user.id": 0},
        {"user.id": 0.5},
        {"taximeter.team": False},
        {"server.address": 7},
        {"taximeter.meter.web_searches": 1.0},
        {"taximeter.tag.tenant": "acme"},
        {"taximeter.attempt.statuses": [200, -1]},
        {"taximeter.attempt.statuses": [200, 2.0]},
        {"taximeter.attempt.waits": [0.0, 70_000.0]},
        {"taximeter.attempt.waits": ["soon"]},
        {"gen_ai.usage.audio.input_tokens": 5},
        {"gen_ai.usage.input_tokens": -1},
        {"gen_ai.usage.input_tokens": 2**33},
        {"gen_ai.usage.input_tokens": "7"},
        {"gen_ai.usage.input_tokens": 7.5},
        {"gen_ai.usage.cache_read.input_tokens": 1_001},
        {"gen_ai.usage.reasoning.output_tokens": 101},
        {"http.response.status_code": 429},
        {"gen_ai.response.model": ""},
        {"gen_ai.response.model": "mystery-1"},
        {"gen_ai.response.model": "omni-moderation-latest"},
        {"gen_ai.response.model": "gpt-4o-search-preview-2025-03-11"},
        {"gen_ai.response.model": "gpt-realtime", "gen_ai.usage.audio.input_tokens": 1},
        {"server.address": "vllm.internal"},
        {"gen_ai.provider.name": "azure.ai.openai", "server.address": "x.openai.azure.com"},
        {"openai.response.service_tier": "scale"},
        {"gen_ai.response.time_to_first_chunk": -1.0},
        {"gen_ai.response.finish_reasons": ["stop", "'"]},
        {"gen_ai.response.finish_reasons": ["stop", 7]},
        {"gen_ai.operation.name": ""},
    ],
    ids=str,
)
def test_what_needs_another_rule_is_left_to_python(
    store: Store, tmp_path: Path, attributes: dict[str, Any]
) -> None:
    spans = in_envelopes(span(PLAIN), span({**PLAIN, "gen_ai.response.id": "x", **attributes}))

    assert taken(store, spans, tmp_path) == [1]
    assert len(stored(store)) == 1


def test_a_span_outside_the_accepted_time_or_without_an_id_is_left(
    store: Store, tmp_path: Path
) -> None:
    late = span(PLAIN, start=NOON + timedelta(hours=2))
    nameless = span(PLAIN)
    nameless.span_id = b""
    doubled = span(PLAIN)
    doubled.attributes.append(doubled.attributes[0])

    assert taken(store, in_envelopes(late, nameless, doubled), tmp_path) == [0, 1, 2]


def test_thousands_of_calls_of_any_sort_come_out_the_same(
    store_of_any_kind: Store, tmp_path: Path
) -> None:
    store = store_of_any_kind
    dice = random.Random(11)
    spans = in_envelopes(*(some_span(dice, number) for number in range(4_000)))

    left = taken(store, spans, tmp_path)

    found = stored(store)
    mine = {number: by_python(one) for number, one in enumerate(spans) if number not in set(left)}
    assert len(found) == len(mine) > 2_000
    for call, priced in mine.values():
        assert found[call.call_id] == (call, priced)


def test_the_embedded_engine_leaves_nothing_where_the_service_was_started(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from test_incoming import PLAIN, in_envelopes, span, taken
from taximeter_collector.store import Store
store = Store(f"chdb://{sys.argv[1]}/store")
print(taken(store, in_envelopes(span(PLAIN)), Path(sys.argv[1])))
store.close()
"""
    here = Path(__file__).parent
    started_in = tmp_path / "empty"
    started_in.mkdir()
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
        cwd=started_in,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "[]\n"
    assert list(started_in.iterdir()) == []


def test_a_writer_whose_tables_are_gone_makes_them_anew(
    store_of_any_kind: Store, tmp_path: Path
) -> None:
    store = store_of_any_kind
    for number in range(2):
        spans = in_envelopes(span({**PLAIN, "gen_ai.response.id": f"chatcmpl-{number}"}))
        assert taken(store, spans, tmp_path) == []
        store._staging.close()

    assert len(stored(store)) == 2


def test_a_call_that_comes_twice_in_a_segment_counts_once(
    store_of_any_kind: Store, tmp_path: Path
) -> None:
    store = store_of_any_kind
    once = {**PLAIN, "gen_ai.response.id": "chatcmpl-once"}
    spans = in_envelopes(span(once), span({**once, "taximeter.feature": "later"}))

    assert taken(store, spans, tmp_path) == []

    for _ in range(2):
        # Either may stand.
        (row,) = store.spend(NOVEMBER, [Dimension.FEATURE])
        assert row.calls == 1
        store.refresh()


def some_span(dice: random.Random, number: int) -> Span:
    def maybe(value: Any, chance: float = 0.5) -> Any:
        return value if dice.random() < chance else None

    read = dice.choice([0, 1, 1_000, 272_000, 272_001, 999_999])
    cached = dice.randrange(read + 1)
    answered = dice.randrange(50_000)
    one = span(
        {
            **PLAIN,
            "gen_ai.operation.name": dice.choice(["chat", "text_completion", "embeddings"]),
            "gen_ai.request.model": dice.choice(["gpt-5", "gpt-4o"]),
            "gen_ai.response.model": maybe(dice.choice(MODELS), 0.9),
            "gen_ai.response.id": maybe(f"chatcmpl-{number}", 0.8),
            "server.address": dice.choice(
                ["api.openai.com", "eu.api.openai.com", "llm.internal", None]
            ),
            "server.port": maybe(dice.choice([443, 70_000])),
            "openai.response.service_tier": maybe(
                dice.choice(["default", "priority", "flex", "fast"])
            ),
            "openai.request.service_tier": maybe("auto"),
            "taximeter.batch": maybe(dice.random() < 0.2),
            "taximeter.feature": maybe(f"feature {number % 7}/x@y"),
            "user.id": maybe(f"u{number % 50}"),
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.cache_read.input_tokens": maybe(cached),
            "gen_ai.usage.cache_write.input_tokens": maybe((read - cached) // 2),
            "gen_ai.usage.output_tokens": maybe(answered, 0.9),
            "gen_ai.usage.reasoning.output_tokens": maybe(min(answered, 9)) if answered else None,
            "gen_ai.request.stream": maybe(True),
            "gen_ai.request.max_tokens": maybe(dice.choice([0, 1_000, -1])),
            "taximeter.request.timeout_set": maybe(dice.random() < 0.5),
            "taximeter.attempts": maybe(dice.choice([1, 3, 256])),
            "gen_ai.response.time_to_first_chunk": maybe(dice.random() * 10),
            "gen_ai.response.finish_reasons": maybe(["tool_calls", "stop", "stop"]),
            "http.response.status_code": maybe(200, 0.9),
            "taximeter.attempt.statuses": maybe([429, 500, 200][-dice.randrange(1, 4) :]),
            "taximeter.attempt.waits": maybe([0.0, dice.random() * 3, 2]),
            "some.other.attribute": maybe("whatever"),
        },
        start=NOON - timedelta(seconds=dice.randrange(10**6)),
        milliseconds=dice.randrange(10**5),
        span_id=number + 1,
    )
    one.start_time_unix_nano += dice.randrange(10**9)
    one.end_time_unix_nano += dice.randrange(10**9)
    if dice.random() < 0.5:
        one.parent_span_id = dice.randbytes(8)
    return one


HOSTS = ["api.openai.com", "eu.api.openai.com", "llm.internal", None]
TIERS = ["default", "priority", "flex", "fast"]
MODELS = [
    "gpt-5-2025-08-07",
    "gpt-4o-2024-05-13",
    "gpt-4.1-mini-2025-04-14",
    "gpt-5.4",
    "gpt-6-sol",
    "o3",
    "text-embedding-3-small",
    "mystery-1",
    "gpt-5.5-pro",
]
