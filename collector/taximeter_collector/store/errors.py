"""What a caller of the store can act on."""

from taximeter_collector.refusal import Refusal


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
