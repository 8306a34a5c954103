"""What the page says in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup

from taximeter_api.overview import BudgetLine, BurnUp, Overview, Rise
from taximeter_api.page import format as fmt
from taximeter_collector.store.reconciliations import CauseKind

CAUSES = {
    CauseKind.UNSEEN: "Calls we never saw",
    CauseKind.UNPRICED: "Calls without a price",
    CauseKind.PROVISIONAL: "The last 48 hours, still counted",
    CauseKind.TOOLS: "Tools",
    CauseKind.UNMATCHED_KEY: "Keys that match none of OpenAI's",
    CauseKind.ROUNDING: "Rounding",
    CauseKind.OTHER: "Other",
}


def last_moment(burn_up: BurnUp, zone: ZoneInfo) -> datetime:
    return (burn_up.period.end - timedelta(microseconds=1)).astimezone(zone)


def course(overview: Overview, zone: ZoneInfo) -> Markup:
    """Say where the month is heading and what that means for the budget."""
    burn_up = overview.burn_up
    if burn_up.budget is None:
        return _forecast(overview, zone, Markup("."))
    if burn_up.budget.spent >= burn_up.budget.limit:
        return Markup("{} {}").format(_over_by_now(burn_up.budget), _forecast(overview, zone, "."))
    return _forecast(overview, zone, _against(overview)) + _reached(overview, zone)


def _forecast(overview: Overview, zone: ZoneInfo, rest: str) -> Markup:
    burn_up = overview.burn_up
    end = fmt.long_day(last_moment(burn_up, zone))
    if not burn_up.forecast and (burn_up.forecast is None or overview.unpriced_calls):
        return Markup("Too early to say where it will stand on {}.").format(end)
    least = "at least " if overview.unpriced_calls else ""
    return Markup("On course for {}<strong>{}</strong> by {}{}").format(
        least, fmt.money(burn_up.forecast), end, rest
    )


def _over_by_now(budget: BudgetLine) -> Markup:
    over = budget.spent - budget.limit
    if not over:
        return Markup('The {} budget is <strong class="over">used up</strong>.').format(
            fmt.limit(budget.limit)
        )
    return Markup('Already <strong class="over">{} over the {} budget</strong>.').format(
        fmt.at_least(over, budget.unpriced_calls, _beside(budget)), fmt.limit(budget.limit)
    )


def _against(overview: Overview) -> Markup:
    burn_up, unpriced_calls = overview.burn_up, overview.unpriced_calls
    if burn_up.budget is None or burn_up.forecast is None:
        return Markup("")
    over = burn_up.forecast - burn_up.budget.limit
    if over > 0:
        text = fmt.at_least(over, unpriced_calls, _beside(burn_up.budget))
        return Markup(', <strong class="over">{} over budget</strong>.').format(text)
    if over == 0:
        return Markup(", exactly its budget.")
    up_to = "up to " if unpriced_calls else ""
    under = f"{up_to}{fmt.beside(-over, burn_up.budget.limit)} under"
    for other in overview.budgets:
        if other.is_of_all and other.is_used_up:
            return Markup(
                ', {} its budget, but <strong class="over"><bdi>{}</bdi> is used up</strong>.'
            ).format(under, fmt.name(other.name, 40))
    if burn_up.forecast_high is not None and burn_up.forecast_high > burn_up.budget.limit:
        most = fmt.beside(burn_up.forecast_high, burn_up.budget.limit)
        or_more = " or more" if unpriced_calls else ""
        return Markup(", {} budget, but it may reach <strong>{}</strong>{}.").format(
            under, most, or_more
        )
    return Markup(', <strong class="under">{} budget</strong>.').format(under)


def _beside(budget: BudgetLine) -> Callable[[Decimal], str]:
    return lambda usd: fmt.beside(usd, budget.limit)


def _reached(overview: Overview, zone: ZoneInfo) -> Markup:
    burn_up = overview.burn_up
    if burn_up.budget is None or burn_up.limit_reached_at is None:
        return Markup("")
    at = burn_up.limit_reached_at.astimezone(zone)
    on, at_ = ("by", "by") if overview.unpriced_calls else ("on", "at")
    today = at.date() == overview.taken_at.astimezone(zone).date()
    when = f"today {at_} {at:%H:%M}" if today else f"{on} {fmt.long_day(at)}"
    return Markup(" The {} limit is reached {}.").format(fmt.limit(burn_up.budget.limit), when)


def lost(spans: Mapping[str, int]) -> Markup:
    """Say what never came, by service."""
    parts = [
        Markup("{} of <bdi>{}</bdi>").format(
            "1 call" if count == 1 else f"{count:,} calls",
            fmt.name(service or "an app without a name", 40),
        )
        for service, count in spans.items()
    ]
    return Markup("{} did not arrive").format(Markup(", ").join(parts))


def risen(rise: Rise) -> Markup:
    """Say that a feature costs more, by how much, and whether it is the calls or what one costs."""
    now, before = rise.now, rise.before
    a_call, a_call_before = (fmt.ledger(row.cost / row.calls) for row in (now, before))
    return Markup(
        "<strong><bdi>{}</bdi> costs {:.1f} times what it did the week before:</strong> "
        "{} more in the last 7 whole days. {} calls after {}, at {} a call after {}."
    ).format(
        fmt.name(rise.feature or "(none)", 40),
        now.cost / before.cost,
        fmt.money(rise.usd),
        fmt.count(now.calls),
        fmt.count(before.calls),
        a_call,
        a_call_before,
    )


def no_known_price(calls: int) -> str:
    if calls == 1:
        return "1 call has no known cost (no price for its model, or no usage in its answer)"
    return f"{calls:,} calls have no known cost (no price for the model, or no usage in the answer)"
