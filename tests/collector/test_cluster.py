"""The schema of a cluster; what it answers is tested by the tests of the store with `--cluster`."""

from __future__ import annotations

import re

import pytest

from taximeter_collector.store import Store, StoreError
from taximeter_collector.store.cluster import SHARD_KEYS, of_shards
from taximeter_collector.store.schema import MIGRATIONS_TABLE, _migrations, statements

EVERY = [
    MIGRATIONS_TABLE,
    *(one for *_, script in sorted(_migrations()) for one in statements(script)),
]
REPLICATED = re.compile(
    r"ENGINE = Replicated(Replacing|Aggregating)?MergeTree\("
    r"'/clickhouse/tables/\{shard\}/taximeter/(\w+)', '\{replica\}'(, \w+)?\)"
)


@pytest.mark.parametrize("statement", EVERY, ids=lambda one: one.strip().partition("\n")[0][:60])
def test_the_engine_understands_every_definition_of_a_cluster(store: Store, statement: str) -> None:
    made = of_shards(statement, "ON CLUSTER 'meters'")

    # The engine's own parser; what it parses it does not do.
    assert store._connection.read(f"explain ast {made}").result_rows
    assert re.search(r"\btaximeter\.", made) is None
    if not made.lstrip("-\n ").startswith("INSERT"):
        assert made.count("ON CLUSTER 'meters'") == 1
    assert made.count("MergeTree") == len(REPLICATED.findall(made))


def test_tables_that_are_written_whole_have_a_key_and_no_path_is_used_twice() -> None:
    made = "".join(of_shards(one, "ON CLUSTER 'meters'") for one in EVERY)
    paths = [path for _, path, _ in REPLICATED.findall(made)]

    assert len(paths) == len(set(paths))
    assert set(SHARD_KEYS) <= set(paths)


def test_a_cluster_that_the_server_does_not_know_is_refused(clickhouse: tuple[object, str]) -> None:
    with pytest.raises(StoreError, match=r"knows no cluster 'elsewhere'"):
        Store(clickhouse[1], cluster="elsewhere")
