"""The page's charts as SVG that fits any width: lengths in percent, text in pixels, no style."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate

from markupsafe import Markup

from taximeter_api.page import format as fmt

HEIGHT = 216
POINTS = 30
"""Of a sparkline, at most."""
OTHER = "other"
Days = Sequence[tuple[date, Mapping[str, Decimal]]]


def columns(days: Days, colours: Mapping[str, str]) -> Markup:
    """Draw a column a day of stacked features; those without a colour are one, "other"."""
    stacks = [_stack(spend, colours) for _, spend in days]
    top = round_up(max((sum(stack, Decimal(0)) for stack in stacks), default=Decimal(0)))
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="days-title days-desc" width="100%"'
        ' height="{}"><title id="days-title">Spend per day by feature</title>'
        '<desc id="days-desc">{}</desc>{}<svg viewBox="0 0 {} {}" preserveAspectRatio="none"'
        ' width="100%" height="{}">{}</svg>{}{}</svg>'
    ).format(
        HEIGHT + 26,
        _description(days),
        grid(top, lambda usd: HEIGHT * float(1 - usd / top)),
        len(days) * 10,
        HEIGHT,
        HEIGHT,
        _paths(stacks, [*colours.values(), OTHER], top),
        _mondays([day for day, _ in days]),
        _tooltips(days),
    )


def _stack(spend: Mapping[str, Decimal], colours: Mapping[str, str]) -> list[Decimal]:
    """Return the spend of each coloured feature and of all others, the lowest part first."""
    known = [spend.get(feature, Decimal(0)) for feature in colours]
    others = [usd for feature, usd in spend.items() if feature not in colours]
    return [max(usd, Decimal(0)) for usd in (*known, sum(others, Decimal(0)))]


def _paths(stacks: Sequence[Sequence[Decimal]], classes: Sequence[str], top: Decimal) -> Markup:
    """Draw one path for each feature, its parts of all columns: a third of the bytes of rects."""
    parts: dict[str, list[str]] = {css: [] for css in classes}
    for index, stack in enumerate(stacks):
        heads = [HEIGHT * float(1 - usd / top) for usd in accumulate(stack)]
        for css, foot, head in zip(classes, [HEIGHT, *heads], heads, strict=False):
            height = foot - head - (1 if foot - head > 2 else 0)
            if height > 0.05:
                parts[css].append(f"M{index * 10 + 1} {foot:.1f}v{-height:.1f}h8v{height:.1f}z")
    path = Markup('<path class="{}" d="{}"/>')
    return Markup("").join(path.format(css, "".join(d)) for css, d in parts.items() if d)


def _mondays(days: Sequence[date]) -> Markup:
    text = Markup('<text class="tick" x="{:.2f}%" y="{}" text-anchor="middle">{}</text>')
    return Markup("").join(
        text.format((index + 0.5) / len(days) * 100, HEIGHT + 20, fmt.short_day(day))
        for index, day in enumerate(days)
        if day.weekday() == 0
    )


def _tooltips(days: Days) -> Markup:
    rect = Markup(
        '<rect class="hover" x="{:.2f}%" width="{:.2f}%" height="{}"><title>{}</title></rect>'
    )
    width = 100 / max(len(days), 1)
    return Markup("").join(
        rect.format(index * width, width, HEIGHT, _told(day, spend))
        for index, (day, spend) in enumerate(days)
    )


def _told(day: date, spend: Mapping[str, Decimal], most: int = 6) -> str:
    dearest = sorted(spend.items(), key=lambda item: item[1], reverse=True)
    lines = [f"{fmt.name(name, 24)} {fmt.ledger(usd)}" for name, usd in dearest if usd]
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    total = fmt.ledger(sum(spend.values(), Decimal(0)))
    return "\n".join([f"{day:%a} {fmt.short_day(day)}: {total}", *lines[:most], *more])


def _description(days: Days) -> str:
    if not days:
        return "No days yet."
    totals = [(sum(spend.values(), Decimal(0)), day) for day, spend in days]
    most, on = max(totals)
    return (
        f"{fmt.short_day(days[0][0])} to {fmt.short_day(days[-1][0])}; "
        f"the most in a day is {fmt.ledger(most)}, on {fmt.long_day(on)}."
    )


def sparkline(values: Sequence[Decimal]) -> Markup:
    """Draw the shape of some days in a line of text; nothing without two values.

    Of more days than there is room for, each point is a few days' mean.
    """
    if len(values) < 2:
        return Markup("")
    days = -(-len(values) // POINTS)
    some = [values[start : start + days] for start in range(0, len(values), days)]
    means = [float(sum(part, Decimal(0)) / len(part)) for part in some]
    most = max(means)
    scale = 18 / most if most > 0 else 0
    step = 96 / (len(means) - 1)
    heights = [f"{19 - usd * scale:.1f}" for usd in means]
    points = " ".join(f"{place * step:.0f} {height}" for place, height in enumerate(heights))
    # One path is line and area: what it has beside and below the days lies outside the picture.
    return Markup(
        '<svg class="spark" role="img" width="96" height="20" viewBox="0 0 96 20"><title>{}</title>'
        '<path d="M-2 22V{}L{}H98V22z"/></svg>'
    ).format(f"{fmt.ledger(min(values))} to {fmt.ledger(max(values))} a day", heights[0], points)


def bar(title: str, *parts: tuple[str, float], marks: Sequence[int] = ()) -> Markup:
    """Draw parts of a full width, each 0 to 1 with its class, side by side; marks in percent."""
    corner = Markup(' rx="4"') if len(parts) == 1 else ""
    starts = accumulate((share for _, share in parts), initial=0.0)
    rect = Markup('<rect class="{}" x="{:.2f}%" width="{:.2f}%" height="100%"{}/>')
    line = Markup('<line class="mark" x1="{0}%" x2="{0}%" y2="100%"/>')
    return Markup(
        '<svg class="bar" role="img" width="100%" height="6"><title>{}</title>{}{}</svg>'
    ).format(
        title,
        Markup("").join(
            rect.format(css, start * 100, min(share, 1.0 - start) * 100, corner)
            for (css, share), start in zip(parts, starts, strict=False)
            if share > 0 and start < 1
        ),
        Markup("").join(line.format(mark) for mark in marks),
    )


def ticks(top: Decimal) -> list[Decimal]:
    """Return 0 and the two to five round amounts up to `top`."""
    step = _step(top)
    return [step * index for index in range(int(top / step) + 1)]


def round_up(top: Decimal) -> Decimal:
    """Return the first tick that is not below `top`; 1 where there is nothing to show."""
    if top <= 0:
        return Decimal(1)
    step = _step(top)
    return math.ceil(top / step) * step


def grid(top: Decimal, y: Callable[[Decimal], float]) -> Markup:
    """Draw a line across for each tick up to `top`, its amount left of the plot."""
    line = Markup(
        '<line class="grid" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>'
        '<text class="tick" x="-10" y="{1:.1f}" text-anchor="end">{2}</text>'
    )
    return Markup("").join(line.format(y(usd), y(usd) + 4, _text(usd)) for usd in ticks(top))


def _step(top: Decimal) -> Decimal:
    power = Decimal(1).scaleb((top / 5).adjusted())
    return next(power * times for times in (1, 2, 5, 10) if top / (power * times) <= 5)


def _text(usd: Decimal) -> str:
    return fmt.compact(usd) if usd >= 10_000 else f"${usd.normalize():,f}"
