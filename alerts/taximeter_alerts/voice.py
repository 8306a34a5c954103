"""How each kind of channel wants text: what is escaped, what bold and a name look like. Pure."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from unicodedata import bidirectional


class Marked(str):
    """Text that is in a channel's own markup already."""

    __slots__ = ()


TURNING: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F])
"""Signs that change the direction of what follows them."""
RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})


@dataclass(frozen=True, slots=True)
class Voice:
    escape: Callable[[str], str]
    bold: tuple[str, str]
    name_marks: tuple[str, str]

    def strong(self, text: object) -> Marked:
        return Marked(self.bold[0] + self.said(text) + self.bold[1])

    def code(self, text: object) -> Marked:
        begin, end = self.name_marks
        # A backtick would end the name's marks early.
        return Marked(begin + self.said(text).replace("`", "'") + end)

    def said(self, value: object) -> str:
        if isinstance(value, Marked):
            return value
        return self.escape(straight(str(value)))


def straight(text: str) -> str:
    """Return a text that turns nothing around it: an amount after a Hebrew name stays there."""
    text = text.translate(TURNING)
    if RIGHT_TO_LEFT.isdisjoint(map(bidirectional, text)):
        return text
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"


def _for_slack(text: str) -> str:
    # Only these three have a meaning to Slack: a name like <!channel> must not ping anyone.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _for_markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#" else sign for sign in text)


SLACK: Final = Voice(_for_slack, ("*", "*"), ("`", "`"))
HTML: Final = Voice(html.escape, ("<strong>", "</strong>"), ("<code>", "</code>"))
MARKDOWN: Final = Voice(_for_markdown, ("**", "**"), ("", ""))
PLAIN: Final = Voice(str, ("", ""), ("", ""))
