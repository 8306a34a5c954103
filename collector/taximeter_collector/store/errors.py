"""What a caller of the store can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, OperationalError

from taximeter_collector.refusal import Refusal

NO_ANSWER: Final = re.compile(r"(?<=\] )[A-Z][A-Za-z ]+|timed out")
"""Why, in what the client says at length with the whole statement."""
ERROR_CODE: Final = re.compile(r"Code: (\d+)")
# Parsing, conversion, bounds, nulls and decimals: what is wrong with a row, not with the store.
ERRORS_OF_ROWS: Final = frozenset({6, 27, 33, 41, 53, 69, 70, 72, 117, 131, 321, 349, 407})


class StoreError(Refusal):
    """The store refuses: the program, its data or its settings must change first."""


class QueryRefused(StoreError):
    """What a reader asks is more than reading Taximeter's tables."""


class RowsRefused(StoreError):
    """Some of the rows can't be stored; without them the others can."""


class StoreInUse(StoreError):
    """Another process has the embedded store open: ask that one."""


class StoreUnavailable(Refusal):
    """The store does not answer now; a later attempt may succeed."""


@contextmanager
def store_errors() -> Iterator[None]:
    """Give the engine's errors the type that says whether to try again."""
    try:
        yield
    except OperationalError as error:
        reason = why_no_answer(error)
        words = f"the store does not answer{reason}" if reason else _first_line(error)
        raise StoreUnavailable(words) from error
    except DataError as error:
        raise RowsRefused(_first_line(error)) from error
    except ClickHouseError as error:
        code = ERROR_CODE.search(str(error))
        if code and int(code[1]) in ERRORS_OF_ROWS:
            raise RowsRefused(_first_line(error)) from error
        raise StoreError(_first_line(error)) from error


def why_no_answer(error: OperationalError) -> str:
    """Return the reason in brackets, after a space; "" where the client names none."""
    found = NO_ANSWER.search(str(error))
    return f" ({found[0]})" if found else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
