"""OpenAI's side and ours with sane defaults; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from taximeter_analysis.bill import Account, BilledUse, Charge, Key
from taximeter_analysis.reconcile import reconcile
from taximeter_api.demo.fake_account import Entry
from taximeter_collector.store.reconciliations import ITEMS, CauseKind, OwnUse, Reconciliation

NOW = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
"""13 November is the last final day: it ended 60 hours before, the 14th only 36."""
NOVEMBER = date(2026, 11, 1)
FINAL = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
LATE = datetime(2026, 11, 15, 9, 0, tzinfo=UTC)
KEYS = (
    Key(id="key_web", name="web", project="proj_1", redacted="sk-proj-****wxyz"),
    Key(id="key_old", name="laptop", project="proj_1", redacted="sk-proj-****k7Qz"),
)


def amounts(values: Mapping[str, str | int]) -> tuple[Decimal, ...]:
    return tuple(Decimal(values.get(item, 0)) for item in ITEMS)


def own(
    usd: Mapping[str, str] | None = None,
    used: Mapping[str, int] | None = None,
    unpriced: Mapping[str, int] | None = None,
    *,
    key: str = "wxyz",
    hour: datetime = FINAL,
    **fields: Any,
) -> OwnUse:
    defaults: dict[str, Any] = {
        "project": "proj_1",
        "model": "gpt-4o",
        "batch": False,
        "service_tier": "default",
        "calls": 1,
        "unpriced_calls": 0,
    }
    return OwnUse(
        hour=hour,
        api_key_id=key,
        used=amounts(used or {}),
        unpriced=amounts(unpriced or {}),
        costs=amounts(usd or {}),
        **{**defaults, **fields},
    )


def charge(usd: str, line_item: str = "gpt-4o, input", **fields: Any) -> Charge:
    defaults = {"day": FINAL.date(), "project": "proj_1", "key": "key_web"}
    return Charge(usd=Decimal(usd), line_item=line_item, **{**defaults, **fields})


def used(values: Mapping[str, int], **fields: Any) -> BilledUse:
    defaults: dict[str, Any] = {
        "hour": FINAL,
        "project": "proj_1",
        "key": "key_web",
        "model": "gpt-4o",
        "batch": False,
        "service_tier": "default",
        "requests": 1,
    }
    return BilledUse(used=amounts(values), **{**defaults, **fields})


def compared(
    charges: list[Charge], use: list[BilledUse], ours: list[OwnUse], *, now: datetime = NOW
) -> Reconciliation:
    account = Account(charges=charges, use=use, keys=KEYS, projects={"proj_1": "Shop"})
    return reconcile(account, ours, month=NOVEMBER, chosen={}, now=now)


def causes(one: Reconciliation) -> list[tuple[CauseKind, str, str]]:
    return [(cause.kind, cause.detail, f"{cause.usd.normalize():f}") for cause in one.causes]


@dataclass
class WrittenBooks:
    """Books as somebody wrote them down; `use` by the endpoint's name."""

    keys: Sequence[Key] = ()
    use: dict[str, list[Entry]] = field(default_factory=dict)
    bill: list[Entry] = field(default_factory=list)

    def usage(self, kind: str) -> Sequence[Entry]:
        return self.use.get(kind, [])

    def costs(self) -> Sequence[Entry]:
        return self.bill
