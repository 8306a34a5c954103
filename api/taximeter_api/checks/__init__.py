"""Checks: each says how something is, and how to mend what is wrong."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What was looked at and how it is; `advice` where something is to be done."""

    what: str
    state: str
    advice: str = ""
