"""The words of an alert, as Slack's Block Kit wants them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from taximeter_alerts.evaluate import Alert
from taximeter_alerts.periods import month_at, name_of

LONGEST_HEADER: Final = 150
LONGEST_NAME: Final = 60
SQUARES: Final = 10
DIGESTED: Final = 20

Blocks = list[dict[str, Any]]


def slack_message(alert: Alert, *, page_url: str) -> dict[str, Any]:
    """Return the body of an incoming webhook: a line of text and the blocks."""
    percent, budget = alert.key.percent, alert.key.budget
    used = f"{_spent(alert)} of {_usd(alert.limit)}"
    title = f"{_sign(percent)} {percent}% of budget used: {_short(budget)} ({_period(alert)})"
    return {
        "text": _escaped(
            f"{percent}% of budget “{_short(budget)} / {_period(alert)}” used: {used}."
        ),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": title[:LONGEST_HEADER], "emoji": True},
            },
            _section(
                f"{_bar(alert)}  *{_share(alert)}*   *{_spent(alert)}* of *{_usd(alert.limit)}*"
            ),
            {"type": "section", "fields": [_text(field) for field in _fields(alert)]},
            *_features(alert),
            _button(page_url),
            {"type": "context", "elements": [_text(_context(alert))]},
        ],
    }


def slack_digest(alerts: Sequence[Alert], *, page_url: str) -> dict[str, Any]:
    """Return the body of one message about several alerts, the dearest first."""
    dearest = sorted(alerts, key=lambda alert: alert.spent, reverse=True)
    worst = max(alert.key.percent for alert in alerts)
    title = f"{len(alerts)} budget alerts at once"
    lines = [
        f"{_sign(one.key.percent)} *{one.key.percent}%* `{_escaped(_short(one.key.budget))}` · "
        f"{_spent(one)} of {_usd(one.limit)} · {_period(one)}"
        for one in dearest[:DIGESTED]
    ]
    if len(alerts) > DIGESTED:
        lines.append(f"and {len(alerts) - DIGESTED} more")
    names = ", ".join(_short(one.key.budget) for one in dearest[:3])
    return {
        "text": _escaped(f"{title}: {names}{', ...' if len(alerts) > 3 else ''}"),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": f"{_sign(worst)} {title}", "emoji": True},
            },
            *(_section("\n".join(lines[at : at + 10])) for at in range(0, len(lines), 10)),
            _button(page_url),
        ],
    }


def _button(page_url: str) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "style": "primary",
                "action_id": "open_page",
                "text": {"type": "plain_text", "text": "Open Taximeter"},
                "url": page_url,
            }
        ],
    }


def _fields(alert: Alert) -> list[str]:
    period = alert.period
    gone = min(1, (alert.at - period.start) / (period.end - period.start))
    days_left = Decimal((period.end - alert.at).total_seconds()) / 86400
    left = max(alert.limit - alert.spent, Decimal(0))
    fields = [f"*Left*\n{_usd(left)}"]
    if alert.rolling_days:
        fields.append(f"*Watched*\nthe last {alert.rolling_days} days")
    else:
        fields.append(f"*{_unit(alert).capitalize()} gone*\n{gone:.0%}")
    if alert.at >= period.end:
        fields.append(f"*Retroactive*\nthe {_unit(alert)} was over when this was noticed")
    if left and days_left >= 1:
        fields.append(f"*Safe daily rate to stay in budget*\n{_usd(left / days_left)} / day")
    if alert.unpriced_calls:
        calls = f"{alert.unpriced_calls:,} calls" if alert.unpriced_calls > 1 else "1 call"
        fields.append(f"*Without a known price*\n{calls}: spend is at least what is shown")
    return fields


def _features(alert: Alert) -> Blocks:
    if not alert.top_features:
        return []
    lines = [
        f"{rank}. `{_escaped(_short(name or '(none)'))}` · {_usd(cost)}"
        for rank, (name, cost) in enumerate(alert.top_features, 1)
    ]
    return [_section(f"*What drives it* (this {_unit(alert)}, by feature)\n" + "\n".join(lines))]


def _context(alert: Alert) -> str:
    parts = []
    if alert.also_passed:
        passed = ", ".join(f"{percent}%" for percent in alert.also_passed)
        parts.append(f"Also passed since the last message: {passed}.")
    if alert.next_threshold is not None:
        parts.append(f"Next: {alert.next_threshold}%.")
    local = alert.at.astimezone(ZoneInfo(alert.zone))
    parts.append(
        f"Budget `{_escaped(_short(alert.key.budget))}` · {local:%d %b %H:%M} {alert.zone}"
    )
    if alert.owner:
        parts.append(f"· owner {_escaped(_short(alert.owner))}")
    return " ".join(parts)


def _bar(alert: Alert) -> str:
    full = SQUARES
    if alert.limit:
        full = min(SQUARES, int(alert.spent * SQUARES / alert.limit))
    return "🟥" * full + "⬜" * (SQUARES - full)


def _share(alert: Alert) -> str:
    return f"{alert.spent * 100 / alert.limit:.1f}%" if alert.limit else "over a budget of $0"


def _spent(alert: Alert) -> str:
    return ("at least " if alert.unpriced_calls else "") + _usd(alert.spent)


def _period(alert: Alert) -> str:
    return name_of(alert.period, ZoneInfo(alert.zone))


def _unit(alert: Alert) -> str:
    is_month = alert.period == month_at(alert.period.start, ZoneInfo(alert.zone))
    return "month" if is_month else "period"


def _sign(percent: int) -> str:
    return "🔴" if percent >= 100 else "🟠" if percent >= 75 else "🟡"


def _usd(amount: Decimal) -> str:
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    if amount and abs(cents) < 1:
        return f"${amount.quantize(Decimal('0.000001')).normalize():f}"
    return f"${cents:,}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _escaped(text: str) -> str:
    # Only these three have a meaning to Slack: a name like <!channel> must not ping anyone.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def plain(message: dict[str, Any]) -> Sequence[str]:
    """Return the message's texts in reading order, as a terminal shows them."""
    texts = []
    for block in message["blocks"]:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        for part in filter(None, parts):
            text = part["text"]
            texts.append(text if isinstance(text, str) else f"[{text['text']}]")
    return texts
