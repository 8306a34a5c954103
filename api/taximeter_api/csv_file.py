"""Tables as CSV: every digit, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from fastapi import Response

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_file(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="taximeter-{name}.csv"',
        "X-Content-Type-Options": "nosniff",
    }
    text = csv_text(heads, rows)
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(heads)
    table.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def known(usd: Decimal, unpriced_calls: int) -> Decimal | None:
    """Return a sum, or None where no call in it has a known cost."""
    return usd if usd or not unpriced_calls else None


def _cell(value: object) -> str:
    """Return a value as text; unknown is empty, and a name that begins like a formula is text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else f"{value}"
