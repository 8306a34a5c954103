"""What every test may use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from clickhouse import running
from postgres import running as postgres_server
from stores import empty, keep_for_ever
from taximeter_alerts.state import State
from taximeter_collector.store import Store

NUMBERS = count()
CLUSTER = Path(__file__).parent / "cluster.xml"

# By readline, which pytest imports, its workers are told the width of a terminal that there is not.
os.environ.pop("COLUMNS", None)
# The same examples everywhere, and no time limit: machines differ.
settings.register_profile("taximeter", deadline=None, derandomize=True)
settings.load_profile("taximeter")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="put the store into a cluster")


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "store"


@pytest.fixture(scope="session")
def opened_store(
    store_path: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Store]:
    """Open the one embedded store that a process may hold, or one of a cluster."""
    if pytestconfig.getoption("cluster"):
        # One process is all there is: its marks hold no longer than an embedded store's.
        with (
            patch("taximeter_collector.store.store.MOST_SECONDS", 0),
            running(tmp_path_factory.mktemp("cluster"), CLUSTER) as (_, url),
            closing(Store(url, cluster="meters")) as opened,
        ):
            keep_for_ever(opened)
            yield opened
        return
    with closing(Store(f"chdb://{store_path}")) as opened:
        keep_for_ever(opened)
        yield opened


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Give a server's process and address."""
    with running(tmp_path / "clickhouse") as server:
        yield server


@pytest.fixture
def store(opened_store: Store) -> Store:
    """Give an empty store."""
    empty(opened_store)
    return opened_store


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """Give the address of an empty database."""
    name = f"test_{next(NUMBERS)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return postgres.removesuffix("postgres") + name


@pytest.fixture(params=["sqlite", "postgres"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty state database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    with closing(State(state_url)) as opened:
        yield opened
