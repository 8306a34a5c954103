from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from builders import NOON, Rows, call, costing, unpriced
from taximeter_collector.calls import CostStatus, Priced
from taximeter_collector.store import Period, Store
from taximeter_collector.store.reconciliations import (
    BilledDay,
    BilledLine,
    Cause,
    CauseKind,
    Gap,
    Reconciliation,
)

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def add(store: Store, rows: Rows) -> None:
    store.add(rows, token=f"reconcile-{id(rows)}", book_version="b1", now=NOON)


def reconciliation(month: date, taken_at: datetime, billed: str = "2.5") -> Reconciliation:
    return Reconciliation(
        month=month,
        taken_at=taken_at,
        billed=Decimal(billed),
        metered=Decimal("1.000000000001"),
        unpriced_calls=3,
        causes=(Cause(CauseKind.UNSEEN, "web (…wxyz)", Decimal("1.499999999999")),),
        days=(BilledDay(month, Decimal("2.5"), Decimal("1.000000000001"), True, 3),),
        lines=(BilledLine("Shop", "web", "gpt-4o, input", Decimal("2.5"), Decimal(1), 3),),
        gaps=(Gap(NOON, "proj_1", "web", "gpt-4o", True, "", 4, 3, 2_000, 1_000),),
    )


def test_the_use_of_openai_is_summed_by_what_its_bill_tells_apart(store: Store) -> None:
    searches = {"web_searches.preview": Decimal(2), "file_searches": Decimal(4)}
    usage = {"cached_input_tokens": 400, "meters": searches}
    searched = call(project="proj_1", api_key_id="wxyz", usage=usage, service_tier="fast")
    # 600 at $10, 400 at $1, 100 at $20 a million, searches of both kinds, and $0.001 of audio
    parts = {
        "input": "0.006",
        "cached_input": "0.0004",
        "output": "0.002",
        "web_searches": "0.02",
        "file_searches": "0.01",
        "audio_output": "0.001",
    }
    components = {name: Decimal(usd) for name, usd in parts.items()}
    exact = Priced(status=CostStatus.EXACT, usd=Decimal("0.0394"), components=components)
    add(store, [(searched, exact), unpriced(project="proj_1"), unpriced(project="proj_1")])

    by_model = {use.model: use for use in store.openai_use(NOVEMBER)}

    one = by_model["gpt-4o"]
    assert (one.hour, one.project, one.api_key_id) == (NOON, "proj_1", "wxyz")
    assert one.service_tier == "priority"
    assert [int(used) for used in one.used] == [600, 400, 0, 100, 0, 2, 4, 0]
    assert [f"{cost.normalize():f}" for cost in one.costs] == (
        ["0.006", "0.0004", "0", "0.003", "0", "0.02", "0.01", "0"]
    )
    mystery = by_model["mystery-1"]
    assert (mystery.calls, mystery.unpriced_calls) == (2, 2)
    assert mystery.unpriced == mystery.used
    assert int(mystery.used[0]) == 2_000


def test_only_calls_that_reached_openai_are_compared_with_its_bill(store: Store) -> None:
    add(
        store,
        [
            costing("1", server_address="api.openai.com"),
            costing("2", server_address="gateway.example.com", project="proj_1"),
            costing("4", server_address="llm.example.com"),
            costing("8", server_address="x.openai.azure.com", provider="azure.ai.openai"),
            costing("16", server_address="api.openai.com", ts=NOVEMBER.end),
            costing("32", server_address="eu.api.openai.com", ts=NOVEMBER.start),
        ],
    )

    assert sum(sum(use.costs) for use in store.openai_use(NOVEMBER)) == Decimal(1 + 2 + 32)


def test_every_reconciliation_is_kept_with_its_moment(store: Store) -> None:
    november, october = date(2026, 11, 1), date(2026, 10, 1)
    first = reconciliation(november, NOON)
    second = reconciliation(november, NOON + timedelta(milliseconds=1), billed="2.6")
    other = reconciliation(october, NOON - timedelta(days=1))
    for one in (first, other, second):
        store.keep_reconciliation(one)

    assert store.reconciliations(november) == [second, first]
    assert store.reconciliations() == [second, first, other]
    assert store.reconciliations(date(2026, 9, 1)) == []
