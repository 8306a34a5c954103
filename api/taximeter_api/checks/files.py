"""Checks of what lies on this machine: disk, journal, and the files that people write."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from taximeter_alerts.budgets import BudgetsError, read_budgets
from taximeter_alerts.state import IN_MEMORY, State
from taximeter_api.channels import channels_of_settings
from taximeter_api.checks import Finding
from taximeter_collector.journal import SUFFIX
from taximeter_collector.prices import book_with
from taximeter_collector.settings import PREFIX, Settings, SettingsError
from taximeter_collector.yaml_file import Mistake

LEAST_FREE_BYTES: Final = 2_000_000_000
LONGEST_WAIT_S: Final = 60
SET_ASIDE: Final = {
    "*.refused": ("what can't be stored", "look at their lines, then delete them"),
    "*.damaged": (
        "the journal that were damaged",
        "what could be read is stored: see the log for the rest, then delete them",
    ),
}
MEND: Final = "mend the file; a service that runs keeps what it read last"


def disk(settings: Settings) -> Iterator[Finding]:
    if not settings.data_dir.exists():
        yield Finding("data", f"{settings.data_dir} is not there yet")
        return
    if not is_writable(settings.data_dir):
        advice = "give it to the service's user, or mount it to be written"
        yield Finding("data", f"{settings.data_dir} can't be written", advice)
    free = shutil.disk_usage(settings.data_dir).free
    needed = max(LEAST_FREE_BYTES, settings.journal_mb * 1_000_000)
    advice = f"free {needed / 1e9:.0f} GB, or lower {PREFIX}JOURNAL_MB" if free < needed else ""
    yield Finding("disk", f"{free / 1e9:,.1f} GB free at {settings.data_dir}", advice)


def is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def journal(settings: Settings) -> Iterator[Finding]:
    now = time.time()
    waiting = []
    for path in settings.journal_dir.glob(f"*{SUFFIX}"):
        # One that is gone is in the store by now.
        with suppress(FileNotFoundError):
            waiting.append(path.stat())
    size = sum(one.st_size for one in waiting)
    age_s = max((now - one.st_mtime for one in waiting), default=0.0)
    advice = "the store does not keep up: see the service's log" if age_s > LONGEST_WAIT_S else ""
    yield Finding("journal", f"{size / 1e6:,.1f} MB wait, the oldest for {age_s:.0f} s", advice)
    for form, (what, mend) in SET_ASIDE.items():
        if aside := sorted(settings.journal_dir.glob(form)):
            yield Finding("set aside", f"{len(aside)} files of {what}, like {aside[0]}", mend)


def prices(settings: Settings) -> Iterator[Finding]:
    try:
        version = book_with(settings.prices).version
        yield Finding("prices", f"book {version}, with {_there(settings.prices)}")
    except Mistake as mistake:
        yield Finding("prices", str(mistake), MEND)


def budgets(settings: Settings) -> Iterator[Finding]:
    try:
        number = len(read_budgets(settings.budgets))
        yield Finding("budgets", f"{number} in {_there(settings.budgets)}")
    except BudgetsError as error:
        yield Finding("budgets", str(error), MEND)


def channels(settings: Settings) -> Iterator[Finding]:
    with closing(State(IN_MEMORY)) as state:
        try:
            names = channels_of_settings(settings, os.environ, state)
        except (Mistake, SettingsError) as error:
            yield Finding("channels", str(error), "mend it; the service does not start with it")
        else:
            yield set_up(names, settings)


def set_up(names: Collection[str], settings: Settings) -> Finding:
    """Say which channels there are."""
    if names:
        return Finding("channels", ", ".join(names))
    advice = f"add one to {_there(settings.channels)}: nobody is told of alerts"
    return Finding("channels", "none is set up", advice)


def _there(path: Path) -> str:
    return f"{path.absolute()}" if path.exists() else f"{path.absolute()}, which is not there"
