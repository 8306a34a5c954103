"""What a message says, in the voice of its channel. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from taximeter_alerts.alert import Alert, AlertKey, Kind, Notice, Outgoing, Story, Told
from taximeter_alerts.periods import month_at, name_of
from taximeter_alerts.story_words import short, usd, words_of
from taximeter_alerts.voice import PLAIN, Voice
from taximeter_alerts.wording import rendered
from taximeter_analysis.drivers import Causes, Driver
from taximeter_analysis.findings import Confidence, Finding
from taximeter_analysis.forecast import Forecast
from taximeter_analysis.spikes import Unusual

SQUARES: Final = 10
DIGESTED: Final = 20
NAMES_IN_A_LINE: Final = 3
MARKS: Final = {
    Kind.FORECAST: "on course to pass it",
    Kind.PACE: "burns too fast",
    Kind.SPIKE: "unusual hour",
    Kind.CORRECTION: "corrected",
    Kind.ENDED: "ended",
    Kind.ACKNOWLEDGED: "taken",
}
REPEATED: Final = "This may be a repeat: nobody knows whether the first attempt arrived."


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The parts of a message; all but title and line are in a channel's markup."""

    title: str
    line: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    paragraphs: tuple[str, ...]
    footer: str
    links: tuple[tuple[str, str], ...]
    """Labels and addresses, the most important first."""
    is_over: bool
    """Something is at its limit, or broken."""


def message_of(outgoing: Outgoing, voice: Voice, templates: Path | None = None) -> Message:
    """Return the message; `templates` is a folder of a team's own."""
    told = outgoing.told
    kind, facts = _several(told) if len(told) > 1 else _one(told[0])
    text = rendered(kind, voice, facts, templates)
    plain = rendered(kind, PLAIN, facts, templates)
    footer = _in_one_line(text.get("footer", ""))
    if outgoing.may_be_repeat:
        footer = f"{footer} {voice.said(REPEATED)}".strip()
    links = [("Open Taximeter", outgoing.page_url)]
    if len(told) == 1 and isinstance(told[0], Alert) and told[0].calls:
        links.append(("Its calls", f"{outgoing.page_url}/calls{told[0].calls}"))
    if outgoing.answer_url:
        links.append(("Acknowledge or snooze", outgoing.answer_url))
    return Message(
        title=_in_one_line(plain["title"]),
        line=_in_one_line(plain["line"]),
        summary=text.get("summary", ""),
        facts=tuple(_pairs(text.get("facts", ""))),
        paragraphs=tuple(part for part in text.get("paragraphs", "").split("\n\n") if part.strip()),
        footer=footer,
        links=tuple(links),
        is_over=any(one.is_over for one in told),
    )


def made_up(at: datetime) -> Alert:
    """Return an alert that is not real, to try channels and templates on."""
    # A key of its own, so that a receiver that knows the last test takes this one, too.
    key = AlertKey("Test of Taximeter, not real", at, Kind.TEST, 50, Decimal(50))
    return Alert(
        key=key,
        period=month_at(at, ZoneInfo("UTC")),
        zone="UTC",
        limit=Decimal(100),
        spent=Decimal("50.25"),
        unpriced_calls=0,
        also_passed=(),
        next_threshold=75,
        at=at,
        channels=(),
        owner="",
        top_features=(("search", Decimal("30.25")), ("chat", Decimal(20))),
    )


def taken_back(alert: Alert) -> Alert:
    """Return what closes the incident of a made-up alert: its budget was raised."""
    key = replace(alert.key, kind=Kind.CORRECTION)
    return replace(alert, key=key, limit=2 * alert.limit)


def samples() -> dict[str, list[dict[str, Any]]]:
    """Return facts of each kind of message, to try templates on."""
    at = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
    told = made_up(at)
    plain = replace(told, top_features=())
    alert = replace(
        told,
        key=replace(told.key, value="ada"),
        unpriced_calls=2,
        also_passed=(25,),
        owner="@web",
        story=_sample_story(told),
    )
    notice = Notice(key=told.key, title="A title", text="A text", at=at, channels=())
    of_alerts = [facts_of(alert), facts_of(plain)]
    kinds: dict[str, list[dict[str, Any]]] = dict.fromkeys(Kind, of_alerts)
    return kinds | {"digest": [_several([alert, plain])[1]], Kind.NOTICE: [_one(notice)[1]]}


def _sample_story(alert: Alert) -> Story:
    cents = Decimal("0.01")
    return Story(
        pace=Decimal("1.2"),
        burn=Decimal(5),
        last_24_hours=Decimal(2),
        usual_24_hours=Decimal(1),
        forecast=Forecast(
            total=Decimal(12),
            low=Decimal(11),
            high=Decimal(13),
            error=0.06,
            reached_at=alert.at + timedelta(days=9),
        ),
        unusual=Unusual(alert.at, Decimal(3), Decimal(1)),
        compared_with=alert.period,
        causes=Causes(volume=cents, mix=cents, new=cents, use=cents, price=cents),
        drivers=(Driver(dimension="feature", name="chat", now=cents, before=cents, why="new"),),
        savings=(
            Finding(
                kind="batch",
                feature="chat",
                model="gpt-4o",
                advice="an advice",
                evidence="an evidence",
                usd_a_month=Decimal(5),
                confidence=Confidence.LOW,
            ),
        ),
    )


def _in_one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _pairs(facts: str) -> list[tuple[str, str]]:
    pairs = (line.partition(": ") for line in facts.splitlines())
    return [(label.strip(), value.strip()) for label, _, value in pairs if value]


def _one(told: Told) -> tuple[str, dict[str, Any]]:
    if isinstance(told, Notice):
        moment = f"{told.at:%d %b %H:%M} UTC"
        return Kind.NOTICE, {"title": told.title, "text": told.text, "moment": moment}
    kind = Kind.THRESHOLD if told.key.kind == Kind.TEST else Kind(told.key.kind)
    return kind, facts_of(told)


def _several(told: Sequence[Told]) -> tuple[str, dict[str, Any]]:
    alerts = [one for one in told if isinstance(one, Alert)]
    notices = [one for one in told if isinstance(one, Notice)]
    dearest = sorted(alerts, key=lambda alert: alert.spent, reverse=True)
    if {(one.key.kind, one.key.budget) for one in told} == {(Kind.ENDED, told[0].key.budget)}:
        whole = replace(dearest[0], key=replace(dearest[0].key, value=""))
        return Kind.ENDED, facts_of(whole) | {"count": len(told)}
    names = [subject(one) for one in dearest] + [one.title for one in notices]
    lines = [
        {
            "sign": _sign(one.key.percent),
            "mark": mark_of(one),
            "budget": subject(one),
            "figures": f"{_spent(one)} of {usd(one.limit)} · {_period(one)}",
        }
        for one in dearest
    ] + [{"sign": "⚠️", "mark": one.title, "budget": "", "figures": one.text} for one in notices]
    worst = max([alert.key.percent for alert in alerts] + [100 for _ in notices])
    return "digest", {
        "count": len(told),
        "sign": _sign(worst),
        "names": ", ".join(names[:NAMES_IN_A_LINE] + ["..."] * (len(names) > NAMES_IN_A_LINE)),
        "alerts": lines[:DIGESTED],
        "more": max(0, len(lines) - DIGESTED),
    }


def facts_of(alert: Alert) -> dict[str, Any]:
    """Return what a template may say about an alert."""
    period = alert.period
    gone = min(1, (alert.at - period.start) / (period.end - period.start))
    days_left = Decimal((period.end - alert.at).total_seconds()) / 86400
    left = max(alert.limit - alert.spent, Decimal(0))
    local = alert.at.astimezone(ZoneInfo(alert.zone))
    calls = f"{alert.unpriced_calls:,} calls" if alert.unpriced_calls > 1 else "1 call"
    return {
        "kind": alert.key.kind,
        "percent": alert.key.percent,
        "sign": _sign(alert.key.percent),
        "budget": subject(alert),
        "period": _period(alert),
        "unit": _unit(alert),
        "unit_name": _unit(alert).capitalize(),
        "bar": _bar(alert),
        "share": _share(alert),
        "spent": _spent(alert),
        "limit": usd(alert.limit),
        "limit_then": usd(alert.key.amount) if _is_raised(alert) else "",
        "left": usd(left),
        "gone": f"{gone:.0%}",
        "watched": f"the last {alert.rolling_days} days" if alert.rolling_days else "",
        "is_retroactive": alert.at >= period.end,
        "safe_daily": usd(left / days_left) if left and days_left >= 1 else "",
        "unpriced": calls if alert.unpriced_calls else "",
        "features": [
            {"rank": rank, "name": short(name or "(none)"), "spent": usd(cost)}
            for rank, (name, cost) in enumerate(alert.top_features, 1)
        ],
        "also_passed": ", ".join(f"{percent}%" for percent in alert.also_passed),
        "next": alert.next_threshold or 0,
        "moment": f"{local:%d %b %H:%M} {alert.zone}",
        "owner": short(alert.owner),
        "revision": alert.revision,
        "taken_by": short(alert.taken_by),
        "count": 1,
        **words_of(alert),
    }


def mark_of(alert: Alert) -> str:
    """Return in a few words what happened, like `90%` or `unusual hour`."""
    return MARKS.get(Kind(alert.key.kind), f"{alert.key.percent}%")


def subject(alert: Alert) -> str:
    """Return whose spend it is: the budget, and the value of one for each user or the like."""
    name = short(alert.key.budget)
    return f"{name}: {short(alert.key.value)}" if alert.key.value else name


def _bar(alert: Alert) -> str:
    full = SQUARES
    if alert.limit:
        full = min(SQUARES, int(alert.spent * SQUARES / alert.limit))
    return "🟥" * full + "⬜" * (SQUARES - full)


def _share(alert: Alert) -> str:
    return f"{alert.spent * 100 / alert.limit:.1f}%" if alert.limit else "over a budget of $0"


def _spent(alert: Alert) -> str:
    return ("at least " if alert.unpriced_calls else "") + usd(alert.spent)


def _period(alert: Alert) -> str:
    return name_of(alert.period, ZoneInfo(alert.zone))


def _is_raised(alert: Alert) -> bool:
    """Tell whether it takes back an alert because its budget's amount is larger now."""
    return alert.key.kind == Kind.CORRECTION and alert.key.amount < alert.limit


def _unit(alert: Alert) -> str:
    is_month = alert.period == month_at(alert.period.start, ZoneInfo(alert.zone))
    return "month" if is_month else "period"


def _sign(percent: int) -> str:
    return "🔴" if percent >= 100 else "🟠" if percent >= 75 else "🟡"
