"""Columns and frames that several dashboards share."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Short

from taximeter_dashboards.panels import Column, Frame

RED_FROM_ONE: Final = [(None, "transparent"), (1, "red")]
GOOD_UNTIL: Final = [(None, "green"), (0.01, "yellow"), (0.05, "red")]
SPENT: Final = Column(name="Spend", unit=Dollars, decimals=2)
CALLS: Final = Column(name="Calls", unit=Short)
PER_1000: Final = Column(name="Per 1k calls", unit=Dollars, decimals=2)
ERRORS: Final = Column(name="Errors", unit=PercentUnit, decimals=1)
UNPRICED: Final = Column(name="Unpriced", unit=Short, levels=RED_FROM_ONE)
INPUT_A_CALL: Final = Column(name="Input a call", unit=Short, decimals=0)
OUTPUT_A_CALL: Final = Column(name="Output a call", unit=Short, decimals=0)


def text(name: str) -> Column:
    return Column(name=name, unit="string")


def counts(*names: str) -> list[Column]:
    return [Column(name=name, unit=Short) for name in names]


def dollars(*names: str) -> list[Column]:
    return [Column(name=name, unit=Dollars, decimals=2) for name in names]


def small(panel_id: int, title: str, question: str, width: int = 6) -> Frame:
    return Frame(id=panel_id, title=title, question=question, width=width, height=4)


def large(panel_id: int, title: str, question: str, width: int = 12) -> Frame:
    return Frame(id=panel_id, title=title, question=question, width=width, height=9)
