"""Both sides of the wire keep values alike; they share no code, but this table."""

from __future__ import annotations

import pytest

from taximeter.labels import label, make_readable
from taximeter_collector import labels as collector

CASES = [
    ("", ""),
    ("support-chat", "support-chat"),
    ("ada@example.com", "ada@example.com"),
    ("/v1/items?x=1&y=50%", "/v1/items?x=1&y=50%"),
    ("/chat/{id}/<int:page>", "/chat/{id}/<int:page>"),
    ("поиск 検索 🙂", "поиск 検索 🙂"),
    ("e\u0301", "é"),
    ("a\\", "a%5C"),
    ("') OR 1=1 --", "%27) OR 1=1 --"),
    ('say "hi" `now`', "say %22hi%22 %60now%60"),
    ("\u1fef", "%60"),
    ("two\nlines\x00\x7f\x85", "two%0Alines%00%7F%85"),
    ("%0A", "%0A"),
    ("x" * 256, "x" * 256),
    ("x" * 257, "x" * 243 + "~15eb95a462ee"),
    ("検" * 256, "検" * 256),
    ("é" * 300, "é" * 243 + "~7250b66610f8"),
    ('"' * 86, "%22" * 81 + "~4b5d98de981b"),
]


@pytest.mark.parametrize(("given", "kept"), CASES)
def test_the_app_and_the_collector_keep_a_value_alike(given: str, kept: str) -> None:
    assert label(given) == kept
    assert collector.label(given) == kept


@pytest.mark.parametrize(("given", "kept"), CASES)
def test_the_collector_leaves_what_the_app_made_readable(given: str, kept: str) -> None:
    assert collector.label(label(given)) == kept


@pytest.mark.parametrize(("given", "kept"), CASES)
def test_exactly_the_values_that_changed_are_counted(given: str, kept: str) -> None:
    tags = {"a": given, "b": "plain"}

    assert make_readable(tags) == (given != kept)
    assert tags == {"a": kept, "b": "plain"}


def test_half_a_surrogate_pair_which_no_wire_can_carry_becomes_a_question_mark() -> None:
    assert label("a\ud83d") == "a?"
