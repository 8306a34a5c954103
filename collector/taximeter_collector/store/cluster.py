"""The schema of a cluster, made from that of one server.

Every shard has the whole schema of one server, in a database of its own: replicated tables of its
calls, their rollups and the views over both. Calls go to shards by their identity, so what is told
twice of a call meets, and a sum over all calls is the sum of the shards' sums. `taximeter` holds a
distributed table over each table and view, so that questions are the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from taximeter_collector.store.connection import Connection

SHARD_KEYS: Final = {
    "calls": "cityHash64(call_id)",
    "lost_spans": "cityHash64(told_by)",
    "repricings": "cityHash64(id)",
    "repricing_steps": "cityHash64(id)",
    "reconciliations": "cityHash64(month)",
    "budget_lines": "cityHash64(budget)",
    "alert_log": "cityHash64(id)",
    "finding_lines": "cityHash64(feature)",
    "month_forecasts": "cityHash64(month)",
    "prompt_versions": "cityHash64(feature)",
    "meter_lines": "cityHash64(at)",
    "dirty_hours": "shard",
    "user_days_done": "shard",
}
"""Where rows of tables go that are written through `taximeter`."""

AS_THE_ENGINE_TYPES_VIEWS: Final = {"allow_suspicious_low_cardinality_types": 1}

DEFINITION: Final = re.compile(
    r"\b(CREATE TABLE IF NOT EXISTS|CREATE VIEW IF NOT EXISTS|CREATE OR REPLACE VIEW|ALTER TABLE"
    r"|DROP TABLE IF EXISTS) taximeter\.(\w+)"
)
ENGINE: Final = re.compile(r"\bENGINE = (\w*)MergeTree(?:\((\w+)\))?")


def of_shards(statement: str, on_cluster: str) -> str:
    """Return a statement of one server's schema for all servers of a cluster."""
    found = DEFINITION.search(statement)
    name = found[2] if found else ""
    statement = DEFINITION.sub(rf"\1 taximeter.\2 {on_cluster}", statement)
    statement = re.sub(r"\btaximeter\.", "taximeter_shard.", statement)
    statement = ENGINE.sub(lambda engine: _replicated(name, engine[1], engine[2]), statement)
    return statement.replace(" non_replicated_", " replicated_")


def facade(connection: Connection) -> Iterator[str]:
    """Yield the statements that make `taximeter` show all shards."""
    cluster, on_cluster = connection.cluster, connection.on_cluster
    yield f"CREATE DATABASE IF NOT EXISTS taximeter {on_cluster} ENGINE = Atomic"
    names = connection.read(
        "select name from system.tables where database = 'taximeter_shard' order by name"
    ).result_rows
    for (name,) in names:
        key = f", {SHARD_KEYS[name]}" if name in SHARD_KEYS else ""
        yield (
            f"CREATE OR REPLACE TABLE taximeter.{name} {on_cluster} "
            f"AS taximeter_shard.{name} "
            f"ENGINE = Distributed('{cluster}', 'taximeter_shard', '{name}'{key})"
        )


def _replicated(table: str, kind: str, version: str | None) -> str:
    path = f"'/clickhouse/tables/{{shard}}/taximeter/{table}', '{{replica}}'"
    return f"ENGINE = Replicated{kind}MergeTree({path}{f', {version}' if version else ''})"
