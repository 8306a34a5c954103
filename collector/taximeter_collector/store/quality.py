"""What the meter knows that it does not know: lost spans, calls without a price, altered tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taximeter_collector.calls import Loss
from taximeter_collector.store.connection import Connected
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
    sum(part.calls) as calls,
    sumIf(part.calls, cost_status = 'estimated') as estimated_calls,
    sumIf(part.calls, usage_source = 'invalid' or cost_reason like 'absurd usage%') as absurd_calls,
    sum(part.altered_calls) as altered_calls,
    sumMapIf(map(cost_reason, part.calls), cost_status = 'unpriced') as unpriced
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


class QualityQuestions(Connected):
    def add_losses(self, losses: Sequence[Loss]) -> None:
        """Keep what apps say they could not deliver; the same told again counts once."""
        self._connection.insert_lines("lost_spans", losses)

    def lost_spans(self, period: Period) -> dict[str, int]:
        """Return by service how many spans it could not deliver."""
        bound = {"start": period.start, "end": period.end}
        rows = self._connection.read(LOST_SPANS, bound).result_rows
        return {service: int(spans) for service, spans in rows}

    def quality(self, period: Period) -> Quality:
        bound = {"start": period.start, "end": period.end}
        (counts,) = self._connection.read_sums(CALLS, bound, period).named_results()
        unpriced = sorted(counts.pop("unpriced").items(), key=lambda one: (-one[1], one[0]))
        return Quality(**counts, unpriced_calls=dict(unpriced), lost_spans=self.lost_spans(period))
