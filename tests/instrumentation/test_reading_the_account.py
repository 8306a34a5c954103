from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette

from bills import WrittenBooks
from taximeter_analysis.bill import Key
from taximeter_api.demo.fake_account import admin_routes
from taximeter_api.demo.fake_openai import serving
from taximeter_api.openai_account import read_account
from taximeter_collector.settings import read_settings
from taximeter_collector.store import Period


def test_what_reads_usage_and_costs_is_not_metered(
    spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXIMETER_HOSTS", "127.0.0.1")
    books = WrittenBooks(
        keys=[Key(id="key_1", name="web", project="proj_1", redacted="sk-****wxyz")]
    )
    day = Period(datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC))

    with serving(Starlette(routes=admin_routes(books))) as address:
        settings = read_settings(
            {
                "TAXIMETER_SERVER_OPENAI_URL": f"{address}/v1",
                "TAXIMETER_SERVER_OPENAI_ADMIN_KEY": "sk-admin-0123456789abcdef",
            }
        )
        read = read_account(settings, day)

    assert [key.name for key in read.keys] == ["web"]
    assert spans.all() == ()
