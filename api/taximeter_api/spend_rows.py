"""A row of spend: as the API tells it, and as a line of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from taximeter_api.csv_file import known
from taximeter_collector.store import MEASURES, Dimension, SpendRow

IS_COMPLETE: Final = "cost_is_complete"
SUMS: Final = (*MEASURES, "cost_other")
MOMENTS: Final = {Dimension.HOUR, Dimension.DAY}


def told(row: SpendRow, by: Sequence[Dimension] = ()) -> dict[str, Any]:
    """Return what the row is of, and its sums."""
    texts = iter(row.key)
    at = row.at.isoformat() if row.at else ""
    keys = {one.outside_name: at if one in MOMENTS else next(texts) for one in by}
    # Money travels as text: a JSON number would come out as a binary float.
    sums = {name: _plain(getattr(row, name)) for name in SUMS}
    return {**keys, IS_COMPLETE: row.unpriced_calls == 0, **sums}


def spend_table(
    names: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> tuple[list[str], list[list[object]]]:
    """Return heads and lines of a file from rows as they are told; unknown money is empty."""
    heads = [*names, IS_COMPLETE, *SUMS]
    return heads, [[_cell(row, name) for name in heads] for row in rows]


def _cell(row: Mapping[str, Any], name: str) -> object:
    if "cost" not in name or name == IS_COMPLETE:
        return row[name]
    cost = known(Decimal(row["cost"]), row["unpriced_calls"])
    return None if cost is None else Decimal(row[name])


def _plain(value: Decimal | int) -> str | int:
    return f"{value:f}" if isinstance(value, Decimal) else value
