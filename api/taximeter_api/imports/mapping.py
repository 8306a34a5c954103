"""What the fields of an export mean."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from taximeter_api.imports.rows import ImportRefused
from taximeter_collector import contract
from taximeter_collector.yaml_file import Mistake, Source, text_of

SHIPPED: Final = ("langfuse", "helicone", "litellm")
KNOWN: Final = {
    *contract.RULES,
    *contract.RESOURCE,
    contract.RESPONSE_ID,
    contract.TIME_TO_FIRST_CHUNK,
}

Paths = Annotated[
    tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
]
"""Paths into a row: the first that a row has counts; `a + b` is a sum."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fields:
    """Where a row says what."""

    time: Paths
    """When the call began: ISO 8601, or seconds or milliseconds since 1970."""
    id: Paths
    """What the export calls the row: imported again, it is the same call."""
    attributes: dict[str, Paths]
    """By the names of the wire contract."""
    end: Paths = ()
    duration_ms: Paths = ()
    trace_id: Paths = ()
    constants: dict[str, str] = Field(default_factory=dict)
    """Attributes that every row has."""
    only: dict[str, Paths] = Field(default_factory=dict)
    """Rows are taken that have one of these values at each path."""
    failed: dict[str, Paths] = Field(default_factory=dict)
    """A call failed whose row has one of these values at a path."""
    metered: dict[str, Paths] = Field(default_factory=dict)
    """Tokens are the whole bill of rows that have one of these values at each path."""
    total: Paths = ()
    """Input and output tokens together: where they do not add up, the row is not understood."""
    ambiguous: Paths = ()
    """A row that has some at one of these is an estimate: how it counts them changed over time."""


def fields_of(name: str) -> Fields:
    """Return a shipped mapping by its name, or the one in a file; raises ImportRefused."""
    try:
        if name in SHIPPED:
            text: str | None = files(__package__).joinpath(f"{name}.yaml").read_text("utf-8")
        else:
            text = text_of(Path(name))
        if not text:
            raise ImportRefused(f"--mapping {name}: give a file, or one of {', '.join(SHIPPED)}")
        return _checked(Source(text, name))
    except Mistake as mistake:
        raise ImportRefused(str(mistake)) from None


def _checked(source: Source) -> Fields:
    if not isinstance(source.content, dict) or not isinstance(source.content.get("mapping"), dict):
        raise source.mistake((), "mapping: give time, id and attributes")
    fields = source.read("mapping", Fields, Fields)
    for section, names in (("attributes", fields.attributes), ("constants", fields.constants)):
        for name in names:
            if name not in KNOWN and not name.startswith(contract.TAG):
                hint = f"{name}: no attribute of docs/wire.yaml, nor {contract.TAG}<name>"
                raise source.mistake(("mapping", section, name), hint)
    return fields
