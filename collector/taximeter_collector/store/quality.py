"""What the meter knows that it does not know: lost spans, calls without a price, altered tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from taximeter_collector.calls import Loss
from taximeter_collector.store.connection import Connection
from taximeter_collector.store.scope import Period

LOST_SPANS = """
select service, sum(spans)
from taximeter.lost_spans final
where told_at >= {start:DateTime64(3, 'UTC')}
    and told_at < {end:DateTime64(3, 'UTC')}
group by service
order by sum(spans) desc, service
"""

CALLS = """
select
    sum(part.calls),
    sumIf(part.calls, cost_status = 'estimated'),
    sumIf(part.calls, usage_source = 'invalid' or cost_reason like 'absurd usage%'),
    sum(part.altered_calls),
    sumMapIf(map(cost_reason, part.calls), cost_status = 'unpriced')
from taximeter.outcomes_by_hour as part
where hour >= {start:DateTime('UTC')} and hour < {end:DateTime('UTC')}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Counts over the calls of the hours that begin in a period."""

    calls: int
    estimated_calls: int
    absurd_calls: int
    """Their usage can't be: negative, or a part larger than its whole."""
    altered_calls: int
    """Some of their tags could not be kept as they were given."""
    unpriced_calls: Mapping[str, int]
    """By the reason, the most first."""
    lost_spans: Mapping[str, int]
    """By service: spans that it could not deliver, the most first."""


def add_losses(connection: Connection, losses: Sequence[Loss]) -> None:
    if losses:
        rows = [asdict(loss) for loss in losses]
        connection.insert("lost_spans", {name: [row[name] for row in rows] for name in rows[0]})


def lost_spans(connection: Connection, period: Period) -> dict[str, int]:
    """Return by service how many spans it could not deliver."""
    bound = {"start": period.start, "end": period.end}
    rows = connection.read(LOST_SPANS, bound).result_rows
    return {service: int(spans) for service, spans in rows}


def quality(connection: Connection, period: Period) -> Quality:
    bound = {"start": period.start, "end": period.end}
    calls, estimated, absurd, altered, unpriced = connection.read(CALLS, bound).result_rows[0]
    return Quality(
        calls=calls,
        estimated_calls=estimated,
        absurd_calls=absurd,
        altered_calls=altered,
        unpriced_calls=dict(sorted(unpriced.items(), key=lambda one: (-one[1], one[0]))),
        lost_spans=lost_spans(connection, period),
    )
