"""Why the spend of a page is another than before, in the words that alerts tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from taximeter_alerts.periods import name_of
from taximeter_alerts.story import DETAILED, risen
from taximeter_alerts.story_words import by_cause, changed
from taximeter_analysis.drivers import Driver, causes
from taximeter_collector.store import Dimension, Period, SpendRow, total_of

SHOWN: Final = 3
COMPARED: Final = DETAILED[:2]
"""By what calls are told apart: sums by prompt, which alerts have, too, take six times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is told of a change."""

    against: str
    dollars: str
    """With percent."""
    is_complete: bool
    causes: str
    drivers: tuple[tuple[Driver, str], ...]
    """Of one dimension, the largest rise first, with its dollars."""


def change_against(
    period: Period,
    rows: Sequence[SpendRow],
    rows_before: Sequence[SpendRow],
    by: Dimension,
) -> Change:
    """Compare the spend of two periods, each by what is `COMPARED`."""
    now, before = total_of(rows), total_of(rows_before)
    drivers = risen(by, rows, rows_before) if by in COMPARED else ()
    return Change(
        against=name_of(period, ZoneInfo("UTC")),
        dollars=changed(now.cost - before.cost, before.cost),
        is_complete=not (now.unpriced_calls or before.unpriced_calls),
        causes=by_cause(causes(rows, rows_before)),
        drivers=tuple((one, changed(one.change, one.before)) for one in islice(drivers, SHOWN)),
    )
