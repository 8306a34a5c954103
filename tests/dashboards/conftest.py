from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from taximeter_collector.store import Reader, Store

# At the import of its v1 types the SDK advises v2, which Grafana's file provisioning rejects.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from seeded_boards import seed


@pytest.fixture(scope="module")
def client(store_path: Path) -> Iterator[Client]:
    """Give one who reads beside the store."""
    with closing(clickhouse_connect.get_client(interface="chdb", path=str(store_path))) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(opened_store: Store, client: Client) -> Client:
    """Seed the store, and hand out a reader beside it."""
    seed(opened_store)
    return client


@pytest.fixture(scope="module")
def reader(store_path: Path) -> Iterator[Reader]:
    with closing(Reader(f"chdb://{store_path}")) as opened:
        yield opened
