"""Columns, frames and links that several dashboards share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.looks import Column, Frame, Levels
from taximeter_dashboards.questions import WITH_USER

WHOLE: Final = "locale"
"""Whole numbers, with their thousands apart."""

BLUE: Final[Levels] = [(None, "blue")]
RED_FROM_ONE: Final[Levels] = [(None, "transparent"), (1, "red")]
GOOD_UNTIL: Final[Levels] = [(None, "green"), (0.01, "yellow"), (0.05, "red")]
GOOD_AT_NONE: Final[Levels] = [(None, "green"), (1, "red")]
OF_A_LIMIT: Final[Levels] = [(None, "green"), (0.75, "yellow"), (0.9, "orange"), (1, "red")]
SPENT: Final = Column(name="Spend", unit=Dollars, decimals=2)
SHARE: Final = Column(name="Share", unit=PercentUnit, decimals=0, bar=BLUE)
CALLS: Final = Column(name="Calls", unit=WHOLE)
PER_1000: Final = Column(name="Per 1k calls", unit=Dollars, decimals=4)
ERRORS: Final = Column(name="Errors", unit=PercentUnit, decimals=1)
UNPRICED: Final = Column(name="Unpriced", unit=Short, levels=RED_FROM_ONE, width=90)
INPUT_A_CALL: Final = Column(name="Input a call", unit=WHOLE, decimals=0)
OUTPUT_A_CALL: Final = Column(name="Output a call", unit=WHOLE, decimals=0)


def text(name: str, width: int | None = None, *, wraps: bool = False) -> Column:
    return Column(name=name, unit="string", width=width, wraps=wraps)


def linked(
    name: str,
    variable: str,
    uid: str,
    title: str,
    *,
    kept: Sequence[str] = WITH_USER,
    width: int | None = None,
) -> Column:
    """Give a column of names that lead to a dashboard of that name alone; `kept` are variables."""
    others = [f"${{{one}:queryparam}}" for one in kept if one != variable]
    this = f"var-{variable}=${{__value.raw:percentencode}}"
    url = f"/d/{uid}?" + "&".join(["${__url_time_range}", *others, this])
    return Column(name=name, unit="string", link=(title, url), width=width)


def counts(*names: str) -> list[Column]:
    return [Column(name=name, unit=WHOLE) for name in names]


def dollars(*names: str) -> list[Column]:
    return [Column(name=name, unit=Dollars, decimals=2) for name in names]


def small(panel_id: int, title: str, question: str, width: int = 6) -> Frame:
    return Frame(id=panel_id, title=title, question=question, width=width, height=4)


def large(panel_id: int, title: str, question: str, width: int = 12, height: int = 9) -> Frame:
    return Frame(id=panel_id, title=title, question=question, width=width, height=height)
