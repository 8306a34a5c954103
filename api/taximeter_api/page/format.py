"""How values read on the page: plain text for numbers, money, times and names."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo

SMALLEST = Decimal("0.0001")
LONGEST_IN_A_LINK = 60
MANY_ERRORS = 0.05
"""Of the calls; so many are red."""
STEEP = 0.5
"""Of what it cost before; so much more is red."""
MINUS = "\N{MINUS SIGN}"


def money(usd: Decimal) -> str:
    """Tell dollars at a glance: whole ones from $100 on."""
    if abs(usd) >= Decimal("99.995"):
        return _dollars(usd, "1")
    return ledger(usd)


def ledger(usd: Decimal) -> str:
    """Tell dollars in a column: cents, and more digits where cents would say nothing."""
    size = abs(usd)
    if size >= 100_000 or not size:
        return _dollars(usd, "1")
    if size < SMALLEST:
        return "<$0.0001" if usd > 0 else ">-$0.0001"
    if size < Decimal("0.1"):
        text = _dollars(usd, "0.0001")
        return text[:-2] + text[-2:].rstrip("0")
    return _dollars(usd, "0.01")


def beside(usd: Decimal, other: Decimal) -> str:
    """Tell dollars no finer than `other`, "$81 of $110", unless both would read the same."""
    if other < 100 or abs(usd) < 1:
        return money(usd)
    return ledger(usd) if usd < other <= usd + Decimal("0.5") else _dollars(usd, "1")


def signed(usd: Decimal) -> str:
    """Tell a difference in dollars with its direction, unless it is next to nothing."""
    if abs(usd) < SMALLEST:
        return ledger(abs(usd))
    return f"{'+' if usd > 0 else MINUS}{ledger(abs(usd))}"


def limit(usd: Decimal) -> str:
    """Tell a budget's limit as it was written: never rounded to another one."""
    if usd == usd.to_integral_value():
        return f"${usd:,.0f}"
    return f"${usd:,.2f}" if usd == round(usd, 2) else f"${usd.normalize():,f}"


def exact(usd: Decimal) -> str:
    """Tell dollars with every digit that is known of them, six at least."""
    whole, _, digits = f"{usd:,f}".partition(".")
    return f"${whole}.{digits.rstrip('0'):0<6}"


def compact(usd: Decimal) -> str:
    """Tell dollars where there is little room."""
    return f"${count(int(usd))}" if usd >= 10_000 else money(usd)


def at_least(usd: Decimal, unpriced_calls: int, dollars: Callable[[Decimal], str] = money) -> str:
    """Say that calls without a price are missing from a sum."""
    if not unpriced_calls:
        return dollars(usd)
    return f"at least {dollars(usd)}" if usd else "unknown"


def count(number: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size * 0.9995:
            value = number / size
            return f"{value:.1f}{unit}" if value < 99.95 else f"{value:,.0f}{unit}"
    return str(number)


def duration(ms: float) -> str:
    if 0 < ms < 0.5:
        return "<1 ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    if ms < 3_597_000:
        return f"{ms / 60_000:.1f} min"
    return f"{ms / 3_600_000:.1f} h"


def percent(share: float, digits: int = 0) -> str:
    """Tell a share of 0 to 1; only nothing reads 0 %, and only all of it 100 %."""
    step = 10.0**-digits
    value = share * 100
    if 0 < value < step / 2:
        return f"<{step:.{digits}f} %"
    if 100 - step / 2 <= value < 100:
        return f">{100 - step:.{digits}f} %"
    return f"{value:.{digits}f} %"


def used(percent_of_limit: Decimal, unpriced_calls: int = 0) -> str:
    """Tell the percent of a budget, cut and not rounded: 100 % is said when it is reached."""
    if percent_of_limit.is_infinite():
        return "over"
    if unpriced_calls:
        return f"at least {used(percent_of_limit)}" if percent_of_limit else "unknown"
    if 0 < percent_of_limit < 1:
        return "<1 %"
    return f"{percent_of_limit.quantize(Decimal(1), ROUND_DOWN):,} %"


def change(share: float) -> str:
    value = round(share * 100)
    return f"{value:+,} %".replace("-", MINUS) if value else "0 %"


def age(then: datetime, now: datetime) -> str:
    seconds = int((now - then).total_seconds())
    if seconds < 1:
        return "just now"
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h ago"
    return f"{seconds // 86400} days ago"


def long_day(moment: date) -> str:
    return f"{moment.day} {moment:%B}"


def short_day(moment: date) -> str:
    return f"{moment.day} {moment:%b}"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def until(moment: datetime, zone: ZoneInfo) -> str:
    """Tell when something ends, by a zone's clock; midnight is told by its day alone."""
    local = moment.astimezone(zone)
    day = f"{local.day} {local:%B %Y}"
    return day if local.time() == time.min else f"{day} {local:%H:%M}"


def period(start: datetime, end: datetime | None) -> str:
    """Tell from when to when, by the clocks of both, in days if they are whole; None is now."""
    ends = [start, end] if end else [start]
    clocks = " to ".join(dict.fromkeys(f"{at:%Z}" for at in ends))
    words = " to ".join(f"{long_day(at)} {at:%Y %H:%M}" for at in ends) + f" ({clocks})"
    if all(at.time() == time.min for at in ends):
        days = _days(start, end - timedelta(days=1)) if end else f"{long_day(start)} {start:%Y}"
        words = days if clocks == "UTC" else f"{days} ({clocks})"
    return words if end else f"since {words}"


def isolated(text: str, length: int) -> str:
    """Cut a name for plain text, whose direction it must not turn."""
    text = name(text, length)
    return text if text.isascii() else f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"


def name(text: str, length: int = 48) -> str:
    """Cut a name from users' data to a length, without what no page may hold."""
    text = "(blank)" if text.isspace() else _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def query(word: str, value: str) -> str:
    """Return the query of an address; "" for a value that is too long for a page of many."""
    if len(value) > LONGEST_IN_A_LINK or _UNFIT.search(value):
        return ""
    return f"?{word}={quote(value, safe='')}"


_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _dollars(usd: Decimal, step: str) -> str:
    sign = "-" if usd < 0 else ""
    return f"{sign}${abs(usd).quantize(Decimal(step), ROUND_HALF_UP):,}"


def _days(first: datetime, last: datetime) -> str:
    if first.year != last.year:
        return f"{long_day(first)} {first:%Y} to {long_day(last)} {last:%Y}"
    if first.month != last.month:
        return f"{long_day(first)} to {long_day(last)} {last:%Y}"
    begin = "" if first.day == last.day else f"{first.day} to "
    return f"{begin}{long_day(last)} {last:%Y}"
