"""What a page is asked for: a period and filters, which live in its address."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from starlette.datastructures import QueryParams

from taximeter_alerts.scope_words import LONGEST_QUERY, MOST_VALUES, query
from taximeter_api.page import format as fmt
from taximeter_api.questions import Refused, period_of, scope_of, tomorrow
from taximeter_collector.labels import label
from taximeter_collector.store import Period, Scope
from taximeter_collector.store.calls import Only

DAY = timedelta(days=1)
OWN = {"from", "to", "span", "only", "order", "format"}
DEAREST = "dearest"
LONGEST_IN_A_ROW = 200
LONGEST_OF_MANY = 600
MOST_CHIPS = 10
SPANS = {"7d": 7, "30d": 30, "90d": 90}
"""Whole UTC days with today, by how an address names them; without one it is the month so far."""
SPAN_NAMES = {"": "This month", "7d": "7 days", "30d": "30 days", "90d": "90 days"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A page's period and filters."""

    period: Period
    span: str
    """`7d`, "" for the month so far, or `custom`."""
    filters: tuple[tuple[str, str], ...]
    """Dimensions, as people call them, with a value each; several values of one are any of them."""
    scope: Scope
    custom: Mapping[str, str]
    """`from` and `to` as they were given."""
    only: Only | None
    order: str
    """`dearest`, or "" for the newest first."""
    now: datetime

    @property
    def before(self) -> Period:
        """As much of an equal period just before this one as is gone of this one."""
        start, length = self.period.start, self.period.end - self.period.start
        return Period(start - length, min(start, max(start, self.now) - length))

    @property
    def dates(self) -> Mapping[str, str]:
        """What the form's fields hold; nothing where dates would say another period."""
        ends = {name: _by_its_clock(text).astimezone(UTC) for name, text in self.custom.items()}
        if any(end.time() != time.min for end in ends.values()):
            return {}
        return {name: end.date().isoformat() for name, end in ends.items()}

    @property
    def in_words(self) -> str:
        """The period and the filters in one line."""
        return " · ".join([self._period_in_words(), *self._filters_in_words()])

    def _period_in_words(self) -> str:
        if not self.custom:
            return fmt.period(self.period.start, tomorrow(self.now))
        ends = {name: _by_its_clock(text) for name, text in self.custom.items()}
        return fmt.period(ends.get("from", self.period.start), ends.get("to"))

    def _filters_in_words(self) -> Iterator[str]:
        for name, value in self.filters:
            yield f"{name} {fmt.isolated(value or '(none)', 32)}"
        if self.only:
            yield f"only {self.only.in_words}"

    def query(self, changes: Mapping[str, str | None] | None = None) -> str:
        """Return the query of an address with some words changed; None leaves one out."""
        changes = changes or {}
        words = [(name, value) for name, value in self._words() if name not in changes]
        words += [(name, value) for name, value in changes.items() if value is not None]
        return query(words)

    def inside(self, values: Mapping[str, str], **more: str) -> str:
        """Return the query for some values more; "" when it is too long for a page of many."""
        query = self.query({**values, **more})
        return query if len(query) <= LONGEST_IN_A_ROW else ""

    @property
    def is_short(self) -> bool:
        """Tell whether many links of a page may repeat it."""
        return len(self.filters) <= MOST_CHIPS and len(self.query()) <= LONGEST_OF_MANY

    def without(self, name: str, value: str) -> str:
        """Return the query of an address without one filter."""
        return query(pair for pair in self._words() if pair != (name, value))

    @property
    def unfiltered(self) -> str:
        """The query of an address without any filter."""
        return self.query(dict.fromkeys(dict(self.filters)))

    def _words(self) -> Iterator[tuple[str, str]]:
        yield from self.custom.items()
        yield from self.filters
        if self.span and self.span != "custom":
            yield "span", self.span
        if self.only:
            yield "only", self.only
        if self.order:
            yield "order", self.order


def asked(query: QueryParams, now: datetime, others: Collection[str] = ()) -> Asked:
    """Read the words of an address, but for `others` of its page; raises Refused."""
    words = dict(query)
    for name in OWN.union(others).intersection(words):
        if len(query.getlist(name)) > 1:
            raise Refused(f"{name}: give it once")
    span = words.get("span", "")
    custom = {name: words[name] for name in ("from", "to") if words.get(name)}
    if span not in SPAN_NAMES:
        raise Refused(f"span={span!r}: give one of {', '.join(SPANS)}, or from and to")
    if custom and span:
        raise Refused(f"span={span}: give it, or from and to")
    if custom:
        period, span = period_of(custom.get("from", ""), custom.get("to", ""), now), "custom"
    elif span:
        end = tomorrow(now)
        period = Period(end - SPANS[span] * DAY, end)
    else:
        period = period_of("", "", now)
    order = words.get("order", "")
    if order not in ("", DEAREST):
        raise Refused(f"order={order!r}: give {DEAREST}, or leave it out for the newest first")
    known = OWN.union(others)
    pairs = ((name, label(value)) for name, value in query.multi_items() if name not in known)
    filters = tuple(dict.fromkeys(pairs))
    found = Asked(period, span, filters, scope_of(filters), custom, _only(words), order, now)
    if len(filters) > MOST_VALUES or len(found.query()) > LONGEST_QUERY:
        raise Refused(
            f"{len(filters)} values: give at most {MOST_VALUES}, "
            f"and {LONGEST_QUERY:,} characters with from and to"
        )
    return found


def _by_its_clock(text: str) -> datetime:
    """Read a time that is known to be one, in the zone that it names."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _only(words: Mapping[str, str]) -> Only | None:
    text = words.get("only", "")
    try:
        return Only(text) if text else None
    except ValueError:
        raise Refused(f"only={text!r}: give one of {', '.join(Only)}") from None
