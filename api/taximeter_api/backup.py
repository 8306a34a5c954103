"""Backup and restore of what an embedded service keeps: store, state and journal, at one moment."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter

from taximeter_api.questions import Refused
from taximeter_collector.settings import Settings
from taximeter_collector.store import Period, Store

MANIFEST: Final = "manifest.json"
STATE: Final = "state.db"
EVER: Final = Period(datetime(1971, 1, 1, tzinfo=UTC), datetime(2105, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    path: Path
    calls: int
    cost: Decimal
    """US dollars of the priced calls."""

    def told(self) -> dict[str, Any]:
        told = {"path": str(self.path), "calls": self.calls, "cost": f"{self.cost:f}"}
        return told | {"bytes": self.path.stat().st_size}


def back_up(store: Store, settings: Settings, now: datetime) -> Backup:
    """Write a file into the folder `backups` of the data; calls that come meanwhile wait."""
    if not store.reads_files:
        raise Refused("a ClickHouse server is backed up by its own BACKUP command", status=501)
    folder = settings.data_dir / "backups"
    folder.mkdir(exist_ok=True)
    path = folder / f"taximeter-{now:%Y%m%dT%H%M%S}Z.tar"
    with TemporaryDirectory(dir=folder, prefix="part-") as part:
        tables, journal = Path(part) / "tables", Path(part) / "journal"
        tables.mkdir()
        journal.mkdir()
        with store.at_rest():
            _copy_journal(settings.journal_dir, journal)
            store.write_tables(tables)
            total = store.spend(EVER)[0]
        _copy_state(settings.data_dir / STATE, Path(part) / STATE)
        manifest = {"format": 1, "calls": total.calls, "cost": f"{total.cost:f}"}
        (Path(part) / MANIFEST).write_text(json.dumps(manifest), "utf-8")
        _pack(Path(part), path)
    return Backup(path=path, calls=total.calls, cost=total.cost)


def restore(path: Path, settings: Settings) -> Backup:
    """Fill an empty data folder from a file, and check its sums."""
    if any(settings.data_dir.glob("*")):
        raise Refused(f"{settings.data_dir} is not empty: restore into a new data folder")
    if urlsplit(settings.store_url).scheme != "chdb":
        raise Refused("a backup is restored into an embedded store: unset the store's address")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.data_dir, prefix="part-") as part:
        manifest = _unpacked(path, Path(part))
        with closing(Store(settings.store_url)) as store:
            store.read_tables(Path(part) / "tables")
            total = store.spend(EVER)[0]
        found, told = (total.calls, total.cost), (manifest["calls"], Decimal(manifest["cost"]))
        if found != told:
            raise Refused(f"{path}: {found} calls and dollars came back of {told}")
        shutil.copytree(Path(part) / "journal", settings.journal_dir, dirs_exist_ok=True)
        if (Path(part) / STATE).exists():
            shutil.copy(Path(part) / STATE, settings.data_dir / STATE)
    return Backup(path=path, calls=total.calls, cost=total.cost)


def backup_api(store: Store, settings: Settings) -> APIRouter:
    router = APIRouter(prefix="/api")
    writing = threading.Lock()

    @router.post("/backup")
    def take() -> dict[str, Any]:
        """Write a backup into the service's data folder and say where it is."""
        if not writing.acquire(blocking=False):
            raise Refused("a backup is under way: wait for it", status=409)
        try:
            return back_up(store, settings, datetime.now(UTC)).told()
        finally:
            writing.release()

    return router


def _copy_journal(folder: Path, to: Path) -> None:
    for path in sorted(folder.glob("*")):
        # One that is gone is in the store by now; one in both counts once.
        with suppress(FileNotFoundError):
            shutil.copy(path, to)


def _copy_state(path: Path, to: Path) -> None:
    if path.exists():
        with closing(sqlite3.connect(path)) as state, closing(sqlite3.connect(to)) as copy:
            state.backup(copy)


def _pack(folder: Path, path: Path) -> None:
    """Write the file whole or not at all."""
    part = folder / "packed"
    with part.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for one in sorted(folder.iterdir()):
                if one != part:
                    tar.add(one, one.name)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _unpacked(path: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(path) as tar:
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from None
    except (tarfile.TarError, ValueError) as error:
        raise Refused(f"{path} is not a backup: {error}") from None
    if manifest.get("format") != 1:
        raise Refused(f"{path} is of a newer version: upgrade first")
    return manifest
