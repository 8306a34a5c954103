"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stores import empty
from taximeter_collector.store import Store

# The same examples everywhere, and no time limit: machines differ.
settings.register_profile("taximeter", deadline=None, derandomize=True)
settings.load_profile("taximeter")


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "store"


@pytest.fixture(scope="session")
def opened_store(store_path: Path) -> Iterator[Store]:
    """Open the one embedded store that a process may hold."""
    opened = Store(f"chdb://{store_path}")
    # Tests speak of fixed days, which must not age out of the table.
    for table in ("calls", "spend_hourly", "latency_hourly", "spend_daily", "users_daily"):
        opened._connection.command(f"alter table taximeter.{table} remove ttl")
    yield opened
    opened.close()


@pytest.fixture
def store(opened_store: Store) -> Store:
    """Give an empty store."""
    empty(opened_store)
    return opened_store
