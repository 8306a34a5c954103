from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from builders import alert, outgoing
from taximeter_alerts.alert import Alert
from taximeter_alerts.channels.slack import plain, slack_message
from taximeter_alerts.message import message_of
from taximeter_alerts.voice import SLACK

PAGE = "https://cost.example.com"


def said(one: Alert) -> dict[str, Any]:
    return slack_message(message_of(outgoing(one, page_url=PAGE), SLACK))


def test_the_message_says_how_much_of_what_and_who_drives_it() -> None:
    message = said(
        alert(
            50,
            limit=Decimal(850),
            spent=Decimal("430.126"),
            also_passed=(25,),
            owner="@web",
            top_features=(("chat", Decimal("300.5")), ("", Decimal("0.0042"))),
        )
    )

    assert message["text"] == "50% of budget “search / November 2026” used: $430.13 of $850.00."
    assert plain(message) == [
        "🟡 50% of budget used: search (November 2026)",
        "🟥🟥🟥🟥🟥⬜⬜⬜⬜⬜  *50.6%*   *$430.13* of *$850.00*",
        "*Left*\n$419.87",
        "*Month gone*\n52%",
        "*Safe daily rate to stay in budget*\n$28.96 / day",
        "*What drives it* (this month, by feature)\n1. `chat` · $300.50\n2. `(none)` · $0.0042",
        "[Open Taximeter]",
        "[Its calls]",
        "Also passed since the last message: 25%. Next: 75%. "
        "Budget `search` · 16 Nov 12:00 UTC · owner @web",
    ]
    assert message["blocks"][-2]["elements"][0]["url"] == PAGE


def test_calls_without_a_price_are_named_and_the_spend_is_at_least() -> None:
    texts = plain(said(alert(unpriced_calls=3)))

    assert any("*at least $6.00*" in text for text in texts)
    assert "*Without a known price*\n3 calls: spend is at least what is shown" in texts


@pytest.mark.parametrize("name", ["<!channel>", "<@U123> & co", "x" * 3000, "`*_~", "🙂" * 200])
def test_a_hostile_name_can_neither_ping_nor_break_the_message(name: str) -> None:
    key = alert().key
    hostile = alert(
        key=type(key)(name, key.period_start, key.kind, key.percent, key.threshold_usd),
        top_features=((name, Decimal(1)),),
        owner=name,
    )

    message = said(hostile)

    for block in message["blocks"]:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
            continue
        text = json.dumps(block)
        assert "<!channel>" not in text
        assert "<@U123>" not in text
        assert len(text) < 3000
    assert "<" not in message["text"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("日本\u202e x", "日本 x"),
        ("a\u2069\u202eb", "ab"),
        ("שלמה", "\u2068שלמה\u2069"),
        ("\u202eعربي", "\u2068عربي\u2069"),
        ("ü 🙂", "ü 🙂"),
    ],
)
def test_a_name_does_not_turn_the_amounts_beside_it(name: str, shown: str) -> None:
    key = replace(alert().key, budget=name)

    message = said(alert(key=key))

    assert message["text"] == f"50% of budget “{shown} / November 2026” used: $6.00 of $10.00."
    assert f"Budget `{shown}` · 16 Nov" in message["blocks"][-1]["elements"][0]["text"]


def test_a_budget_of_zero_has_no_percentage() -> None:
    texts = plain(said(alert(limit=Decimal(0))))

    assert any("over a budget of $0" in text for text in texts)


def test_times_are_the_budgets_own() -> None:
    late = alert(zone="Asia/Kolkata", at=datetime(2026, 11, 30, 18, 0, tzinfo=UTC))

    assert "30 Nov 23:30 Asia/Kolkata" in plain(said(late))[-1]
