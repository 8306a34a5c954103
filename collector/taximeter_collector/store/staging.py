"""Tables of one writer, where the engine decodes a segment's spans and joins them with rates."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from taximeter_collector.calls import Rates
from taximeter_collector.otlp import Window
from taximeter_collector.store.connection import Connection
from taximeter_collector.store.errors import StoreError
from taximeter_collector.store.incoming import DECODED, INSERTED, SCHEMA, STRUCTURE

DEAREST: Final = Decimal("0.001")
"""US dollars a token; with the tokens' bound it keeps sums within the column."""
DECODING_THERE: Final = {
    "format_schema_source": "string",
    "format_schema": SCHEMA.read_text("utf-8"),
    "format_schema_message_name": "Span",
}
LEFT_OVER_AFTER_S: Final = 86_400
"""Age of another writer's tables that are dropped; one that lives makes its own anew."""
PLAIN: Final = """
    is_plain and ts >= {start:DateTime64(3, 'UTC')} and ts < {end:DateTime64(3, 'UTC')}
"""
RATES: Final = """
    provider String,
    server_address String,
    request_model String,
    model String,
    service_tier String,
    batch Bool,
    day Date,
    above Int64,
    upto Int64,
    most_output Int64,
    rate_card String,
    price_input Decimal(18, 12),
    price_cached_input Decimal(18, 12),
    price_cache_write Decimal(18, 12),
    price_output Decimal(18, 12)
"""


class PriceKey(NamedTuple):
    """What the price of a token depends on."""

    provider: str
    server_address: str
    request_model: str
    model: str
    service_tier: str
    batch: bool
    day: date


class PricedKey(NamedTuple):
    """The rates of a key for requests with more than `above` and at most `upto` input tokens."""

    key: PriceKey
    above: int
    upto: int
    most_output: int
    """0 where the model has no rate for output tokens."""
    rate_card: str
    rates: Rates


class Staging:
    """One segment at a time: decoded, then joined with rates, then taken into the calls."""

    def __init__(self, connection: Connection, writer: str, *, reads_files: bool) -> None:
        self._connection = connection
        self._reads_files = reads_files
        self._calls, self._spans, self._decoder, self._rates = (
            f"taximeter.incoming_{writer}{part}" for part in ("", "_spans", "_decoder", "_rates")
        )
        self._window: dict[str, Any] = {}
        self.hours: Set[datetime] = frozenset()
        """That may have calls to take."""
        self._drop_leftovers()

    def decode(self, path: Path, window: Window) -> None:
        """Read a file of spans, one row each."""
        self._window = {"start": window.start, "end": window.end}
        self._empty()
        if self._reads_files:
            # From a string the embedded engine would write the schema into the working directory.
            source = f"file('{path}', 'Protobuf', '{STRUCTURE}') as spans"
            self._connection.command(
                f"insert into {self._calls} {DECODED} from {source} "
                f"settings format_schema = '{SCHEMA}:Span'"
            )
        else:
            self._connection.send(path.read_bytes(), self._spans, "Protobuf", DECODING_THERE)

    def price_keys(self) -> Sequence[PriceKey]:
        """Return the keys of the plain calls, and note their hours."""
        of_plain = f"from {self._calls} where {PLAIN}"
        sql = f"select distinct toStartOfHour(ts), {', '.join(PriceKey._fields)} {of_plain}"
        rows = self._connection.read(sql, self._window).result_rows
        self.hours = {hour for hour, *_ in rows}
        return list({PriceKey(*key): None for _, *key in rows})

    def keep_rates(self, priced: Sequence[PricedKey]) -> None:
        """Put rates beside the spans; those that could overflow a sum are left to Python."""
        self._connection.command(f"truncate table {self._rates}")
        fits = [one for one in priced if max(one.rates.input, one.rates.output) <= DEAREST]
        if not fits:
            return
        columns: dict[str, list[object]] = {
            name: [getattr(one.key, name) for one in fits] for name in PriceKey._fields
        }
        for name in ("above", "upto", "most_output", "rate_card"):
            columns[name] = [getattr(one, name) for one in fits]
        for name in ("input", "cached_input", "cache_write", "output"):
            columns[f"price_{name}"] = [getattr(one.rates, name) for one in fits]
        self._connection.insert(self._rates.partition(".")[2], columns)

    def numbers_left(self) -> list[int]:
        """Return the numbers of the spans that Python must decode."""
        sql = f"select number from {self._calls} where number not in (select number {self._priced})"  # noqa: S608
        return [number for (number,) in self._connection.read(sql, self._window).result_rows]

    def take(self, *, token: str, revision: int, book_version: str, now: datetime) -> None:
        """Insert the plain calls that have rates."""
        # Beside the statement, settings would take the embedded engine's client several more. To
        # leave a call that comes twice to merges and to FINAL saves a third of the insert.
        self._connection.command(
            f"""
            insert into taximeter.calls ({", ".join(INSERTED)})
            select {", ".join(INSERTED.values())} {self._priced}
            settings insert_deduplication_token = {{token:String}}, max_threads = 1,
                max_insert_block_size = 1000000, optimize_on_insert = 0
            """,
            {
                **self._window,
                "token": token,
                "revision": revision,
                "book_version": book_version,
                "now": now,
            },
        )

    def close(self) -> None:
        for table in (self._decoder, self._calls, self._spans, self._rates):
            self._connection.command(f"drop table if exists {table}")

    def _empty(self) -> None:
        """Empty the tables; make them where they are not there, or not any more."""
        try:
            self._connection.command(f"truncate table {self._calls}")
        except StoreError:
            self._make()

    def _make(self) -> None:
        for statement in (
            f"create table if not exists {self._spans} ({STRUCTURE}) engine = Null",
            f"create table if not exists {self._calls} engine = Memory "
            f"empty as {DECODED} from {self._spans} as spans",
            f"create table if not exists {self._rates} ({RATES}) engine = Memory",
        ):
            self._connection.command(statement)
        if not self._reads_files:
            self._connection.command(
                f"create materialized view if not exists {self._decoder} to {self._calls} "
                f"as {DECODED} from {self._spans} as spans"
            )

    def _drop_leftovers(self) -> None:
        age_s = 0 if self._reads_files else LEFT_OVER_AFTER_S
        rows = self._connection.read(
            r"""
            select name
            from system.tables
            where database = 'taximeter' and name like 'incoming\_%'
                and metadata_modification_time <= now() - {age_s:UInt32}
            order by engine = 'MaterializedView' desc
            """,
            {"age_s": age_s},
        ).result_rows
        for (name,) in rows:
            self._connection.command(f"drop table if exists taximeter.{name}")

    @property
    def _priced(self) -> str:
        return f"""
            from {self._calls} as incoming
            inner join {self._rates} as rates using ({", ".join(PriceKey._fields)})
            where {PLAIN} and input_tokens > above and input_tokens <= upto
                and output_tokens <= most_output
        """
