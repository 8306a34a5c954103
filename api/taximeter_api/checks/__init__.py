"""What `taximeter doctor` looks at: each check says how it is, and how to mend what is wrong."""

from collections.abc import Callable, Iterator
from typing import Final

from taximeter_api.checks import traffic
from taximeter_api.checks.finding import Finding
from taximeter_collector.settings import Settings

__all__ = ["CHECKS", "Finding"]

CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    traffic.service,
    traffic.exporter,
)
