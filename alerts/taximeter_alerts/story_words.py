"""The story of an alert in words, for templates. Pure."""

from __future__ import annotations

from dataclasses import fields
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from taximeter_alerts.alert import Alert, Story
from taximeter_alerts.periods import name_of
from taximeter_analysis.drivers import Causes, Driver
from taximeter_analysis.findings import Finding

LONGEST_NAME: Final = 60
CAUSES: Final = {
    "volume": "number of calls",
    "mix": "mix of features, models and prompts",
    "new": "what is new",
    "use": "tokens a call",
    "price": "prices",
}
CENT: Final = Decimal("0.01")


def words_of(alert: Alert) -> dict[str, Any]:
    """Return what a template may say of a story; empty where nothing is known."""
    story, zone = alert.story, ZoneInfo(alert.zone)
    compared = story.compared_with
    return {
        "pace": f"{story.pace:.2f} times" if story.pace is not None else "",
        "burn": f"{story.burn:.1f} times" if story.burn is not None else "",
        "last_24_hours": _last_24_hours(story),
        "compared_with": name_of(compared, zone) if compared else "",
        "drivers": [_driver(rank, one) for rank, one in enumerate(story.drivers, 1)],
        "causes": by_cause(story.causes) if story.causes else "",
        "savings": [_saving(one) for one in story.savings],
        **_forecast(alert, zone),
        **_unusual(story, zone),
    }


def usd(amount: Decimal) -> str:
    """Tell dollars: cents, and more digits where cents would say little."""
    cents = amount.quantize(CENT, ROUND_HALF_EVEN)
    if amount != cents and abs(cents) < 10 * CENT:
        return f"${amount.quantize(Decimal('0.000001')).normalize():f}"
    return f"${cents:,}"


def signed(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'}{usd(abs(amount))}"


def changed(change: Decimal, before: Decimal) -> str:
    """Tell a change in dollars, and in percent of what was before."""
    return signed(change) + (f" ({change * 100 / before:+.0f}%)" if before else "")


def by_cause(causes: Causes) -> str:
    """Tell what a change is made of, the largest part first."""
    parts = [(getattr(causes, field.name), CAUSES[field.name]) for field in fields(causes)]
    told = [part for part in parts if abs(part[0]) >= CENT]
    told.sort(key=lambda part: -abs(part[0]))
    return ", ".join(f"{name} {signed(usd_)}" for usd_, name in told)


def short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _forecast(alert: Alert, zone: ZoneInfo) -> dict[str, str]:
    forecast = alert.story.forecast
    if forecast is None:
        return dict.fromkeys(("forecast", "range", "forecast_share", "past_error", "runs_out"), "")
    low, high = forecast.low, forecast.high
    return {
        "forecast": usd(forecast.total),
        "range": f"{usd(low)} to {usd(high)}" if low is not None and high is not None else "",
        "forecast_share": f"{forecast.total * 100 / alert.limit:.0f}%" if alert.limit else "",
        "past_error": f"{forecast.error:.0%}" if forecast.error is not None else "",
        "runs_out": f"{forecast.reached_at.astimezone(zone):%a %d %b %H:%M}"
        if forecast.reached_at
        else "",
    }


def _unusual(story: Story, zone: ZoneInfo) -> dict[str, str]:
    found = story.unusual
    if found is None:
        return dict.fromkeys(("hour", "hour_cost", "hour_usual"), "")
    return {
        "hour": f"{found.hour.astimezone(zone):%d %b %H:%M}",
        "hour_cost": usd(found.cost),
        "hour_usual": usd(found.usual),
    }


def _last_24_hours(story: Story) -> str:
    last, usual = story.last_24_hours, story.usual_24_hours
    if last is None:
        return ""
    change = f" ({last * 100 / usual - 100:+.0f}% against a week before)" if usual else ""
    return usd(last) + change


def _driver(rank: int, one: Driver) -> dict[str, Any]:
    return {
        "rank": rank,
        "dimension": one.dimension,
        "name": short(one.name or "(none)"),
        "now": usd(one.now),
        "change": changed(one.change, one.before),
        "why": one.why,
    }


def _saving(one: Finding) -> dict[str, str]:
    return {
        "feature": short(one.feature or "(none)"),
        "advice": one.advice,
        "evidence": one.evidence,
        "usd": usd(one.usd_a_month),
    }
