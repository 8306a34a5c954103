"""Checks of the two databases: that they answer, their schemas, their clocks, and how they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from taximeter_alerts.state import StateUnavailable
from taximeter_alerts.state import condition_of as condition_of_state
from taximeter_api.checks import Finding
from taximeter_collector.settings import PREFIX, Settings
from taximeter_collector.store import (
    Condition,
    StoreError,
    StoreUnavailable,
    condition_of,
)

TOLERANCE: Final = timedelta(seconds=30)
LEAST_FREE: Final = 0.1
MIGRATE: Final = "run taximeter migrate, or start the service anew"
LOGS: Final = (
    "put docker/clickhouse/system-logs.xml into the server's config.d and start it anew; "
    "drop tables whose names end with a number"
)


def store(settings: Settings) -> Iterator[Finding]:
    where = _shown(settings.store_url)
    try:
        found = condition_of(settings.store_url, settings.cluster)
    except StoreError as error:
        yield Finding("store", str(error), f"mend what it says, or {PREFIX}STORE")
    except StoreUnavailable as error:
        yield Finding("store", str(error), f"start it, or mend {PREFIX}STORE")
    else:
        if found is None:
            yield Finding("store", f"{where} is not there yet")
            return
        yield from store_of(settings, found)


def store_of(settings: Settings, found: Condition) -> Iterator[Finding]:
    where = f"ClickHouse {found.version} at {_shown(settings.store_url)}"
    yield _schema("store", where, found.pending)
    yield clock("the store's", found.clock, datetime.now(UTC))
    yield from findings_of(found, is_server=settings.is_server)


def state(settings: Settings) -> Iterator[Finding]:
    try:
        found = condition_of_state(settings.state_url)
    except StateUnavailable as error:
        yield Finding("state", str(error), f"start it, or mend {PREFIX}STATE")
        return
    names = [str(one) for one in found.pending]
    is_new = settings.state is None and not settings.data_dir.exists()
    yield _schema("state", _shown(settings.state_url), () if is_new else names)
    if found.clock:
        yield clock("the state's", found.clock, datetime.now(UTC))


def findings_of(found: Condition, *, is_server: bool) -> Iterator[Finding]:
    """Say what the engine's own tables tell of disks, parts and logs."""
    for name, free, total in found.disks if is_server else ():
        advice = f"add disk, or lower {PREFIX}KEEP_DAYS" if free < total * LEAST_FREE else ""
        words = f"{free / 1e9:,.0f} GB of {total / 1e9:,.0f} GB are free"
        yield Finding(f"store's disk {name}", words, advice)
    for table, partition, parts in found.crowded:
        words = f"{parts:,} parts in {partition}: merges do not keep up"
        yield Finding(f"table {table}", words, "give the server more CPU or a faster disk")
    for table, reason in found.stuck:
        advice = f"mend it, or kill mutation where table = '{table}'"
        yield Finding(f"table {table}", f"a change fails again and again: {reason}", advice)
    for table, parts in found.broken:
        advice = "restore them from a backup or a replica; see system.detached_parts"
        yield Finding(f"table {table}", f"{parts:,} parts can't be read", advice)
    for table in found.read_only:
        yield Finding(f"table {table}", "its replica is read-only", "see the server's Keeper")
    if found.endless_logs:
        told = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in found.endless_logs)
        yield Finding("ClickHouse's logs", f"grow without an end: {told}", LOGS)
    if not (found.crowded or found.stuck or found.broken or found.read_only or found.endless_logs):
        yield Finding("parts and logs", "no table has too many parts, no log is without an end")


def _schema(what: str, words: str, pending: tuple[str, ...] | list[str]) -> Finding:
    if not pending:
        return Finding(what, words)
    return Finding(what, f"{words} lacks migrations: {', '.join(pending)}", MIGRATE)


def clock(whose: str, moment: datetime, now: datetime) -> Finding:
    """Compare this machine's clock with another's."""
    apart = now - moment
    if abs(apart) <= TOLERANCE:
        return Finding("clock", f"agrees with {whose}")
    words = f"{abs(apart).total_seconds():,.0f} s {'ahead of' if apart > timedelta() else 'behind'}"
    return Finding("clock", f"{words} {whose}", "let NTP (chrony) set both machines' clocks")


def _shown(url: str) -> str:
    """Name a database without user and password."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path.replace("//", "/")
