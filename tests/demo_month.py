"""The demo's month as the service would have lived it: calls as they came, alerts as they rose."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from builders import at_once
from taximeter_alerts.alert import Outgoing
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.channels import Channel
from taximeter_alerts.mirroring import MeterState, Mirroring
from taximeter_alerts.outbox import Outbox
from taximeter_alerts.outlook import Outlook
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import State
from taximeter_alerts.watch import evaluate
from taximeter_api.demo import history
from taximeter_collector import otlp
from taximeter_collector.calls import Call, Priced
from taximeter_collector.envelope import envelopes
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Period, Retention, Store
from taximeter_collector.store.mirror import MeterLine, Mirror
from taximeter_collector.store.reconciliations import BilledDay, Cause, CauseKind, Reconciliation

NOW: Final = datetime(2026, 11, 22, 10, 40, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FILLED: Final = {
    "": "0.76",
    "support-chat": "0.69",
    "code-review-bot": "0.93",
    "contract-summary": "1.04",
    "ticket-triage": "0.64",
    "email-drafting": "0.48",
}
"""How much of the budget of a feature, or of everything, is used in the end."""

Row = tuple[Call, Priced]


class Listener:
    """A channel that takes every message."""

    knows_repeats = follows_up = False

    def send(self, outgoing: Outgoing) -> None:
        pass


def live_through(store: Store, every: timedelta) -> None:
    """Fill an empty store with the month before `NOW`; budgets are looked at so often."""
    rows = _calls(store)
    with TemporaryDirectory() as folder, closing(State(f"sqlite:///{folder}/state.db")) as state:
        path = Path(folder) / "budgets.yaml"
        path.write_text(_budgets(rows), encoding="utf-8")
        register = Register(LiveFile(path, read_budgets), state)
        outlook = Outlook(store, state, register)
        for now, some in groupby(rows, lambda row: NOW - every * ((NOW - row[0].ts) // every)):
            _look(store, state, register, outlook, now, list(some))
        savings = Savings(store, PriceBook.shipped)
        Mirroring(store, state, register, savings, lambda: MeterState(0.3, {})).copy(NOW)
    _tell_of_meter(store)
    _reconcile(store)


def _look(
    store: Store,
    state: State,
    register: Register,
    outlook: Outlook,
    now: datetime,
    calls: Sequence[Row],
) -> None:
    store.add(calls, token=f"month/{now}", book_version=PriceBook.shipped().version, now=now)
    store.refresh()
    budgets = register.in_force(now)
    evaluate(store, state, budgets, now)
    outlook.look([one for one in budgets if one.each is None], now)
    channels = {"slack": Channel(sender=Listener())}
    Outbox(state, channels, lambda: now, page_url="", run=at_once).tick()


def _calls(store: Store) -> list[Row]:
    window = otlp.Window.at(NOW, Retention().how_late)
    book = PriceBook.shipped()
    rows: list[Row] = []
    for body, _ in history.requests(NOW, days=30):
        store.add_losses(list(otlp.losses(body, window)))
        calls = map(otlp.call_of, envelopes(body, window))
        rows += [(call, book.priced(call)) for call in calls if call is not None]
    return sorted(rows, key=lambda row: row[0].ts)


def _budgets(rows: Sequence[Row]) -> str:
    lines = ["budgets:"]
    for feature, used in FILLED.items():
        spent = sum(
            priced.usd or Decimal(0)
            for call, priced in rows
            if call.ts >= NOW.replace(day=1, hour=0, minute=0) and feature in ("", call.feature)
        )
        name = feature.replace("-", " ").capitalize() or "Everything"
        lines += [f"  - name: {name}", f"    amount: {spent / Decimal(used):.0f}"]
        if feature:
            lines += [f"    scope: {{feature: {feature}}}", "    thresholds: [90, 100]"]
    return "\n".join([*lines, "  - {name: Each user, amount: 40, each: user}", ""])


def _tell_of_meter(store: Store) -> None:
    """Tell each quarter of an hour how the meter was doing; one evening the store was away.

    Nothing could be told in that hour: what waited shows once the store is back.
    """
    away = NOW.replace(day=16, hour=20, minute=0)
    back = away + HOUR
    lines = [MeterLine(at=back, lag_s=HOUR.total_seconds(), rejected={})]
    for quarter in range(29 * 96):
        at = NOW - quarter * timedelta(minutes=15)
        if away <= at < back:
            continue
        rejected = {"older than the retention": 3} if quarter == 1200 else {}
        lines.append(MeterLine(at=at, lag_s=0.3 + quarter * 7 % 5 / 10, rejected=rejected))
    store.keep_mirror(Mirror.METER, lines)


def _reconcile(store: Store) -> None:
    """Say what the bills of both months differ by: a key that nobody meters."""
    for first, end in (
        (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2026, 11, 1, tzinfo=UTC), NOW.replace(hour=0, minute=0)),
    ):
        row = store.spend(Period(first, end))[0]
        metered, unseen = row.cost, Decimal("0.198") * min((end - first).days, 20)
        store.keep_reconciliation(
            Reconciliation(
                month=first.date(),
                taken_at=NOW,
                billed=metered + unseen + Decimal("0.0042"),
                metered=metered,
                unpriced_calls=row.unpriced_calls,
                causes=(
                    Cause(CauseKind.UNSEEN, "nightly-export: no call was seen", unseen),
                    Cause(CauseKind.ROUNDING, "", Decimal("0.0042")),
                ),
                days=(
                    BilledDay(first.date(), metered + unseen, metered, True, row.unpriced_calls),
                ),
                lines=(),
                gaps=(),
            )
        )
