from __future__ import annotations

import pytest

from taximeter_collector.labels import label


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("support-chat", "support-chat"),
        ("ada@example.com", "ada@example.com"),
        ("/v1/items?x=1&y=50%", "/v1/items?x=1&y=50%"),
        ("поиск 検索", "поиск 検索"),
        ("e\u0301", "é"),
        ("a\\", "a%5C"),
        ("') OR 1=1 --", "%27) OR 1=1 --"),
        ('say "hi"', "say %22hi%22"),
        ("two\nlines\x00", "two%0Alines%00"),
    ],
)
def test_a_label_stays_readable_and_can_break_out_of_no_quotes(given: str, kept: str) -> None:
    assert label(given) == kept


def test_a_long_label_is_cut_with_a_hash_that_keeps_it_apart_from_others() -> None:
    long, other = label("x" * 300), label("x" * 299 + "y")

    assert len(long) == 256
    assert long.startswith("x" * 200)
    assert long != other


def test_no_label_takes_long_whatever_it_is_made_of() -> None:
    hostile = "a" + "\u0301\u0327" * 500_000

    assert len(label(hostile)) <= 256


def test_half_a_character_harms_nothing() -> None:
    assert label("bad\ud800") == "bad?"
