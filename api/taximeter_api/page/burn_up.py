"""The month's spend as a line that climbs towards the budget."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup

from taximeter_api.overview import AlertMark, BurnUp
from taximeter_api.page import format as fmt
from taximeter_api.page.charts import grid
from taximeter_api.page.labels import Label, Point, Space, placed

HEIGHT = 262
# The plot's widths between the breakpoints of page.css, and its padding on the right there.
WIDE = Space(widths=(420, 560, 700, 860), right=122, top=-8, bottom=HEIGHT - 2)
NARROW = Space(widths=(210, 250, 290, 340, 400), right=6, top=-8, bottom=HEIGHT - 2)

# Where a label may stand beside its point, in pixels, the best place first.
RIGHT = [(10, 4 + dy) for step in range(0, 60, 4) for dy in (step, -step)]
ABOVE = [(-10, -9), (-10, -18), (-10, -28), (-10, -38), (10, -14), (10, -28), (10, -40)]
BELOW = [(10, 18), (10, 32), (-10, 22), (-10, 36), (10, 48), (-10, 50)]


def drawn(view: BurnUp, *, zone: ZoneInfo, description: str, unpriced_calls: int = 0) -> Markup:
    """Draw what was spent, where it is heading, and the budget and alerts on the way."""
    plot = _Plot(view, zone, "≥ " if unpriced_calls else "")
    wide = placed(plot.wanted(plot.alert), plot.obstacles(), WIDE)
    narrow = placed(plot.wanted(lambda mark: f"{mark.percent} %"), plot.obstacles(), NARROW)
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="burn-up-title burn-up-desc" width="100%"'
        ' height="{}"><title id="burn-up-title">Spend of the month</title>'
        '<desc id="burn-up-desc">{}</desc>{}{}'
        '<svg viewBox="0 0 1000 {}" preserveAspectRatio="none" width="100%" height="{}">{}</svg>'
        '{}<g class="wide">{}</g><g class="narrow">{}</g></svg>'
    ).format(
        HEIGHT + 26,
        description,
        grid(plot.top, plot.y),
        plot.dates(),
        HEIGHT,
        HEIGHT,
        plot.lines(),
        plot.dots(),
        _texts(wide),
        _texts(narrow),
    )


class _Plot:
    """The values of a burn-up, each with its place."""

    def __init__(self, view: BurnUp, zone: ZoneInfo, least: str) -> None:
        self._view = view
        self._zone = zone
        self._least = least
        self._spent = [(view.period.start, Decimal(0)), *view.points]
        self._ahead = list(view.forecast_points)
        if view.forecast is not None:
            self._ahead = [self._spent[-1], *self._ahead, (view.period.end, view.forecast)]
        reach = max(usd for _, usd in [*self._spent, *self._ahead])
        self._limit = view.budget.limit if view.budget else Decimal(0)
        # A limit far above the spend would press the line flat: it is named, not drawn.
        is_far = bool(self._ahead) and self._limit > reach * 5
        self._limit_is_drawn = self._limit > 0 and not is_far
        limit = self._limit if self._limit_is_drawn else 0
        self.top = max(reach, limit) * Decimal("1.08") or Decimal(1)

    def y(self, usd: Decimal) -> float:
        return HEIGHT * (1 - float(usd / self.top))

    def lines(self) -> Markup:
        spent = _path(self._point(*spent) for spent in self._spent)
        drawn = Markup('<path class="area" d="{0}V{1}H0z"/><path class="spent" d="{0}"/>').format(
            spent, HEIGHT
        )
        if self._ahead:
            ahead = _path(self._point(*point) for point in self._ahead)
            drawn += Markup('<path class="ahead" d="{}"/>').format(ahead)
        if self._limit_is_drawn:
            drawn += Markup('<path class="limit" d="M0 {:.1f}H1000"/>').format(self.y(self._limit))
        return drawn

    def dots(self) -> Markup:
        dot = Markup(
            '<circle class="{}" cx="{:.2f}%" cy="{:.1f}" r="{}"><title>{}</title></circle>'
        )
        dots = [("today", self._spent[-1], "4.5", self._today)]
        if self._ahead:
            dots.append(("end", self._ahead[-1], "4", self._forecast))
        for mark in self._view.alerts:
            text = f"{self.alert(mark)}: {fmt.money(mark.spent)}"
            dots.append(("alert", (mark.at, mark.spent), "5", text))
        return Markup("").join(
            dot.format(css, x * 100, y, r, text)
            for css, (x, y), r, text in ((c, self._point(*at), r, t) for c, at, r, t in dots)
        )

    def dates(self) -> Markup:
        """Draw the first day of each week of the month, and its last."""
        first = self._view.period.start.astimezone(self._zone)
        last = (self._view.period.end - timedelta(microseconds=1)).astimezone(self._zone)
        text = Markup('<text class="tick{}" x="{:.2f}%" y="{}" text-anchor="{}">{}</text>')
        weeks = [first.replace(day=day) for day in (8, 15, 22)]
        anchors = ("start", "middle", "middle", "middle", "end")
        return Markup("").join(
            text.format(
                "" if index % 2 == 0 else " wide",
                self._share(day) * 100,
                HEIGHT + 20,
                anchors[index],
                fmt.short_day(day),
            )
            for index, day in enumerate([first, *weeks, last])
        )

    def wanted(self, alert: Callable[[AlertMark], str]) -> Iterator[list[Label]]:
        """Yield the places of each label, the label that matters most first."""
        if self._ahead:
            x, y = self._point(*self._ahead[-1])
            yield _around(Label(self._forecast, "strong", x, y), RIGHT + ABOVE + BELOW)
        if self._limit_is_drawn:
            y = self.y(self._limit)
            text = f"Budget {fmt.limit(self._limit)}"
            yield [
                *_around(Label(text, "limit", 1, y), RIGHT),
                *_around(Label(text, "limit", 0, y), [(6, -6), (6, 15)]),
            ]
        elif self._limit > 0:
            text = f"Budget {fmt.limit(self._limit)} ↑"
            yield [
                *_around(Label(text, "limit", 1, 10), [(10, 4), (-6, 4)]),
                *_around(Label(text, "limit", 0, 10), [(6, 4), (6, 22)]),
            ]
        x, y = self._point(*self._spent[-1])
        yield _around(Label(self._today, "strong", x, y), BELOW + RIGHT + ABOVE)
        for mark in reversed(self._view.alerts):
            x, y = self._point(mark.at, mark.spent)
            yield _around(Label(alert(mark), "alert", x, y), ABOVE[:3] + BELOW[:2])

    def obstacles(self) -> list[Point]:
        """Return points on all lines, near enough to each other to stop a label."""
        corners = [self._point(*point) for point in [*self._spent, *self._ahead]]
        limit = [(0.0, self.y(self._limit)), (1.0, self.y(self._limit))]
        lines = [corners, limit] if self._limit_is_drawn else [corners]
        return [point for line in lines for point in _dense(line)]

    def _point(self, at: datetime, usd: Decimal) -> Point:
        return self._share(at), self.y(usd)

    def _share(self, at: datetime) -> float:
        period = self._view.period
        return min(max((at - period.start) / (period.end - period.start), 0.0), 1.0)

    @property
    def _today(self) -> str:
        return f"Today {self._least}{fmt.compact(self._spent[-1][1])}"

    @property
    def _forecast(self) -> str:
        return f"Forecast {self._least}{fmt.compact(self._ahead[-1][1])}"

    def alert(self, mark: AlertMark) -> str:
        return f"{mark.percent} % alert, {fmt.short_day(mark.at.astimezone(self._zone))}"


def _around(label: Label, places: Iterable[tuple[int, int]]) -> list[Label]:
    return [label.moved(dx, dy) for dx, dy in places]


def _path(points: Iterable[Point]) -> str:
    """Return a path through the first point and the last one in each 500th of the width."""
    first, *rest = points
    thinned = {round(x * 500): (x, y) for x, y in rest}
    return "M" + "L".join(f"{x * 1000:.0f} {y:.1f}" for x, y in [first, *thinned.values()])


def _dense(corners: Sequence[Point]) -> Iterator[Point]:
    seen = {round(x * 100): (x, y) for x, y in corners}
    points = list(seen.values())
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        steps = max(1, round(abs(x1 - x0) * 100), round(abs(y1 - y0) / 6))
        for step in range(steps + 1):
            yield x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps


def _texts(labels: Iterable[Label]) -> Markup:
    text = Markup(
        '<text class="label {}" x="{:.2f}%" y="{:.1f}" transform="translate({})"'
        ' text-anchor="{}">{}</text>'
    )
    return Markup("").join(
        text.format(label.css, label.at * 100, label.y, label.dx, label.anchor, label.text)
        for label in labels
    )
