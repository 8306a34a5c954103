from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from taximeter_api.page import format as fmt

NOON = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0"),
        ("0.00000001", "<$0.0001"),
        ("0.00009999", "<$0.0001"),
        ("0.0001", "$0.0001"),
        ("0.0042", "$0.0042"),
        ("0.015", "$0.015"),
        ("0.05", "$0.05"),
        ("0.09999", "$0.10"),
        ("0.44", "$0.44"),
        ("23.6264", "$23.63"),
        ("99.994", "$99.99"),
        ("99.995", "$100"),
        ("649.69", "$650"),
        ("12345.6", "$12,346"),
        ("-34.5", "-$34.50"),
        ("-0.00000001", ">-$0.0001"),
    ],
)
def test_money_is_told_at_a_glance_and_never_rounded_to_nothing(usd: str, text: str) -> None:
    assert fmt.money(Decimal(usd)) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0"),
        ("0.00000001", "<$0.0001"),
        ("0.0082", "$0.0082"),
        ("241.5908", "$241.59"),
        ("12345.678", "$12,345.68"),
        ("123456.78", "$123,457"),
    ],
)
def test_a_column_of_money_shows_cents(usd: str, text: str) -> None:
    assert fmt.ledger(Decimal(usd)) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0.011657500000", "$0.0116575"),
        ("0.000000000001", "$0.000000000001"),
        ("0.004500000000", "$0.004500"),
        ("12", "$12.000000"),
    ],
)
def test_one_call_is_told_with_every_digit(usd: str, text: str) -> None:
    assert fmt.exact(Decimal(usd)) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("850", "$850"),
        ("850.00", "$850"),
        ("850.5", "$850.50"),
        ("0.005", "$0.005"),
        ("1E+4", "$10,000"),
    ],
)
def test_a_limit_is_never_rounded_to_another_one(usd: str, text: str) -> None:
    assert fmt.limit(Decimal(usd)) == text


@pytest.mark.parametrize(
    ("usd", "unpriced_calls", "text"),
    [
        ("650", 0, "$650"),
        ("650", 12, "at least $650"),
        ("0", 0, "$0"),
        ("0", 12, "unknown"),
    ],
)
def test_a_sum_without_all_prices_is_a_lower_bound_and_never_0(
    usd: str, unpriced_calls: int, text: str
) -> None:
    assert fmt.at_least(Decimal(usd), unpriced_calls) == text


@pytest.mark.parametrize(
    ("usd", "limit", "text"),
    [
        ("81.2", "110", "$81"),
        ("38.9", "60", "$38.90"),
        ("0.42", "110", "$0.42"),
        ("849.7", "850", "$849.70"),
    ],
)
def test_money_beside_a_limit_is_as_fine_as_the_limit(usd: str, limit: str, text: str) -> None:
    assert fmt.beside(Decimal(usd), Decimal(limit)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (26_968, "27.0k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (138_902, "139k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (46_980_000, "47.0M"),
        (139_200_000, "139M"),
        (2_000_000_000, "2.0B"),
        (12_345_000_000_000, "12,345B"),
    ],
)
def test_counts_are_told_in_three_digits(number: int, text: str) -> None:
    assert fmt.count(number) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (0.2, "<1 ms"),
        (499.6, "500 ms"),
        (999.6, "1.0 s"),
        (10_840, "10.8 s"),
        (59_960, "1.0 min"),
        (132_300, "2.2 min"),
        (3_599_000, "1.0 h"),
    ],
)
def test_durations_change_their_unit(ms: float, text: str) -> None:
    assert fmt.duration(ms) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.0, 0, "0 %"),
        (0.0007, 0, "<1 %"),
        (0.0004, 1, "<0.1 %"),
        (0.3719, 0, "37 %"),
        (0.98024, 2, "98.02 %"),
        (0.999, 0, ">99 %"),
        (0.999_99, 2, ">99.99 %"),
        (1.0, 2, "100.00 %"),
    ],
)
def test_only_nothing_is_0_percent_and_only_all_is_100(
    share: float, digits: int, text: str
) -> None:
    assert fmt.percent(share, digits) == text


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        ("0", "0 %"),
        ("0.4", "<1 %"),
        ("49.9999992", "49 %"),
        ("99.99", "99 %"),
        ("1306.2", "1,306 %"),
    ],
)
def test_a_threshold_is_not_said_before_it_is_reached(percent: str, text: str) -> None:
    assert fmt.used(Decimal(percent)) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.142, "+14 %"), (-0.031, "\N{MINUS SIGN}3 %"), (-0.002, "0 %"), (15.9, "+1,590 %")],
)
def test_changes_have_their_sign(share: float, text: str) -> None:
    assert fmt.change(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (0.4, "just now"),
        (4, "4 s ago"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (47 * 3600, "47 h ago"),
        (5 * 86400, "5 days ago"),
    ],
)
def test_ages_are_told_in_one_unit(seconds: float, text: str) -> None:
    assert fmt.age(NOON - timedelta(seconds=seconds), NOON) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("support-chat", "support-chat"),
        ("x" * 11, "x" * 9 + "…"),
        ("a\x00b\x7f", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("ميزة", "ميزة"),
    ],
)
def test_names_are_cut_and_hold_nothing_that_a_page_may_not(text: str, shown: str) -> None:
    assert fmt.name(text, 12 if len(text) == 12 else 10) == shown


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-01T00:00Z", "2026-12-01T00:00Z", "1 to 30 November 2026"),
        ("2026-11-28T00:00Z", "2026-11-29T00:00Z", "28 November 2026"),
        ("2026-10-28T00:00Z", "2026-11-29T00:00Z", "28 October to 28 November 2026"),
        ("2026-12-28T00:00Z", "2027-01-29T00:00Z", "28 December 2026 to 28 January 2027"),
        ("2026-11-28T00:00Z", "", "since 28 November 2026"),
        ("2026-11-28T00:00+14:00", "2026-11-29T00:00+14:00", "28 November 2026 (UTC+14:00)"),
        (
            "2026-10-20T00:00+02:00",
            "2026-11-01T00:00+01:00",
            "20 to 31 October 2026 (UTC+02:00 to UTC+01:00)",
        ),
        (
            "2026-11-28T00:00+14:00",
            "2026-11-28T12:00+14:00",
            "28 November 2026 00:00 to 28 November 2026 12:00 (UTC+14:00)",
        ),
        ("2026-11-28T20:00Z", "", "since 28 November 2026 20:00 (UTC)"),
    ],
)
def test_a_period_is_told_by_the_clock_that_it_was_given_in(
    start: str, end: str, words: str
) -> None:
    last = datetime.fromisoformat(end) if end else None

    assert fmt.period(datetime.fromisoformat(start), last) == words
