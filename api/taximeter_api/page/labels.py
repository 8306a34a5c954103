"""Place the labels of a chart so that none covers another, at every width it is shown in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

CHARACTER = 7.3
"""Pixels, on the wide side for 13 px semi-bold in the fonts of the page."""
ASCENT, DESCENT = 12.0, 4.0

Point = tuple[float, float]
"""Share of the plot's width, pixels from its top."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    css: str
    at: float
    """Share of the plot's width; text starts or ends `dx` pixels from there."""
    y: float
    dx: float = 0
    anchor: str = "start"

    def moved(self, dx: float, dy: float) -> Label:
        return replace(self, dx=dx, y=self.y + dy, anchor="start" if dx >= 0 else "end")

    def box(self, width: float) -> Box:
        """Left, top, right and bottom in a plot of that width."""
        length = len(self.text) * CHARACTER
        left = self.at * width + self.dx - (length if self.anchor == "end" else 0)
        return left, self.y - ASCENT, left + length, self.y + DESCENT


@dataclass(frozen=True, slots=True)
class Space:
    """A plot's drawable range: the widths it may have and the room around it."""

    widths: tuple[float, ...]
    right: float
    top: float
    bottom: float


def placed(wanted: Iterable[Sequence[Label]], lines: Sequence[Point], space: Space) -> list[Label]:
    """Take for each label its first place that is free; one without any is left out."""
    labels: list[Label] = []
    for places in wanted:
        free = [place for place in places if _is_free(place, labels, space)]
        clear = (place for place in free if not _covers(place, lines, space))
        if best := next(clear, free[0] if free else None):
            labels.append(best)
    return labels


def _is_free(label: Label, others: Iterable[Label], space: Space) -> bool:
    for width in space.widths:
        left, top, right, bottom = box = label.box(width)
        if left < 0 or right > width + space.right or top < space.top or bottom > space.bottom:
            return False
        if any(overlap(box, other.box(width)) for other in others):
            return False
    return True


def _covers(label: Label, lines: Iterable[Point], space: Space) -> bool:
    _, top, _, bottom = label.box(0)
    level = [at for at, y in lines if top - 2 < y < bottom + 2]
    boxes = [(width, label.box(width)) for width in space.widths]
    return any(box[0] - 4 < at * width < box[2] + 4 for width, box in boxes for at in level)


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
