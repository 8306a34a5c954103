"""Pages of findings and of the service's own health."""

from __future__ import annotations

import platform
import shutil
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, Request, Response

from taximeter_alerts.savings import HABITS, Savings
from taximeter_analysis.findings import Finding
from taximeter_api.checks.running import Running
from taximeter_api.csv_file import csv_file
from taximeter_api.live import answered
from taximeter_api.page.environment import template
from taximeter_api.questions import is_csv
from taximeter_collector.journal import Journal
from taximeter_collector.store import Condition

FIELDS: Final = [field.name for field in fields(Finding)]
PARTS: Final = ("taximeter-server", "chdb", "clickhouse-connect", "fastapi")


def findings_pages(found: Savings) -> APIRouter:
    router = APIRouter()

    @router.get("/findings", include_in_schema=False)
    def page(request: Request, format: str = "") -> Response:  # noqa: A002 the address's word
        now = datetime.now(UTC)
        some, looked_at = found.newest(now)
        if is_csv(format):
            return csv_file(
                "findings", FIELDS, ([getattr(one, name) for name in FIELDS] for one in some)
            )
        html = template("findings.html").render(
            found=some,
            total=sum((one.usd_a_month for one in some), Decimal(0)),
            looked_at=looked_at,
            habits=HABITS,
            now=now,
            path="/findings",
        )
        return answered(request, html)

    @router.get("/api/findings", tags=["findings"])
    def told() -> dict[str, object]:
        """List what would save money, in US dollars a month from the last two weeks' calls."""
        some, looked_at = found.newest(datetime.now(UTC))
        return {
            "looked_at": looked_at.isoformat(),
            "findings": [asdict(one) | {"usd_a_month": f"{one.usd_a_month:.2f}"} for one in some],
        }

    return router


def health_page(running: Running, journal: Journal) -> APIRouter:
    router = APIRouter()

    @router.get("/api/store", tags=["health"])
    def told() -> Condition:
        """Say how the engine is: disks, parts, changes, and its own logs."""
        return running.store.condition()

    @router.get("/api/checks", tags=["health"])
    def checks() -> dict[str, object]:
        """Say what was looked at and how it is, with advice where something is to be done."""
        return {"checks": [one._asdict() for one in running.look().findings]}

    @router.get("/health", include_in_schema=False)
    def page(request: Request) -> Response:
        look = running.look()
        html = template("health.html").render(
            look=look,
            last_call_at=running.store.last_call_at(),
            journal_bytes=journal.size,
            journal_age_s=journal.oldest_s,
            store_bytes=running.store.size(),
            free_bytes=shutil.disk_usage(running.settings.data_dir).free,
            versions={"ClickHouse": look.condition.version, "Python": platform.python_version()}
            | {name: version(name) for name in PARTS},
            now=datetime.now(UTC),
            path="/health",
        )
        return answered(request, html)

    return router
