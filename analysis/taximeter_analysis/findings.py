"""What would save money, each in US dollars a month from the user's own traffic. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from taximeter_collector.calls import Usage
from taximeter_collector.prices import PriceBook
from taximeter_collector.store import Habit

MONTH_DAYS: Final = Decimal("30.4")
LEAST_USD: Final = Decimal(1)
"""A month; less is not worth anybody's time."""
BATCH_DISCOUNT: Final = Decimal("0.5")
LEAST_SHARE: Final = Decimal("0.2")
"""Of a feature's calls; fewer are no habit of it."""
LEAST_CALLS: Final = 20
SNAPSHOT: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")
SMALLER: Final = ("-mini", "-nano")


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to change, and what it would save."""

    kind: str
    feature: str
    model: str
    advice: str
    evidence: str
    usd_a_month: Decimal
    confidence: Confidence


def batchable(habit: Habit, _book: PriceBook, _now: datetime) -> Finding | None:
    """Traffic nobody waits for costs half through the Batch API."""
    if not _is_habit(habit.patient_calls, habit):
        return None
    return Finding(
        kind="batch",
        feature=habit.feature,
        model=habit.model,
        advice="send calls that nobody waits for through the Batch API",
        evidence=f"{_share(habit.patient_calls, habit.calls)} of its calls name no user and are "
        "not streamed",
        usd_a_month=_a_month(habit.patient_cost * BATCH_DISCOUNT, habit),
        confidence=Confidence.MEDIUM,
    )


def smaller_model(habit: Habit, book: PriceBook, now: datetime) -> Finding | None:
    """Price simple calls, which rarely need the larger model of a family, by the smaller one."""
    smaller = _sibling(habit.model)
    if not smaller or not _is_habit(habit.simple_calls, habit):
        return None
    calls = habit.simple_calls
    usage = Usage(
        input_tokens=habit.simple_input_tokens // calls,
        cached_input_tokens=habit.simple_cached_input_tokens // calls,
        output_tokens=habit.simple_output_tokens // calls,
    )
    priced = book.price(smaller, now, usage)
    if priced.usd is None:
        return None
    return Finding(
        kind="smaller_model",
        feature=habit.feature,
        model=habit.model,
        advice=f"try {smaller} for simple calls",
        evidence=f"{_share(calls, habit.calls)} of its calls are short in and out, "
        "without reasoning and tools",
        usd_a_month=_a_month(habit.simple_cost - priced.usd * calls, habit),
        confidence=Confidence.LOW,
    )


def output_limit(habit: Habit, _book: PriceBook, _now: datetime) -> Finding | None:
    """Answers without a limit, or with one far above what is used, have a long tail."""
    if not _is_habit(habit.uncapped_calls, habit):
        return None
    return Finding(
        kind="max_tokens",
        feature=habit.feature,
        model=habit.model,
        advice=f"set max_tokens to about {habit.p99_output_tokens:,}",
        evidence=f"{_share(habit.uncapped_calls, habit.calls)} of its calls have none, or more "
        f"than four times what 99% of answers need; the longest had {habit.most_output_tokens:,}",
        usd_a_month=_a_month(habit.tail_cost, habit),
        confidence=Confidence.MEDIUM,
    )


RULES: Final[Sequence[Callable[[Habit, PriceBook, datetime], Finding | None]]] = (
    batchable,
    smaller_model,
    output_limit,
)


def findings(habits: Sequence[Habit], book: PriceBook, now: datetime) -> list[Finding]:
    """Return all that is worth a dollar a month or more, the largest saving first."""
    found = [rule(habit, book, now) for habit in habits for rule in RULES]
    worth = [one for one in found if one is not None and one.usd_a_month >= LEAST_USD]
    return sorted(worth, key=lambda one: (-one.usd_a_month, one.feature, one.kind))


def _is_habit(calls: int, habit: Habit) -> bool:
    return calls >= LEAST_CALLS and calls >= LEAST_SHARE * habit.calls


def _a_month(usd: Decimal, habit: Habit) -> Decimal:
    return usd / habit.days * MONTH_DAYS


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"


def _sibling(model: str) -> str:
    """Return the next smaller model of a family by its name; "" when there is none."""
    base = SNAPSHOT.sub("", model)
    larger, smaller = SMALLER
    if base.endswith(smaller):
        return ""
    return base.removesuffix(larger) + smaller if base.endswith(larger) else base + larger
