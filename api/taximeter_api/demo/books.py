"""What the demo's account says: the traffic it served, and a key that nobody metered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from taximeter_analysis.bill import Key
from taximeter_api.demo.fake_account import Entry
from taximeter_api.demo.history import DAYS

APP_KEY: Final = Key(id="key_webapp", name="webapp", project="proj_demo", redacted="sk-****demo")
FORGOTTEN_KEY: Final = Key(
    id="key_export", name="nightly-export", project="proj_demo", redacted="sk-****k7Qz"
)
CENT_OF_A_CENT: Final = Decimal("0.0001")
"""The fake bill rounds its lines, so that a remainder is there to be named."""

# US dollars per million tokens: input, cached input, output.
# https://platform.openai.com/docs/pricing
RATES: Final = {
    "gpt-4o": ("2.50", "1.25", "10.00"),
    "gpt-4o-mini": ("0.15", "0.075", "0.60"),
    "gpt-4.1-mini": ("0.40", "0.10", "1.60"),
    "gpt-5": ("1.25", "0.125", "10.00"),
    "gpt-5-mini": ("0.25", "0.025", "2.00"),
    "gpt-5.5": ("5.00", "0.50", "30.00"),
    "gpt-6-pilot": ("6.00", "0.60", "36.00"),
    "o4-mini": ("1.10", "0.275", "4.40"),
    "text-embedding-3-small": ("0.02", "0.02", "0"),
}
CLASSES: Final = ("input", "cached input", "output")


class _Cell(NamedTuple):
    hour: datetime
    key: str
    model: str


class ServedBooks:
    """Counts what was served by the hour; tells it as usage and as a bill."""

    keys: Sequence[Key] = (APP_KEY, FORGOTTEN_KEY)

    def __init__(self, now: datetime) -> None:
        self._requests: Counter[_Cell] = Counter()
        self._tokens: Counter[tuple[_Cell, str]] = Counter()
        for days_ago in range(1, DAYS + 1):
            night = now.replace(hour=3, minute=0, second=0, microsecond=0)
            for _ in range(12):
                self.serve(
                    "gpt-4o", 5_000, 0, 400, at=night - days_ago * timedelta(days=1),
                    key=FORGOTTEN_KEY.id,
                )  # fmt: skip

    def serve(
        self, model: str, input_: int, cached: int, output: int, *, at: datetime,
        key: str = APP_KEY.id,
    ) -> None:  # fmt: skip
        cell = _Cell(at.replace(minute=0, second=0, microsecond=0), key, model)
        self._requests[cell] += 1
        for name, tokens in zip(CLASSES, (input_ - cached, cached, output), strict=True):
            self._tokens[cell, name] += tokens

    def serve_history(self, body: bytes) -> None:
        """Count the calls of an OTLP request, as if they had been made here."""
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in of_resource.scope_spans[0].spans:
                values = {one.key: one.value for one in span.attributes}
                if model := values.get("gen_ai.response.model"):
                    counts = (
                        values[name].int_value if name in values else 0
                        for name in (
                            "gen_ai.usage.input_tokens",
                            "gen_ai.usage.cache_read.input_tokens",
                            "gen_ai.usage.output_tokens",
                        )
                    )
                    at = datetime.fromtimestamp(span.start_time_unix_nano / 1e9, UTC)
                    self.serve(model.string_value, *counts, at=at)

    def usage(self, kind: str) -> Sequence[Entry]:
        return list(self._usage(kind))

    def _usage(self, kind: str) -> Iterator[Entry]:
        for cell, requests in self._requests.copy().items():
            is_embedding = cell.model.startswith("text-embedding")
            if kind != ("embeddings" if is_embedding else "completions"):
                continue
            input_, cached, output = (self._tokens[cell, name] for name in CLASSES)
            fields: dict[str, Any] = {
                "project_id": APP_KEY.project,
                "api_key_id": cell.key,
                "model": cell.model,
                "num_model_requests": requests,
                "input_tokens": input_ + cached,
            }
            if not is_embedding:
                fields |= {"input_cached_tokens": cached, "output_tokens": output}
                fields |= {"batch": False, "service_tier": "default"}
            yield cell.hour, fields

    def costs(self) -> Sequence[Entry]:
        by_line: Counter[tuple[datetime, str, str, str]] = Counter()
        for (cell, name), tokens in self._tokens.copy().items():
            by_line[cell.hour.replace(hour=0), cell.key, cell.model, name] += tokens
        return [
            (
                day,
                {
                    "project_id": APP_KEY.project,
                    "api_key_id": key,
                    "line_item": f"{model}, {name}",
                    "amount": {"currency": "usd", "value": float(_usd(model, name, tokens))},
                },
            )
            for (day, key, model, name), tokens in by_line.items()
            if tokens
        ]


def _usd(model: str, name: str, tokens: int) -> Decimal:
    usd = Decimal(RATES[model][CLASSES.index(name)]) * tokens / 1_000_000
    return usd.quantize(CENT_OF_A_CENT)
