"""What a service that runs knows of itself: doctor and the pages say it in these words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from taximeter_alerts.budgets import Budget
from taximeter_alerts.channels import Channels
from taximeter_alerts.register import Register
from taximeter_alerts.state import State
from taximeter_api.checks import Finding, channels, engine, files
from taximeter_api.page.format import counted
from taximeter_collector.intake import refused
from taximeter_collector.prices import what_helps
from taximeter_collector.settings import PREFIX, Settings
from taximeter_collector.store import Condition, Period, Quality, Store, StoreUnavailable

HOUR: Final = timedelta(hours=1)
DAY: Final = 24 * HOUR
SKEW: Final = timedelta(minutes=1)
AWAY: Final = "see the service's log: no budget is looked at meanwhile"
CLOCK: Final = "let NTP (chrony) set the clock of the app's machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look at the service."""

    day: Period
    """The last one, of whole hours."""
    quality: Quality
    """Of that day."""
    condition: Condition
    findings: Sequence[Finding]

    @property
    def wrong(self) -> list[Finding]:
        return [one for one in self.findings if one.advice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The service as it sees itself."""

    store: Store
    state: State
    channels: Channels
    register: Register
    settings: Settings
    trouble: Callable[[], str]

    def look(self) -> Look:
        now = datetime.now(UTC)
        day = Period(now - DAY, now).whole_hours()
        quality, condition = self.store.quality(day), self.store.condition()
        findings = [
            *self._service(),
            *files.disk(self.settings),
            *files.journal(self.settings),
            *engine.store_of(self.settings, condition),
            *engine.state(self.settings),
            *files.prices(self.settings),
            *self._budgets(self.register.in_force(now)),
            *self._calls(quality, now),
            *_spans(quality),
            *self._channels(),
        ]
        return Look(day=day, quality=quality, condition=condition, findings=findings)

    def wrong_with_alerts(self) -> list[Finding]:
        """Say what keeps alerts from being told, or from counting all that was spent."""
        now = datetime.now(UTC)
        try:
            missing = [*_spans(self.store.quality(Period(now - DAY, now).whole_hours()))]
        except StoreUnavailable as away:
            missing = [Finding("store", str(away), AWAY)]
        return [one for one in (*missing, *self._channels()) if one.advice]

    def _service(self) -> Iterator[Finding]:
        trouble = self.trouble()
        words = trouble or f"takes and stores calls at {self.settings.otlp_url}"
        yield Finding("service", words, "see its log" if trouble else "")

    def _budgets(self, budgets: Sequence[Budget]) -> Iterator[Finding]:
        if self.register.problem:
            yield Finding("budgets", self.register.problem, files.MEND)
            return
        for one in files.budgets(self.settings):
            yield one._replace(state=f"{len(budgets)} in force, {one.state}")

    def _calls(self, quality: Quality, now: datetime) -> Iterator[Finding]:
        advice = "" if quality.calls else "does the app's process have TAXIMETER_ENDPOINT set?"
        yield Finding("last 24 hours", counted(quality.calls, "call"), advice)
        yield from of_unpriced(quality.unpriced_calls, self.settings.prices)
        if calls := self.store.spend(Period(now + SKEW, now + 2 * HOUR))[0].calls:
            yield Finding("clock", f"{counted(calls, 'call')} of a moment to come", CLOCK)

    def _channels(self) -> Iterator[Finding]:
        yield files.set_up(self.channels, self.settings)
        budgets = self.register.in_force(datetime.now(UTC))
        yield from channels.of_budgets(budgets, self.channels, self.settings)
        yield from channels.of_channels(self.state, self.channels).values()


def of_unpriced(calls_by_reason: Mapping[str, int], prices: Path) -> Iterator[Finding]:
    for reason, calls in calls_by_reason.items():
        told = f"{counted(calls, 'call')}: {reason}"
        yield Finding("without a price", told, what_helps(reason, prices))


def _spans(quality: Quality) -> Iterator[Finding]:
    for service, spans in quality.lost_spans.items():
        advice = "see whether that app always reaches the collector"
        name = service or "an app without a name"
        yield Finding(
            "lost on the way", f"{counted(spans, 'span')} of {name} in the last 24 hours", advice
        )
    for reason, spans in refused().items():
        advice = f"{CLOCK}, or raise {PREFIX}KEEP_DAYS for old ones"
        yield Finding(
            "refused", f"{counted(spans, 'span')} since the service's start: {reason}", advice
        )
