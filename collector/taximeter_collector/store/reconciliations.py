"""What a reconciliation asks of the store, and the ones that it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pydantic import TypeAdapter

from taximeter_collector.store.connection import Connected, Connection
from taximeter_collector.store.scope import Period

TOKEN_ITEMS = ("input", "cached input", "cache write", "output")
TOOL_ITEMS = ("web search", "file search", "container")
ITEMS = (*TOKEN_ITEMS, "units", *TOOL_ITEMS)
"""What of a call is billed apart; "units" are characters, seconds and images."""

# A gateway may stand between; the answer of OpenAI itself names its project.
USE = """
with
    [
        toDecimal64(input_tokens, 6) - cached_input_tokens - cache_write_tokens,
        toDecimal64(cached_input_tokens, 6),
        toDecimal64(cache_write_tokens, 6),
        toDecimal64(output_tokens, 6),
        arraySum(mapValues(mapFilter((k, v) -> match(k, '^(characters|seconds|images)'), meters))),
        arraySum(mapValues(mapFilter((k, v) -> startsWith(k, 'web_searches'), meters))),
        meters['file_searches'],
        arraySum(mapValues(mapFilter((k, v) -> startsWith(k, 'container_sessions'), meters)))
    ] as used,
    [
        ifNull(cost_input, toDecimal64(0, 12))
            + cost_parts['audio_input'] + cost_parts['image_input'],
        ifNull(cost_cached_input, toDecimal64(0, 12))
            + cost_parts['cached_audio_input'] + cost_parts['cached_image_input'],
        ifNull(cost_cache_write, toDecimal64(0, 12)) + cost_parts['cache_write_12h'],
        ifNull(cost_output, toDecimal64(0, 12))
            + cost_parts['audio_output'] + cost_parts['image_output']
    ] as by_tokens,
    [cost_parts['web_searches'], cost_parts['file_searches'], cost_parts['container_sessions']]
        as by_tools,
    ifNull(cost, toDecimal64(0, 12)) - arraySum(by_tokens) - arraySum(by_tools) as by_units
select
    toStartOfHour(ts) as at,
    project,
    api_key_id,
    model,
    batch,
    -- Two names of one tier.
    if(service_tier = 'fast', 'priority', service_tier) as tier,
    countIf(error_type = '' or cost_status = 'unpriced'),
    countIf(cost_status = 'unpriced'),
    sumForEach(used),
    sumForEach(arrayMap(one -> if(cost_status = 'unpriced', one, toDecimal64(0, 6)), used)),
    sumForEach(arrayConcat(by_tokens, [by_units], by_tools))
from taximeter.calls final
where toStartOfHour(ts) >= {start:DateTime('UTC')}
    and toStartOfHour(ts) < {end:DateTime('UTC')}
    and provider = 'openai'
    and (server_address = '' or endsWith(server_address, '.openai.com') or project != '')
group by at, project, api_key_id, model, batch, tier
"""


class CauseKind(StrEnum):
    """Why the bill and the meter differ."""

    UNSEEN = "unseen"
    """Billed for calls that never reached us."""
    UNPRICED = "unpriced"
    PROVISIONAL = "provisional"
    """Of the last 48 hours, which OpenAI still counts."""
    TOOLS = "tools"
    UNMATCHED_KEY = "unmatched_key"
    """Metered under a key that is none of the account's."""
    ROUNDING = "rounding"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class OwnUse:
    """Calls to OpenAI of one hour that are billed alike; the tuples follow `ITEMS`."""

    hour: datetime
    project: str
    api_key_id: str
    model: str
    batch: bool
    service_tier: str
    calls: int
    unpriced_calls: int
    used: tuple[Decimal, ...]
    unpriced: tuple[Decimal, ...]
    """The part of `used` that has no price."""
    costs: tuple[Decimal, ...]
    """US dollars of the priced calls."""

    @property
    def lacking(self) -> list[Decimal]:
        """Of how many calls the cost of each item is unknown: lost usage was of any but tools."""
        calls = Decimal(self.unpriced_calls)
        return [
            calls if units or item not in TOOL_ITEMS else Decimal(0)
            for item, units in zip(ITEMS, self.unpriced, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Cause:
    kind: CauseKind
    detail: str
    usd: Decimal
    """How much more OpenAI bills than we metered, for this reason; may be negative."""


@dataclass(frozen=True, slots=True)
class BilledDay:
    day: date
    billed: Decimal
    metered: Decimal
    is_final: bool
    """False in the last 48 hours, while OpenAI still counts."""
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class BilledLine:
    project: str
    key: str
    item: str
    billed: Decimal
    metered: Decimal
    unpriced_calls: int
    """Above 0, `metered` is at least that, or unknown where it is 0."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An hour's tokens of one kind where OpenAI counts others than we do."""

    hour: datetime
    project: str
    key: str
    model: str
    batch: bool
    service_tier: str
    requests: int
    calls: int
    billed_tokens: int
    metered_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """OpenAI's bill of a month beside our meter, as seen at one moment; US dollars."""

    month: date
    taken_at: datetime
    billed: Decimal
    metered: Decimal
    unpriced_calls: int
    causes: tuple[Cause, ...]
    """They sum to `difference` exactly."""
    days: tuple[BilledDay, ...]
    lines: tuple[BilledLine, ...]
    gaps: tuple[Gap, ...]
    """The largest ones of the final days."""

    @property
    def difference(self) -> Decimal:
        return self.billed - self.metered


COLUMNS = [field.name for field in fields(Reconciliation)]
KEPT = TypeAdapter(list[Reconciliation])


class Reconciliations(Connected):
    def openai_use(self, period: Period) -> list[OwnUse]:
        """Return what OpenAI was used for in whole hours, by what its bill tells apart."""
        return list(_openai_use(self._connection, period))

    def keep_reconciliation(self, one: Reconciliation) -> None:
        values = {name: getattr(one, name) for name in COLUMNS}
        columns = {
            name: [[astuple(part) for part in value] if isinstance(value, tuple) else value]
            for name, value in values.items()
        }
        self._connection.insert("reconciliations", columns)

    def reconciliations(self, month: date | None = None) -> list[Reconciliation]:
        """Return the newest reconciliations of a month, or of any, the newest first."""
        rows = self._connection.rows(
            f"""
            select {", ".join(COLUMNS)}
            from taximeter.reconciliations
            where {{month:Nullable(Date)}} is null or month = {{month:Nullable(Date)}}
            order by taken_at desc
            limit 100
            """,  # noqa: S608 names of ours
            {"month": month},
        )
        return KEPT.validate_python(rows)

    def reconciled_months(self) -> list[date]:
        """Return the first days of the months that have a reconciliation, the newest first."""
        rows = self._connection.read(
            "select distinct month from taximeter.reconciliations order by month desc"
        ).result_rows
        return [month for (month,) in rows]


def _openai_use(connection: Connection, period: Period) -> Iterator[OwnUse]:
    # A query a day, which bounds each.
    start = period.start
    while start < period.end:
        end = min(start + timedelta(days=1), period.end)
        rows = connection.read(USE, {"start": start, "end": end}).result_rows
        for *counts, used, unpriced, costs in rows:
            yield OwnUse(*counts, *map(tuple, (used, unpriced, costs)))
        start = end
