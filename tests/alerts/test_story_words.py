from __future__ import annotations

from decimal import Decimal

import pytest

from taximeter_alerts.story_words import usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1234.567", "$1,234.57"),
        ("0.849197", "$0.85"),
        ("0.5", "$0.50"),
        ("0.0412345", "$0.041234"),
        ("0.05", "$0.05"),
        ("0", "$0.00"),
    ],
)
def test_dollars_are_told_in_cents_where_cents_say_enough(amount: str, text: str) -> None:
    assert usd(Decimal(amount)) == text
