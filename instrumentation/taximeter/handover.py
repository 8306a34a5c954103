"""A parsed answer, handed to the SDK while it makes its own object of it.

Parsing is most of what a plain answer costs, and so is done once, by whoever needs it first.
"""

from __future__ import annotations

from typing import Any


def hand_over(response: Any, body: Any) -> None:
    """Let `response.json()` give this body; options of its own parse anew."""

    def json(**options: Any) -> Any:
        return type(response).json(response, **options) if options else body

    response.json = json


def take_back(response: Any) -> None:
    """Leave nothing on the response that an app might keep, copy or pickle."""
    vars(response).pop("json", None)
