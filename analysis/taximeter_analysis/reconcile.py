"""OpenAI's bill beside our meter: where they differ, and why. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from taximeter_analysis.bill import FOREIGN, Account, BilledUse, item_of, whose
from taximeter_collector.store.reconciliations import (
    ITEMS,
    TOKEN_ITEMS,
    TOOL_ITEMS,
    BilledDay,
    BilledLine,
    Cause,
    CauseKind,
    Gap,
    OwnUse,
    Reconciliation,
)

PROVISIONAL_FOR = timedelta(hours=48)
"""How long OpenAI may still change what it counted."""
GAPS_KEPT = 100
STEP = Decimal("1e-12")
NOTHING = Decimal(0)
LEAST_ROUNDING, MOST_ROUNDING = Decimal("0.0005"), Decimal("0.005")


@dataclass(frozen=True, slots=True)
class Revision:
    """A day that OpenAI billed otherwise after it had seemed final."""

    day: date
    before: Decimal
    after: Decimal


class _Group(NamedTuple):
    """What is explained together."""

    day: date
    project: str
    key: str
    model: str
    """Empty for what the bill lists without a model, like tools."""


class _Place(NamedTuple):
    group: _Group
    tier: str
    item: str


class _Cell(NamedTuple):
    hour: datetime
    project: str
    key: str
    model: str
    batch: bool
    service_tier: str


@dataclass(slots=True)
class _Sums:
    billed: Decimal = NOTHING
    metered: Decimal = NOTHING
    their_units: Decimal = NOTHING
    our_units: Decimal = NOTHING
    unpriced_units: Decimal = NOTHING
    unpriced_calls: Decimal = NOTHING


class _Ledger:
    """Both sides, entered at the same places."""

    def __init__(self, account: Account, own: Sequence[OwnUse], chosen: Mapping[str, str]) -> None:
        self.sums: dict[_Place, _Sums] = defaultdict(_Sums)
        self.requests: Counter[_Group] = Counter()
        self.calls: Counter[_Group] = Counter()
        self.unpriced_calls: Counter[_Group] = Counter()
        self.seen_keys: set[str] = set()
        self.names = {key.id: f"{key.name} (…{key.ending})" for key in account.keys}
        self.projects = account.projects
        self.cells: dict[_Cell, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        """Requests, calls, OpenAI's tokens and ours."""
        self._tiers: set[tuple[_Group, str]] = set()
        for charge in account.charges:
            tier, model, item = item_of(charge.line_item)
            group = _Group(charge.day, charge.project, charge.key, model)
            self._tiers.add((group, tier))
            self.sums[_Place(group, tier, item)].billed += charge.usd
        for use in account.use:
            group = _Group(use.hour.date(), use.project, use.key, use.model)
            self.requests[group] += use.requests
            self._enter(group, use, "their_units", use.used)
            self._count(group, use, (use.requests, 0, _tokens(use.used), 0))
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for one in own:
            name = (one.api_key_id, one.project)
            if name not in found:
                found[name] = whose(one, account.keys, chosen)
            self._enter_own(one, *found[name])

    def _enter_own(self, one: OwnUse, project: str, key: str) -> None:
        group = _Group(one.hour.date(), project, key, one.model)
        self.seen_keys.add(key)
        self.calls[group] += one.calls
        self.unpriced_calls[group] += one.unpriced_calls
        self._enter(group, one, "our_units", one.used)
        self._enter(group, one, "unpriced_units", one.unpriced)
        self._enter(group, one, "unpriced_calls", one.lacking)
        self._enter(group, one, "metered", one.costs)
        self._count(group, one, (0, one.calls, 0, _tokens(one.used)))

    def _count(self, group: _Group, use: OwnUse | BilledUse, counts: Sequence[int]) -> None:
        # An answer that names no tier was served at the default one.
        cell = _Cell(use.hour, *group[1:], use.batch, use.service_tier or "default")
        self.cells[cell] = [sum(pair) for pair in zip(self.cells[cell], counts, strict=True)]

    def _enter(
        self, group: _Group, use: OwnUse | BilledUse, column: str, amounts: Sequence[Decimal]
    ) -> None:
        tier = "batch" if use.batch else use.service_tier
        for item, amount in zip(ITEMS, amounts, strict=True):
            if amount:
                of_item = group._replace(model="") if item in TOOL_ITEMS else group
                # What the bill does not tell apart is within its plain line.
                known = tier if (of_item, tier) in self._tiers else ""
                sums = self.sums[_Place(of_item, known, item)]
                setattr(sums, column, getattr(sums, column) + amount)

    def key_name(self, key: str) -> str:
        if key.startswith(FOREIGN):
            return f"…{key.removeprefix(FOREIGN)}"
        return self.names.get(key, key) or "no key"


def reconcile(
    account: Account,
    own: Sequence[OwnUse],
    *,
    month: date,
    chosen: Mapping[str, str],
    now: datetime,
) -> Reconciliation:
    """Compare and explain; `chosen` maps names of our keys to ids of OpenAI's."""
    ledger = _Ledger(account, own, chosen)
    groups: dict[_Group, dict[_Place, _Sums]] = defaultdict(dict)
    for place, sums in ledger.sums.items():
        groups[place.group][place] = sums
    usd_by_reason: dict[tuple[CauseKind, str], Decimal] = defaultdict(Decimal)
    for group, places in groups.items():
        for cause in _causes(group, places, ledger, now):
            usd_by_reason[cause.kind, cause.detail] += cause.usd
    ranked = sorted(usd_by_reason.items(), key=lambda item: (-abs(item[1]), item[0]))
    return Reconciliation(
        month=month,
        taken_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        billed=_total(ledger.sums.values(), "billed"),
        metered=_total(ledger.sums.values(), "metered"),
        unpriced_calls=ledger.unpriced_calls.total(),
        causes=tuple(Cause(kind, detail, usd) for (kind, detail), usd in ranked if usd),
        days=tuple(_days(ledger, now)),
        lines=tuple(_lines(ledger)),
        gaps=tuple(_gaps(ledger, now)),
    )


def revisions(runs: Sequence[Reconciliation]) -> list[Revision]:
    """Return the days that an earlier run saw as final and otherwise; `runs` newest first."""
    if not runs:
        return []
    before = {day.day: day.billed for run in runs[1:] for day in run.days if day.is_final}
    return [
        Revision(day.day, before[day.day], day.billed)
        for day in runs[0].days
        if before.get(day.day, day.billed) != day.billed
    ]


def _causes(
    group: _Group, places: Mapping[_Place, _Sums], ledger: _Ledger, now: datetime
) -> Iterator[Cause]:
    billed = _total(places.values(), "billed")
    rest = billed - _total(places.values(), "metered")
    if not _is_final(group.day, now):
        yield Cause(CauseKind.PROVISIONAL, "", rest)
    elif group.key.startswith(FOREIGN) or (not group.key and not billed):
        yield Cause(CauseKind.UNMATCHED_KEY, ledger.key_name(group.key), rest)
    elif group.key and group.key not in ledger.seen_keys:
        yield Cause(CauseKind.UNSEEN, f"{ledger.key_name(group.key)}: no call was seen", rest)
    elif not group.model:
        for place, sums in places.items():
            yield Cause(CauseKind.TOOLS, place.item, sums.billed - sums.metered)
    else:
        for place, sums in places.items():
            for cause in _of_volume(place, sums, ledger):
                rest -= cause.usd
                yield cause
        yield _of_price(group, places.values(), rest)


def _of_volume(place: _Place, sums: _Sums, ledger: _Ledger) -> Iterator[Cause]:
    """Yield what was billed for units that we did not count, or could not price."""
    group = place.group
    key = f"{ledger.key_name(group.key)}: some of its calls"
    if not sums.their_units:  # no use to weigh by: all of the line or nothing
        if sums.billed > sums.metered and (sums.unpriced_units or not sums.our_units):
            known = sums.unpriced_units or ledger.unpriced_calls[group]
            unseen = Cause(CauseKind.UNSEEN, key, sums.billed - sums.metered)
            yield Cause(CauseKind.UNPRICED, group.model, unseen.usd) if known else unseen
        return
    usd_per_unit = sums.billed / sums.their_units
    unpriced = min(sums.unpriced_units, sums.their_units)
    yield Cause(CauseKind.UNPRICED, group.model, (usd_per_unit * unpriced).quantize(STEP))
    missing = max(sums.their_units - sums.our_units, NOTHING)
    usd = (usd_per_unit * missing).quantize(STEP)
    # As many calls as OpenAI has requests: none is missing, but the usage of some was lost.
    if ledger.unpriced_calls[group] and ledger.calls[group] >= ledger.requests[group]:
        yield Cause(CauseKind.UNPRICED, group.model, usd)
    else:
        yield Cause(CauseKind.UNSEEN, key, usd)


def _of_price(group: _Group, sums: Iterable[_Sums], rest: Decimal) -> Cause:
    """Name what is left where the same units were counted."""
    sums = list(sums)
    one_percent = max(_total(sums, "billed"), _total(sums, "metered")) / 100
    if abs(rest) <= min(max(one_percent, LEAST_ROUNDING), MOST_ROUNDING):
        return Cause(CauseKind.ROUNDING, "", rest)
    if any(one.our_units > one.their_units for one in sums):
        return Cause(CauseKind.OTHER, f"{group.model}: we counted more than OpenAI", rest)
    return Cause(CauseKind.OTHER, f"{group.model}: another price than ours", rest)


def _days(ledger: _Ledger, now: datetime) -> Iterator[BilledDay]:
    by_day: dict[date, list[_Sums]] = defaultdict(list)
    for place, sums in ledger.sums.items():
        by_day[place.group.day].append(sums)
    unpriced: Counter[date] = Counter()
    for group, calls in ledger.unpriced_calls.items():
        unpriced[group.day] += calls
    for day, sums_of_day in sorted(by_day.items()):
        billed, metered = _total(sums_of_day, "billed"), _total(sums_of_day, "metered")
        yield BilledDay(day, billed, metered, _is_final(day, now), unpriced[day])


def _lines(ledger: _Ledger) -> list[BilledLine]:
    by_line: dict[tuple[str, str, str], list[_Sums]] = defaultdict(list)
    for (group, tier, item), sums in ledger.sums.items():
        named = ", ".join(filter(None, (group.model, item)))
        project = ledger.projects.get(group.project, group.project)
        line = (project, ledger.key_name(group.key), f"{tier} | {named}" if tier else named)
        by_line[line].append(sums)
    lines = [
        BilledLine(
            *line,
            billed=_total(sums, "billed"),
            metered=_total(sums, "metered"),
            unpriced_calls=int(_total(sums, "unpriced_calls")),
        )
        for line, sums in by_line.items()
    ]
    lines = [line for line in lines if line.billed or line.metered]
    return sorted(lines, key=lambda line: (-abs(line.billed - line.metered), astuple(line)))


def _gaps(ledger: _Ledger, now: datetime) -> list[Gap]:
    """Return the hours of final days whose tokens differ, the widest first."""
    gaps = [
        Gap(*cell._replace(key=ledger.key_name(cell.key)), *counts)
        for cell, counts in ledger.cells.items()
        if _is_final(cell.hour.date(), now)
    ]
    gaps = [gap for gap in gaps if gap.billed_tokens != gap.metered_tokens]
    gaps.sort(key=lambda gap: (-abs(gap.billed_tokens - gap.metered_tokens), astuple(gap)))
    return gaps[:GAPS_KEPT]


def _is_final(day: date, now: datetime) -> bool:
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return end <= now - PROVISIONAL_FOR


def _total(sums: Iterable[_Sums], column: str) -> Decimal:
    return sum((getattr(one, column) for one in sums), NOTHING)


def _tokens(used: Sequence[Decimal]) -> int:
    return int(sum(used[: len(TOKEN_ITEMS)]))
