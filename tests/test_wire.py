"""Both sides of the wire say what docs/wire.yaml says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from taximeter_collector import contract
from taximeter_collector.store import Store

WIRE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "docs" / "wire.yaml").read_text(encoding="utf-8")
)
ATTRIBUTES: dict[str, dict[str, str]] = WIRE["attributes"]
SPECIAL = {
    contract.RESPONSE_ID: ("string", "call_id"),
    contract.FINISH_REASONS: ("string[]", "finish_reason"),
    contract.TIME_TO_FIRST_CHUNK: ("double", "ttft_ms"),
    contract.ATTEMPT_STATUSES: ("int[]", "attempt_statuses"),
    contract.ATTEMPT_WAITS: ("double[]", "attempt_waits_ms"),
    contract.USAGE_SOURCE: ("string", "usage_source"),
    f"{contract.METER}*": ("double", "meters"),
    f"{contract.TAG}*": ("string", "tags"),
}


def test_the_collector_reads_each_attribute_into_the_column_of_the_contract() -> None:
    read = {
        **{key: ("string", column) for key, column in contract.TEXTS.items()},
        **{key: ("int", column) for key, (column, _) in contract.COUNTS.items()},
        **{key: ("boolean", column) for key, column in contract.FLAGS.items()},
        **{key: ("int", column) for key, column in contract.TOKENS.items()},
        **SPECIAL,
    }

    assert read == {key: (one["type"], one["column"]) for key, one in ATTRIBUTES.items()}


def test_the_collector_reads_the_resource_of_the_contract() -> None:
    assert {key: one["column"] for key, one in WIRE["resource"].items()} == contract.RESOURCE


def test_the_collector_reads_the_losses_of_the_contract() -> None:
    assert list(WIRE["losses"]) == [contract.LOST]


def test_every_attribute_has_type_unit_meaning_and_a_column_of_the_store(store: Store) -> None:
    rows = store._connection.read("describe table taximeter.calls").result_rows
    columns = {row[0] for row in rows}

    for key, one in (ATTRIBUTES | WIRE["resource"]).items():
        assert set(one) == {"type", "unit", "column", "meaning"}, key
        assert one["column"] in columns, key
