from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bills import FINAL, LATE, NOW, causes, charge, compared, own, used
from taximeter_analysis.bill import BilledUse, Charge
from taximeter_analysis.reconcile import revisions
from taximeter_collector.store.reconciliations import ITEMS, CauseKind, Gap, OwnUse

MILLION = 1_000_000
SEEN = "web (…wxyz): some of its calls"


def test_a_bill_that_agrees_has_no_cause() -> None:
    one = compared(
        [charge("2.50"), charge("10", "gpt-4o, output")],
        [used({"input": MILLION, "output": MILLION})],
        [own({"input": "2.50", "output": "10"}, {"input": MILLION, "output": MILLION})],
    )

    assert (one.billed, one.metered) == (Decimal("12.50"), Decimal("12.50"))
    assert (one.causes, one.gaps) == ((), ())


def test_a_key_that_was_never_metered_is_named() -> None:
    one = compared(
        [charge("2.50"), charge("4", key="key_old"), charge("1", "web search", key="key_old")],
        [used({"input": MILLION}), used({"input": 1_600_000}, key="key_old")],
        [own({"input": "2.50"}, {"input": MILLION})],
    )

    assert causes(one) == [(CauseKind.UNSEEN, "laptop (…k7Qz): no call was seen", "5")]


def test_missing_tokens_of_a_metered_key_are_valued_at_what_was_billed_for_them() -> None:
    # A quarter of OpenAI's million tokens never reached us: a quarter of $2.50.
    one = compared(
        [charge("2.50")],
        [used({"input": MILLION}, requests=4)],
        [own({"input": "1.875"}, {"input": 750_000}, calls=3)],
    )

    assert causes(one) == [(CauseKind.UNSEEN, SEEN, "0.625")]
    assert one.gaps == (
        Gap(
            FINAL, "proj_1", "web (…wxyz)", "gpt-4o", False, "default",
            requests=4, calls=3, billed_tokens=MILLION, metered_tokens=750_000,
        ),
    )  # fmt: skip


def test_tokens_without_a_price_of_ours_are_valued_at_what_was_billed_for_them() -> None:
    one = compared(
        [charge("5", "mystery-1, input"), charge("6", "mystery-1, output")],
        [used({"input": 1000, "output": 600}, model="mystery-1")],
        [own({}, *[{"input": 1000, "output": 600}] * 2, model="mystery-1", unpriced_calls=1)],
    )

    assert causes(one) == [(CauseKind.UNPRICED, "mystery-1", "11")]
    assert one.unpriced_calls == 1


def test_a_call_whose_usage_was_lost_is_unpriced_and_not_unseen() -> None:
    one = compared(
        [charge("2.50")],
        [used({"input": MILLION}, requests=2)],
        [
            own({"input": "1.25"}, {"input": 500_000}),
            own(calls=1, unpriced_calls=1, service_tier=""),
        ],
    )

    assert causes(one) == [(CauseKind.UNPRICED, "gpt-4o", "1.25")]


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        (datetime(2026, 11, 5, 23, 59, tzinfo=NOW.tzinfo), CauseKind.PROVISIONAL),
        (datetime(2026, 11, 6, 0, 0, tzinfo=NOW.tzinfo), CauseKind.UNSEEN),
    ],
)
def test_a_day_is_provisional_until_48_hours_after_its_end(now: datetime, kind: CauseKind) -> None:
    one = compared([charge("1", key="key_old")], [], [], now=now)

    assert [cause.kind for cause in one.causes] == [kind]
    assert one.days[0].is_final == (kind is not CauseKind.PROVISIONAL)


def test_hours_that_openai_has_not_counted_yet_are_provisional() -> None:
    one = compared([], [], [own({"input": "3"}, {"input": 1000}, hour=LATE)])

    assert causes(one) == [(CauseKind.PROVISIONAL, "", "-3")]
    assert one.gaps == ()


@pytest.mark.parametrize(
    ("billed", "metered", "kind"),
    [
        ("0.0625", "0.063", CauseKind.ROUNDING),  # within the least that is ever told
        ("0.0625", "0.0632", CauseKind.OTHER),
        ("0.40", "0.404", CauseKind.ROUNDING),  # 1 %
        ("0.40", "0.4041", CauseKind.OTHER),
        ("900", "900.005", CauseKind.ROUNDING),  # half a cent
        ("900", "900.0051", CauseKind.OTHER),
    ],
)
def test_rounding_is_at_most_one_percent_and_half_a_cent(
    billed: str, metered: str, kind: CauseKind
) -> None:
    one = compared(
        [charge(billed)], [used({"input": 1000})], [own({"input": metered}, {"input": 1000})]
    )

    assert [cause.kind for cause in one.causes] == [kind]


def test_another_price_for_the_same_tokens_is_named_with_the_model() -> None:
    one = compared(
        [charge("3.00")], [used({"input": MILLION})], [own({"input": "2.50"}, {"input": MILLION})]
    )

    assert causes(one) == [(CauseKind.OTHER, "gpt-4o: another price than ours", "0.5")]


def test_more_tokens_than_openai_counts_are_named() -> None:
    one = compared(
        [charge("2.50")],
        [used({"input": MILLION})],
        [own({"input": "5"}, {"input": 2 * MILLION})],
    )

    assert causes(one) == [(CauseKind.OTHER, "gpt-4o: we counted more than OpenAI", "-2.5")]


def test_tools_are_told_apart_from_the_tokens_of_the_call() -> None:
    one = compared(
        [charge("2.50"), charge("0.03", "web search tool calls"), charge("1", "Vector storage")],
        [used({"input": MILLION}), used({"web search": 3}, model="gpt-4o", requests=0)],
        [
            own(
                {"input": "2.50", "web search": "0.02"},
                {"input": MILLION, "web search": 2},
            )
        ],
    )

    assert causes(one) == [
        (CauseKind.TOOLS, "Vector storage", "1"),
        (CauseKind.TOOLS, "web search", "0.01"),
    ]


def test_calls_under_a_key_that_is_none_of_the_account_are_named() -> None:
    one = compared(
        [],
        [],
        [own({"input": "1"}, key="0000-1a2b3c4d"), own({"input": "2"}, key="")],
    )

    assert causes(one) == [
        (CauseKind.UNMATCHED_KEY, "no key", "-2"),
        (CauseKind.UNMATCHED_KEY, "…0000-1a2b3c4d", "-1"),
    ]


def test_tiers_are_weighed_apart_where_the_bill_tells_them_apart() -> None:
    # One of two batch requests is missing: $1 of $2, whatever the dearer default line says.
    batch = charge("2", "batch | gpt-4o, input")
    one = compared(
        [charge("40"), batch],
        [used({"input": 1000}), used({"input": 1000}, batch=True, requests=2)],
        [
            own({"input": "40"}, {"input": 1000}),
            own({"input": "1"}, {"input": 500}, batch=True),
        ],
    )

    assert causes(one) == [(CauseKind.UNSEEN, SEEN, "1")]
    assert [line.item for line in one.lines] == ["batch | gpt-4o, input", "gpt-4o, input"]


def test_an_hour_that_slipped_over_is_no_missing_call() -> None:
    later = FINAL + timedelta(hours=1)
    one = compared(
        [charge("2.50")],
        [used({"input": MILLION}, hour=later)],
        [own({"input": "2.50"}, {"input": MILLION})],
    )

    assert one.causes == ()
    assert [(gap.hour, gap.billed_tokens, gap.metered_tokens) for gap in one.gaps] == [
        (FINAL, 0, MILLION),
        (later, MILLION, 0),
    ]


def test_a_past_day_that_openai_revised_is_seen_and_stays_seen() -> None:
    final, late = charge("1"), charge("1", day=LATE.date())
    first = compared([final, late], [], [])
    more = [charge("1.50"), charge("9", day=LATE.date())]
    second = compared(more, [], [], now=NOW + timedelta(hours=1))
    third = compared(more, [], [], now=NOW + timedelta(hours=2))

    for runs in ([second, first], [third, second, first]):
        assert [(one.day, one.before, one.after) for one in revisions(runs)] == [
            (FINAL.date(), Decimal(1), Decimal("1.50"))
        ]
    assert revisions([first]) == revisions([]) == []


@pytest.mark.parametrize("seed", range(40))
def test_the_causes_sum_to_the_difference_exactly(seed: int) -> None:
    chance = random.Random(seed)
    one = compared(
        [_charge(chance) for _ in range(60)],
        [_used(chance) for _ in range(60)],
        [_own(chance) for _ in range(60)],
    )

    assert sum((cause.usd for cause in one.causes), Decimal(0)) == one.difference
    assert sum(line.billed - line.metered for line in one.lines) == one.difference
    assert sum(day.billed - day.metered for day in one.days) == one.difference
    assert len({cause.kind for cause in one.causes}) >= 5


def _usd(chance: random.Random) -> str:
    return f"{chance.randrange(10**13) / 10**12:.12f}"


def _hour(chance: random.Random) -> datetime:
    return FINAL + timedelta(hours=chance.randrange(13 * 24))


def _charge(chance: random.Random) -> Charge:
    items = [f"{tier}gpt-4o, {item}" for tier in ("", "batch | ") for item in ITEMS[:4]]
    line_item = chance.choice([*items, "web search tool calls", "whisper-1, audio", "Storage"])
    key = chance.choice(["key_web", "key_web", "key_old", ""])
    return charge(_usd(chance), line_item, key=key, day=_hour(chance).date())


def _used(chance: random.Random) -> BilledUse:
    values = {item: chance.choice([0, 7, chance.randrange(10**6)]) for item in ITEMS}
    model = chance.choice(["gpt-4o", "whisper-1"])
    return used(values, hour=_hour(chance), model=model, batch=chance.random() < 0.3)


def _own(chance: random.Random) -> OwnUse:
    values = {item: chance.choice([0, 7, chance.randrange(10**6)]) for item in ITEMS}
    unpriced = values if chance.random() < 0.3 else {}
    usd = {} if unpriced else {item: _usd(chance) for item in ITEMS}
    return own(
        usd, values, unpriced,
        key=chance.choice(["wxyz", "wxyz-1a2b3c4d", "0000", ""]),
        hour=_hour(chance),
        batch=chance.random() < 0.3,
        unpriced_calls=1 if unpriced else 0,
    )  # fmt: skip
