"""Round steps of money for an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from markupsafe import Markup

from taximeter_api.page import format as fmt


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
