"""A believable overview page: eight features, a budget that November will not keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from taximeter_api.overview import (
    AlertMark,
    BudgetLine,
    BurnUp,
    Feature,
    Last24Hours,
    ModelLine,
    Overview,
    UserLine,
)
from taximeter_collector.store import Period

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
TAKEN_AT = datetime(2026, 11, 22, 10, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)


def sample_overview(**fields: Any) -> Overview:
    """Build the overview of 22 November; `fields` are those of `Overview`."""
    sample = Overview(
        taken_at=TAKEN_AT,
        zone="UTC",
        last_call_at=TAKEN_AT - timedelta(seconds=1),
        spent=Decimal("649.693127"),
        unpriced_calls=0,
        estimated_cost=Decimal("3.214"),
        calls=138_902,
        yesterday=Decimal("23.6264"),
        per_1000_calls=Decimal("4.6773"),
        burn_up=burn_up(),
        days=days(),
        features=features(),
        budgets=budgets(),
        models=models(),
        users=users(),
        last_24_hours=Last24Hours(
            calls=3_612,
            succeeded_share=0.98024,
            rate_limited_share=0.01136,
            p95_ms=28_640,
            median_ttft_ms=423.4,
            cached_input_share=0.0873,
        ),
        book_version="a1b2c3d4e5f60718",
    )
    return replace(sample, **fields)


def budget_line(
    name: str = "All production", spent: str = "649.69", limit: str = "850", unpriced_calls: int = 0
) -> BudgetLine:
    return BudgetLine(
        name=name,
        spent=Decimal(spent),
        limit=Decimal(limit),
        percent=Decimal(spent) * 100 / Decimal(limit),
        unpriced_calls=unpriced_calls,
    )


def burn_up(
    *,
    spent: str = "649.693127",
    forecast: str | None = "883.62",
    limit: str | None = "850",
    now: datetime = TAKEN_AT,
    alerts: tuple[int, ...] = (50, 75),
    **fields: Any,
) -> BurnUp:
    """Build a month that climbs by the weekday to `spent` at `now` and on to `forecast`."""
    points = _climb(NOVEMBER.start, now, Decimal(0), Decimal(spent))
    budget = budget_line(spent=spent, limit=limit) if limit else None
    marks = [(percent, Decimal(limit) * percent / 100) for percent in alerts] if limit else []
    view = BurnUp(
        period=NOVEMBER,
        points=points,
        forecast=Decimal(forecast) if forecast else None,
        forecast_points=_climb(now, NOVEMBER.end, Decimal(spent), Decimal(forecast))
        if forecast
        else (),
        budget=budget,
        alerts=tuple(
            AlertMark(at=_first(points, amount), percent=percent, spent=amount)
            for percent, amount in marks
            if amount <= Decimal(spent)
        ),
        limit_reached_at=datetime(2026, 11, 29, 7, tzinfo=UTC),
    )
    return replace(view, **fields)


def _climb(
    start: datetime, end: datetime, low: Decimal, high: Decimal
) -> tuple[tuple[datetime, Decimal], ...]:
    hours = [start + HOUR * step for step in range(int((end - start) / HOUR) + 1)]
    weights = [_busy(at) for at in hours]
    total, passed, climb = sum(weights) or 1, 0, []
    for at, weight in zip(hours, weights, strict=True):
        passed += weight
        climb.append((at, low + (high - low) * passed / total))
    return tuple(climb)


def _busy(at: datetime) -> int:
    day = (
        10
        if at.weekday() >= 5
        else 24
        if date(2026, 11, 16) <= at.date() <= date(2026, 11, 20)
        else 17
    )
    return day * (3 if 7 <= at.hour < 19 else 1)


def _first(points: tuple[tuple[datetime, Decimal], ...], amount: Decimal) -> datetime:
    return next(at for at, usd in points if usd >= amount)


SHARES = {
    "support-chat": (1000, "241.5908", 0.3719, 0.142, 26_968, "8.9584", 0.191, 0.0209, 10_840.0),
    "code-review-bot": (420, "138.9127", 0.2138, 1.591, 3_245, "42.8082", 0.031, 0.0231, 132_300.0),
    "nightly-reports": (560, "89.9731", 0.1385, -0.0212, 2_416, "37.2405", 0.052, 0.0219, 47_210.0),
    "contract-summary": (450, "75.4242", 0.1161, 0.031, 1_463, "51.5545", 0.0, 0.0212, 66_100.0),
    "email-drafting": (310, "49.5217", 0.0762, -0.002, 9_120, "5.4300", 0.093, 0.0221, 13_390.0),
    "ticket-triage": (220, "35.9026", 0.0553, -0.031, 35_550, "1.0099", 0.204, 0.0207, 499.6),
    "invoice-extract": (110, "17.9366", 0.0276, 0.0388, 6_338, "2.8300", 0.021, 0.0213, 7_180.0),
    "doc-search": (3, "0.4400", 0.0007, None, 53_610, "0.0082", None, 0.0211, 239.3),
}


def days() -> tuple[tuple[date, dict[str, Decimal]], ...]:
    first = date(2026, 10, 24)
    return tuple((day, _spend(day)) for day in (first + timedelta(days=n) for n in range(30)))


def _spend(day: date) -> dict[str, Decimal]:
    weekend = day.weekday() >= 5
    part = 4 if day == TAKEN_AT.date() else 10
    wobble = 90 + (day.toordinal() * 37) % 23
    spend = {}
    for feature, (weight, *_) in SHARES.items():
        busy = 45 if weekend and feature != "nightly-reports" else 100
        rate = 450 if feature == "code-review-bot" and date(2026, 11, 18) <= day else 100
        cents = weight * wobble * busy * rate * part // 10_000_000
        spend[feature] = Decimal(cents) / 100
    return spend


def features() -> tuple[Feature, ...]:
    by_day = days()
    return tuple(
        Feature(
            name=name,
            cost=Decimal(cost),
            share=share,
            last_30_days=tuple(spend[name] for _, spend in by_day),
            week_on_week=change,
            calls=calls,
            unpriced_calls=0,
            per_1000_calls=Decimal(per_1000),
            cached_input_share=cached,
            error_share=errors,
            p95_ms=p95,
        )
        for name, (_, cost, share, change, calls, per_1000, cached, errors, p95) in SHARES.items()
    )


def budgets() -> tuple[BudgetLine, ...]:
    return (
        budget_line("All production", "649.69", "850"),
        budget_line("Code review bot", "149.61", "160"),
        budget_line("Contract summary", "81.20", "110"),
        budget_line("Support chat", "241.59", "350"),
        budget_line("Ticket triage", "38.90", "60"),
    )


def models() -> tuple[ModelLine, ...]:
    table = (
        ("gpt-4o", "414.5431", "252.1012", "28.2210", "134.2209", 139_200_000),
        ("gpt-5", "135.5188", "48.4077", "0.9130", "86.1981", 46_980_000),
        ("o4-mini", "78.8194", "22.3050", "1.1044", "55.4100", 34_410_000),
        ("gpt-5-mini", "12.8204", "5.5100", "0.2101", "7.1003", 28_800_000),
        ("gpt-4o-mini", "7.5550", "4.1010", "0.1030", "3.3510", 51_500_000),
        ("text-embedding-3-small", "0.4360", "0.4360", "0", "0", 23_900_000),
    )
    return tuple(
        ModelLine(
            name=name,
            cost=Decimal(cost),
            input_cost=Decimal(fresh),
            cached_input_cost=Decimal(cached),
            output_cost=Decimal(output),
            other_cost=Decimal(cost) - Decimal(fresh) - Decimal(cached) - Decimal(output),
            tokens=tokens,
            unpriced_calls=0,
        )
        for name, cost, fresh, cached, output, tokens in table
    )


def users() -> tuple[UserLine, ...]:
    table = (
        ("svc-batch", "nightly-reports", 38_100, "125.8711"),
        ("u0007", "support-chat", 14_010, "75.0388"),
        ("u0008", "support-chat", 10_720, "55.7940"),
        ("u0009", "support-chat", 8_405, "43.9902"),
        ("u0010", "support-chat", 6_830, "34.9451"),
        ("u0011", "support-chat", 5_602, "29.8713"),
    )
    return tuple(
        UserLine(name=name, feature=feature, calls=calls, cost=Decimal(cost), unpriced_calls=0)
        for name, feature, calls, cost in table
    )
