from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3

from builders import NOON, costing, unpriced
from taximeter_collector.store import Dimension, Period, Scope, Store, StoreUnavailable

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
SERVER = Path(__file__).parents[1] / "clickhouse_server.py"
PATIENCE_S = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, tmp_path, str(port)])
    end = time.monotonic() + PATIENCE_S
    while not answers(f"http://127.0.0.1:{port}/ping"):
        assert time.monotonic() < end
        time.sleep(0.05)
    yield process, f"clickhouse://default@127.0.0.1:{port}"
    process.terminate()
    process.wait(PATIENCE_S)


def answers(url: str) -> bool:
    try:
        return urllib3.PoolManager(retries=False).request("GET", url).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def test_a_server_answers_like_the_embedded_engine(
    server: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, url = server
    store = Store(url)
    rows = [costing("1.5", feature="a", user_id="ada"), costing("2", feature="b"), unpriced()]

    store.add(rows, token="one", book_version="b1", now=NOON)
    store.add(rows, token="one", book_version="b1", now=NOON)
    before = store.spend(NOVEMBER, [Dimension.FEATURE])
    store.refresh()

    assert [(row.key, f"{row.cost:.1f}") for row in before] == [
        (("b",), "2.0"),
        (("a",), "1.5"),
        (("search",), "0.0"),
    ]
    assert store.spend(NOVEMBER, [Dimension.FEATURE]) == before
    scopes = {"ada": Scope({Dimension.USER: ("ada",)}), "everyone": Scope()}
    assert {name: row.calls for name, row in store.spent(NOVEMBER, scopes).items()} == {
        "ada": 1,
        "everyone": 3,
    }
    assert store.last_call_at() == NOON

    process.kill()
    process.wait(PATIENCE_S)
    with pytest.raises(StoreUnavailable):
        store.spend(NOVEMBER)
    store.close()
