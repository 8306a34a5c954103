"""Tables on a terminal of any width: figures are never cut, names only where nothing else helps.

A column without a value in any row is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Drawn
from rich.text import Text

GAP: Final = 2
LONGEST_WORD: Final = 16
"""Longer ones are broken where there is no room."""


class Kind(Enum):
    """What a column does when there is little room."""

    NAME = auto()
    """Stays on one line, unless nothing else can give way."""
    TEXT = auto()
    """Is wrapped between words."""
    FIGURE = auto()
    """Stays whole, at the right of its column."""


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    kind: Kind = Kind.NAME
    leaves: int = 0
    """Its turn to leave when there is too little room; 0 stays."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as plain text, in sections of rows, to be printed on a console."""

    columns: Sequence[Column]
    sections: Sequence[Sequence[Sequence[str]]]
    title: str = ""
    notes: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (Text(self.title),) if self.title else ()
        for numbers in self._blocks(options.max_width):
            yield self._drawn(numbers, options.max_width)
        yield from map(Text, self.notes)

    def _blocks(self, room: int) -> Iterator[list[int]]:
        """Yield numbers of columns that fit beside each other; figures that don't go below."""
        numbers = range(len(self.columns))
        shown = [number for number in numbers if any(self._texts(number)[1:])] or list(numbers)
        leaving = [number for number in shown if self.columns[number].leaves]
        for number in sorted(leaving, key=lambda number: self.columns[number].leaves):
            if self._least(shown) > room:
                shown.remove(number)
        figures = [number for number in shown if self.columns[number].kind is Kind.FIGURE]
        others = [number for number in shown if number not in figures]
        block = others
        for number in figures:
            if block != others and self._least([*block, number], is_folded=True) > room:
                yield sorted(block)
                block = others
            block = [*block, number]
        yield sorted(block)

    def _drawn(self, numbers: Sequence[int], room: int) -> Drawn:
        is_folded = self._least(numbers) > room
        least = [self._width(number, is_folded=is_folded) for number in numbers]
        wished = [
            max(map(cell_len, self._texts(number))) - width
            for number, width in zip(numbers, least, strict=True)
        ]
        spare = max(room - self._least(numbers, is_folded=is_folded), 0)
        drawn = Drawn(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
        for number, width, more in zip(numbers, least, wished, strict=True):
            column = self.columns[number]
            drawn.add_column(
                Text(column.heading),
                justify="right" if column.kind is Kind.FIGURE else "left",
                overflow="fold",
                width=width + min(more, spare * more // (sum(wished) or 1)),
            )
        for section in self.sections:
            for row in section:
                drawn.add_row(*(Text(row[number]) for number in numbers))
            drawn.add_section()
        return drawn

    def _least(self, numbers: Sequence[int], *, is_folded: bool = False) -> int:
        widths = (self._width(number, is_folded=is_folded) for number in numbers)
        return sum(widths) + GAP * (len(numbers) - 1)

    def _width(self, number: int, *, is_folded: bool) -> int:
        """Return how narrow a column may be."""
        kind = self.columns[number].kind
        heading, *cells = self._texts(number)
        is_whole = kind is Kind.FIGURE or (kind is Kind.NAME and not is_folded)
        if is_whole:
            return max(_longest_word(heading), *map(cell_len, cells), 1)
        return max(_longest_word(heading), *map(_longest_word, cells), 1)

    def _texts(self, number: int) -> list[str]:
        rows = (row[number] for section in self.sections for row in section)
        return [self.columns[number].heading, *rows]


def _longest_word(text: str) -> int:
    return min(max(map(cell_len, text.split()), default=0), LONGEST_WORD)
