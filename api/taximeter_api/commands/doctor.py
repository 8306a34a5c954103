"""`taximeter doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import typer

from taximeter_alerts.budgets import BudgetsError, read_budgets
from taximeter_alerts.state import State
from taximeter_api.channels import channels_of_settings
from taximeter_api.commands.alerts import IN_MEMORY
from taximeter_api.commands.service import ServiceAway, ServiceRefused, ask
from taximeter_collector.journal import SUFFIX
from taximeter_collector.prices import book_with
from taximeter_collector.settings import PREFIX, Settings, SettingsError, read_settings
from taximeter_collector.yaml_file import Mistake

LEAST_FREE_BYTES: Final = 2_000_000_000
LONGEST_WAIT_S: Final = 60
SET_ASIDE: Final = ("*.refused", "*.damaged")
MEND: Final = "mend the file; a service that runs keeps what it read last"


class Finding(NamedTuple):
    """What a check says; `advice` where something is to be done."""

    what: str
    state: str
    advice: str = ""


def doctor() -> None:
    """Look at settings, files, the service and the last day's calls; 1 when something is wrong."""
    settings = read_settings(os.environ)
    findings = [finding for check in CHECKS for finding in check(settings)]
    for what, state, advice in findings:
        typer.echo(f"{'wrong' if advice else 'ok':6}{what}: {state}")
        if advice:
            typer.echo(f"      -> {advice}")
    if any(finding.advice for finding in findings):
        raise typer.Exit(1)


def _disk(settings: Settings) -> Iterator[Finding]:
    if not settings.data_dir.exists():
        yield Finding("data", f"{settings.data_dir} is not there yet")
        return
    free = shutil.disk_usage(settings.data_dir).free
    needed = max(LEAST_FREE_BYTES, settings.journal_mb * 1_000_000)
    advice = f"free {needed / 1e9:.0f} GB, or lower {PREFIX}JOURNAL_MB" if free < needed else ""
    yield Finding("disk", f"{free / 1e9:,.1f} GB free at {settings.data_dir}", advice)


def _journal(settings: Settings) -> Iterator[Finding]:
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
    aside = [path for form in SET_ASIDE for path in sorted(settings.journal_dir.glob(form))]
    if aside:
        state = f"{len(aside)} files of what can't be stored, like {aside[0]}"
        yield Finding("set aside", state, "look at them, then delete them")


def _prices(settings: Settings) -> Iterator[Finding]:
    try:
        yield Finding("prices", f"book {book_with(settings.prices).version}")
    except Mistake as mistake:
        yield Finding("prices", str(mistake), MEND)


def _budgets(settings: Settings) -> Iterator[Finding]:
    try:
        yield Finding("budgets", f"{len(read_budgets(settings.budgets))} in {settings.budgets}")
    except BudgetsError as error:
        yield Finding("budgets", str(error), MEND)


def _channels(settings: Settings) -> Iterator[Finding]:
    with closing(State(IN_MEMORY)) as state:
        try:
            names = channels_of_settings(settings, os.environ, state)
        except (Mistake, SettingsError) as error:
            yield Finding("channels", str(error), "mend it; the service does not start with it")
        else:
            advice = "" if names else f"add one to {settings.channels}: nobody is told of alerts"
            yield Finding("channels", ", ".join(names) or "none is set up", advice)


def _service(settings: Settings) -> Iterator[Finding]:
    try:
        ask(settings, "GET", "/readyz")
    except ServiceAway as away:
        yield Finding("service", str(away), "start it: taximeter serve")
        return
    except ServiceRefused as refused:
        yield Finding("service", str(refused), "see its log")
        return
    yield Finding("service", f"takes and stores calls at {settings.otlp_url}")
    yield from _calls(settings)
    channels = ask(settings, "GET", "/api/channels")["channels"]
    known = {channel["name"] for channel in channels}
    for budget in ask(settings, "GET", "/api/budgets")["budgets"]:
        for name in set(budget["channels"]) - known:
            state = f"its channel {name} is not set up: its alerts wait"
            advice = f"add {name} to {settings.channels}, or name another"
            yield Finding(f"budget {budget['name']}", state, advice)
    for channel in channels:
        name, problem = channel["name"], channel["problem"]
        advice = f"mend it, then taximeter alerts test {name}" if problem else ""
        yield Finding(f"channel {name}", problem or "in use", advice)


def _calls(settings: Settings) -> Iterator[Finding]:
    start = datetime.now(UTC) - timedelta(days=1)
    told = ask(settings, "GET", "/api/quality", [("from", start.isoformat())])
    advice = "" if told["calls"] else "does the app's process have TAXIMETER_ENDPOINT set?"
    yield Finding("last 24 hours", f"{told['calls']:,} calls", advice)
    for reason, calls in told["unpriced_calls"].items():
        advice = f"add it to {settings.prices}, then taximeter reprice"
        yield Finding("without a price", f"{calls:,} calls: {reason}", advice)
    for service, spans in told["lost_spans"].items():
        advice = "see whether that app always reaches the collector"
        yield Finding("lost on the way", f"{spans:,} spans of {service}", advice)


CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    _disk,
    _journal,
    _prices,
    _budgets,
    _channels,
    _service,
)
