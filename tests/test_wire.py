"""Both sides of the wire say what docs/wire.yaml says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from taximeter_collector import otlp
from taximeter_collector.store import Store

WIRE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "docs" / "wire.yaml").read_text(encoding="utf-8")
)
ATTRIBUTES: dict[str, dict[str, str]] = WIRE["attributes"]
SPECIAL = {
    otlp.RESPONSE_ID: ("string", "call_id"),
    otlp.FINISH_REASONS: ("string[]", "finish_reason"),
    otlp.TIME_TO_FIRST_CHUNK: ("double", "ttft_ms"),
    otlp.ATTEMPT_STATUSES: ("int[]", "attempt_statuses"),
    otlp.ATTEMPT_WAITS: ("double[]", "attempt_waits_ms"),
    otlp.USAGE_SOURCE: ("string", "usage_source"),
    f"{otlp.METER}*": ("double", "meters"),
    f"{otlp.TAG}*": ("string", "tags"),
}


def test_the_collector_reads_each_attribute_into_the_column_of_the_contract() -> None:
    read = {
        **{key: ("string", column) for key, column in otlp.TEXTS.items()},
        **{key: ("int", column) for key, (column, _) in otlp.COUNTS.items()},
        **{key: ("boolean", column) for key, column in otlp.FLAGS.items()},
        **{key: ("int", column) for key, column in otlp.TOKENS.items()},
        **SPECIAL,
    }

    assert read == {key: (one["type"], one["column"]) for key, one in ATTRIBUTES.items()}


def test_the_collector_reads_the_resource_of_the_contract() -> None:
    assert {key: one["column"] for key, one in WIRE["resource"].items()} == otlp.RESOURCE


def test_the_collector_reads_the_losses_of_the_contract() -> None:
    assert list(WIRE["losses"]) == [otlp.LOST]


def test_every_attribute_has_type_unit_meaning_and_a_column_of_the_store(store: Store) -> None:
    rows = store._connection.read("describe table taximeter.calls").result_rows
    columns = {row[0] for row in rows}

    for key, one in (ATTRIBUTES | WIRE["resource"]).items():
        assert set(one) == {"type", "unit", "column", "meaning"}, key
        assert one["column"] in columns, key
