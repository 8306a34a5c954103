from __future__ import annotations

from builders import NOON
from taximeter_alerts.savings import FRESH_FOR, LATE, Savings
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Store


def test_a_reader_waits_for_no_look_that_somebody_else_is_about_to_do(store: Store) -> None:
    looks = []

    def book() -> PriceBook:
        looks.append(1)
        return PriceBook.shipped()

    savings = Savings(store, book)
    late = NOON + FRESH_FOR + LATE / 2

    assert savings.newest(NOON) == ([], NOON)
    assert savings.newest(late) == ([], NOON)
    assert len(looks) == 1
    assert savings.at(late) == ([], late)
    assert savings.newest(late + FRESH_FOR + LATE) == ([], late + FRESH_FOR + LATE)
    assert len(looks) == 3
