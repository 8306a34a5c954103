"""Two questions at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


def together(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Ask both at once and return both answers: half of a question is the engine's planning."""
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(second)
        return first(), waiting.result()
