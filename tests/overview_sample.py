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
    Overview,
)
from taximeter_collector.store import Period, SpendRow
from taximeter_collector.store.traffic import Traffic

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
        last_24_hours=Traffic(
            calls=50_000,
            errors=988,
            rate_limited=568,
            p95_ms=28_640,
            median_ttft_ms=423.4,
            input_tokens=10_000,
            cached_input_tokens=873,
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
        forecast_high=None,
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
    "support-chat": (1000, "241.5908", 0.3719, 0.142, 26_968, 0.191, 0.0209, 10_840.0),
    "code-review-bot": (420, "138.9127", 0.2138, 1.591, 3_245, 0.031, 0.0231, 132_300.0),
    "nightly-reports": (560, "89.9731", 0.1385, -0.0212, 2_416, 0.052, 0.0219, 47_210.0),
    "contract-summary": (450, "75.4242", 0.1161, 0.031, 1_463, 0.0, 0.0212, 66_100.0),
    "email-drafting": (310, "49.5217", 0.0762, -0.002, 9_120, 0.093, 0.0221, 13_390.0),
    "ticket-triage": (220, "35.9026", 0.0553, -0.031, 35_550, 0.204, 0.0207, 499.6),
    "invoice-extract": (110, "17.9366", 0.0276, 0.0388, 6_338, 0.021, 0.0213, 7_180.0),
    "doc-search": (3, "0.4400", 0.0007, None, 53_610, None, 0.0211, 239.3),
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


def sums(name: str, **measures: Any) -> SpendRow:
    return SpendRow.nothing()._replace(key=(name,), **measures)


def features() -> tuple[Feature, ...]:
    by_day = days()
    return tuple(
        Feature(
            sums=sums(
                name,
                cost=Decimal(cost),
                calls=calls,
                errors=round(calls * errors),
                input_tokens=1000 if cached is not None else 0,
                cached_input_tokens=round(1000 * (cached or 0)),
            ),
            share=share,
            last_30_days=tuple(spend[name] for _, spend in by_day),
            week_on_week=change,
            p95_ms=p95,
        )
        for name, (_, cost, share, change, calls, cached, errors, p95) in SHARES.items()
    )


def budgets() -> tuple[BudgetLine, ...]:
    return (
        budget_line("All production", "649.69", "850"),
        budget_line("Code review bot", "149.61", "160"),
        budget_line("Contract summary", "81.20", "110"),
        budget_line("Support chat", "241.59", "350"),
        budget_line("Ticket triage", "38.90", "60"),
    )


def models() -> tuple[SpendRow, ...]:
    table = (
        ("gpt-4o", "414.5431", "252.1012", "28.2210", "134.2209", 139_200_000),
        ("gpt-5", "135.5188", "48.4077", "0.9130", "86.1981", 46_980_000),
        ("o4-mini", "78.8194", "22.3050", "1.1044", "55.4100", 34_410_000),
        ("gpt-5-mini", "12.8204", "5.5100", "0.2101", "7.1003", 28_800_000),
        ("gpt-4o-mini", "7.5550", "4.1010", "0.1030", "3.3510", 51_500_000),
        ("text-embedding-3-small", "0.4360", "0.4360", "0", "0", 23_900_000),
    )
    return tuple(
        sums(
            name,
            cost=Decimal(cost),
            cost_input=Decimal(fresh),
            cost_cached_input=Decimal(cached),
            cost_output=Decimal(output),
            input_tokens=tokens,
        )
        for name, cost, fresh, cached, output, tokens in table
    )


def users() -> tuple[tuple[SpendRow, str], ...]:
    table = (
        ("svc-batch", "nightly-reports", 38_100, "125.8711"),
        ("u0007", "support-chat", 14_010, "75.0388"),
        ("u0008", "support-chat", 10_720, "55.7940"),
        ("u0009", "support-chat", 8_405, "43.9902"),
        ("u0010", "support-chat", 6_830, "34.9451"),
        ("u0011", "support-chat", 5_602, "29.8713"),
    )
    return tuple(
        (sums(name, calls=calls, cost=Decimal(cost)), feature)
        for name, feature, calls, cost in table
    )
