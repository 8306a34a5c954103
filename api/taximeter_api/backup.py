"""Backup and restore of what an embedded service keeps: store, state and journal, at one moment."""

from __future__ import annotations

import hashlib
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
from taximeter_collector.store import Period, SpendRow, Store, StoreError

MANIFEST: Final = "manifest.json"
STATE: Final = "state.db"
SUMS: Final = "SHA256SUMS"
"""As `sha256sum --check` reads it. A backup of an older version has none."""
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
        (Path(part) / SUMS).write_bytes(_sums(Path(part)))
        _pack(Path(part), path)
    return Backup(path=path, calls=total.calls, cost=total.cost)


def restore(path: Path, settings: Settings) -> Backup:
    """Fill an empty data folder from a file. What is not verified leaves nothing in it."""
    address = urlsplit(settings.store_url)
    if address.scheme != "chdb":
        raise Refused("a backup is restored into an embedded store: unset the store's address")
    store = Path(address.path)
    if any(settings.data_dir.glob("*")) or store.exists():
        raise Refused(f"{settings.data_dir} is not empty: restore into a new data folder")
    try:
        path.open("rb").close()
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.data_dir, prefix="part-") as folder:
        part = Path(folder)
        manifest = _unpacked(path, part)
        _check_state(path, part / STATE)
        total = _read_tables(path, part / "tables", part / "store")
        found, told = (total.calls, total.cost), (manifest["calls"], Decimal(manifest["cost"]))
        if found != told:
            raise Refused(f"{path}: {found} calls and dollars came back of {told}")
        shutil.move(part / "store", store)
        shutil.move(part / "journal", settings.journal_dir)
        if (part / STATE).exists():
            shutil.move(part / STATE, settings.data_dir / STATE)
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


def _sums(folder: Path) -> bytes:
    """Return a line for each file of a backup, however deep."""
    files = sorted(one for one in folder.rglob("*") if one.is_file() and one.name != SUMS)
    lines = []
    for one in files:
        with one.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {one.relative_to(folder)}\n")
    return "".join(lines).encode()


def _unpacked(path: Path, folder: Path) -> dict[str, Any]:
    """Unpack the file, and tell damage where it holds digests."""
    try:
        with tarfile.open(path, "r:") as tar:
            tar.extractall(folder, filter="data")
        sums = folder / SUMS
        if sums.exists() and sums.read_bytes() != _sums(folder):
            raise Refused(f"{path} is damaged: it is not what was written")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from None
    except (tarfile.TarError, ValueError) as error:
        raise Refused(f"{path} is not a backup: {error}") from None
    if manifest.get("format") != 1:
        raise Refused(f"{path} is of a newer version: upgrade first")
    return manifest


def _check_state(path: Path, state: Path) -> None:
    if not state.exists():
        return
    try:
        with closing(sqlite3.connect(state)) as opened:
            (said,) = opened.execute("pragma integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise Refused(f"{path}: its {STATE} is damaged: {said}")


def _read_tables(path: Path, tables: Path, into: Path) -> SpendRow:
    try:
        with closing(Store(f"chdb://{into}")) as store:
            store.read_tables(tables)
            return store.spend(EVER)[0]
    except StoreError as error:
        raise Refused(f"{path}: its tables can't be read: {error}") from None
