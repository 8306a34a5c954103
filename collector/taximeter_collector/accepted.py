"""What is accepted where a value was not, in plain words and not in those of the validator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from pydantic import ValidationError, WrapValidator
from pydantic_core import ErrorDetails

NO_FIELD: Final = "unexpected_keyword_argument"
A_NUMBER: Final = "give a number like 99.50"
A_TIME: Final = "give a time with its offset, like 2026-12-01T00:00Z"
FORMS: Final = {
    "bool": "give true or false",
    "dataclass": "give names and values",
    "date": "give a day like 2026-12-01",
    "datetime": A_TIME,
    "decimal": A_NUMBER,
    "dict": "give names and values",
    "finite": A_NUMBER,
    "float": A_NUMBER,
    "int": "give a whole number like 90",
    "list": "give a list",
    "timezone": A_TIME,
    "tuple": "give a list",
}
"""By how the validator's name of a mistake begins."""
BOUNDS: Final = {
    "greater_than_equal": "give {ge} or more",
    "less_than_equal": "give {le} or less",
    "string_too_long": "give at most {max_length} characters",
    "string_too_short": "give some text",
    "string_type": "give text",
    "too_short": "give at least one",
}


def said(words: str) -> WrapValidator:
    """Say these words of every value that the type does not accept."""

    def checked(value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except ValidationError:
            raise ValueError(words) from None

    return WrapValidator(checked)


def given(mistake: ErrorDetails) -> str:
    """Return the value as it was written; "" where no value is wrong, or one of several parts."""
    value = mistake["input"]
    is_known = mistake["type"] != NO_FIELD
    return repr(value) if is_known and isinstance(value, str | int | float) else ""


def accepted(
    mistake: ErrorDetails,
    field: Sequence[int | str],
    entry: Callable[..., object] | None,
    ours: Collection[str] = (),
) -> str:
    """Return what to give for a field of an entry; `ours` are parameters that nobody writes."""
    kind, context = mistake["type"], mistake.get("ctx", {})
    parameters = inspect.signature(entry).parameters.values() if entry and len(field) == 1 else ()
    if kind.startswith("missing"):
        needed = [
            one.name for one in parameters if one.default is one.empty and one.name not in ours
        ]
        return f"is missing; give {' and '.join(needed) or 'it'}"
    if kind == NO_FIELD:
        if not (entry and parameters):
            return f"not a field of {field[-2]}" if len(field) > 1 else "not a field"
        known = ", ".join(one.name for one in parameters)
        return f"not a field of a {entry.__name__.lower()}; give some of {known}"
    if kind == "literal_error":
        return f"give {context['expected'].replace(chr(39), '')}"
    if kind in BOUNDS:
        return BOUNDS[kind].format(**context)
    return FORMS.get(kind.partition("_")[0]) or mistake["msg"].removeprefix("Value error, ")
