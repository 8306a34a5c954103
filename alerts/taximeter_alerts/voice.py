"""How each kind of channel wants text: what is escaped, what bold and a name look like. Pure."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


class Marked(str):
    """Text that is in a channel's own markup already."""

    __slots__ = ()


TURNING: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F])
"""Signs that change the direction of what follows them."""


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
        # A name must not turn the text around it.
        return self.escape(str(value).translate(TURNING))


def _for_slack(text: str) -> str:
    # Only these three have a meaning to Slack: a name like <!channel> must not ping anyone.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _for_markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#" else sign for sign in text)


SLACK: Final = Voice(_for_slack, ("*", "*"), ("`", "`"))
HTML: Final = Voice(html.escape, ("<strong>", "</strong>"), ("<code>", "</code>"))
MARKDOWN: Final = Voice(_for_markdown, ("**", "**"), ("", ""))
PLAIN: Final = Voice(str, ("", ""), ("", ""))
