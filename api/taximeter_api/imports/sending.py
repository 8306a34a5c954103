"""An export on its way to the service, in batches, from where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import urllib3
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from taximeter_api.imports.mapping import Fields
from taximeter_api.imports.rows import Entry, ImportRefused, Unreadable, rows_of
from taximeter_api.imports.spans import is_wanted, nanoseconds, request_of, start_of
from taximeter_collector.otlp_json import MalformedRequest, as_protobuf
from taximeter_collector.settings import Settings
from taximeter_collector.store import Period

ROWS_A_REQUEST: Final = 1_000
PATIENCE_S: Final = 300
SPANS: Final = ("resourceSpans", "resource_spans")
OTHER_SIGNALS: Final = ("resourceLogs", "resourceMetrics", "resourceProfiles")
REASONS_KEPT: Final = 3
LONGEST_WAIT_S: Final = 30.0


@dataclass
class Outcome:
    """What became of an export, so far."""

    rows: int = 0
    """Of the file, those of an earlier run included."""
    sent: int = 0
    left_out: int = 0
    """Outside the asked time, or of another kind."""
    unusable: int = 0
    too_old: int = 0
    """Refused by the service as older than what it keeps."""
    reasons: list[str] = field(default_factory=list)
    """Why the first ones were of no use."""

    def blame(self, reason: str) -> None:
        self.unusable += 1
        if len(self.reasons) < REASONS_KEPT:
            self.reasons.append(reason)


def send(
    path: Path,
    fields: Fields | None,
    wanted: Period,
    settings: Settings,
    told: Callable[[Outcome], None],
) -> Outcome:
    """Send a file; without fields it is OTLP. Raises ImportRefused, and urllib3's HTTPError."""
    note = _note(path, repr((fields, wanted)), settings)
    outcome = Outcome(rows=_rows_done(note))
    receiver = Receiver(settings)
    rows = islice(rows_of(path), outcome.rows, None)
    while batch := list(islice(rows, ROWS_A_REQUEST if fields else 1)):
        sent_before = outcome.sent
        if fields:
            request = _mapped(batch, fields, wanted, outcome)
        else:
            request = _otlp(path, batch[0], wanted, outcome)
        if outcome.sent > sent_before:
            outcome.too_old += receiver.take(request.SerializeToString())
        outcome.rows += len(batch)
        note.write_text(json.dumps({"rows": outcome.rows}), "utf-8")
        told(outcome)
    return outcome


def _mapped(
    batch: Iterable[Entry], fields: Fields, wanted: Period, outcome: Outcome
) -> ExportTraceServiceRequest:
    usable = []
    for number, row in enumerate(batch, outcome.rows + 1):
        try:
            if isinstance(row, Unreadable):
                outcome.blame(row.reason)
            elif isinstance(row, bytes):
                outcome.blame("a binary file is OTLP: leave out --mapping")
            elif is_wanted(row, fields) and wanted.start <= start_of(row, fields) < wanted.end:
                request_of([row], fields)
                usable.append(row)
            else:
                outcome.left_out += 1
        except ImportRefused as refused:
            outcome.blame(f"row {number}: {refused}")
    outcome.sent += len(usable)
    return request_of(usable, fields)


def _otlp(path: Path, row: Entry, wanted: Period, outcome: Outcome) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    try:
        if isinstance(row, Unreadable):
            outcome.blame(row.reason)
        elif isinstance(row, bytes):
            request.ParseFromString(row)
        elif any(name in row for name in SPANS):
            request.ParseFromString(as_protobuf(json.dumps(row).encode()))
        elif any(name in row for name in OTHER_SIGNALS):
            outcome.left_out += 1
        elif outcome.rows:
            outcome.blame(f"row {outcome.rows + 1}: no OTLP")
        else:
            raise ImportRefused(
                f"{path}: no OTLP; say what wrote it: "
                "--mapping langfuse, helicone, litellm or a file"
            )
    except (DecodeError, MalformedRequest) as error:
        request.Clear()
        outcome.blame(f"row {outcome.rows + 1}: {error}")
    _cut_out(request, wanted, outcome)
    return request


def _cut_out(request: ExportTraceServiceRequest, wanted: Period, outcome: Outcome) -> None:
    """Leave in a request the spans of the wanted time."""
    accepted = range(nanoseconds(wanted.start), nanoseconds(wanted.end))
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            inside = [span for span in of_scope.spans if span.start_time_unix_nano in accepted]
            outcome.sent += len(inside)
            outcome.left_out += len(of_scope.spans) - len(inside)
            del of_scope.spans[:]
            of_scope.spans.extend(inside)


class Receiver:
    """A service's receiver, asked until it takes a request."""

    def __init__(self, settings: Settings) -> None:
        self._address = f"{settings.otlp_url}/v1/traces"
        token = settings.ingest_token
        self._headers = {"Content-Type": "application/x-protobuf"}
        if token:
            self._headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._pool = urllib3.PoolManager(retries=False, timeout=60)

    def take(self, body: bytes) -> int:
        """Send a request and return how many of its spans were refused; raises ImportRefused."""
        for wait_s in self._waits():
            answer = self._pool.request("POST", self._address, body=body, headers=self._headers)
            if answer.status == 200:
                told = ExportTraceServiceResponse.FromString(answer.data)
                return told.partial_success.rejected_spans
            if answer.status not in (429, 503):
                raise ImportRefused(f"the service answered {answer.status}: {_reason(answer.data)}")
            asked = answer.headers.get("Retry-After", "")
            time.sleep(min(float(asked), LONGEST_WAIT_S) if asked.isdecimal() else wait_s)
        raise ImportRefused("the service is too busy: import again, it goes on from here")

    def _waits(self) -> Iterator[float]:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            yield 1.0


def _reason(content: bytes) -> str:
    try:
        return str(Status.FromString(content).message)
    except DecodeError:
        return content[:200].decode(errors="replace")


def _note(path: Path, how: str, settings: Settings) -> Path:
    """Return where it is noted how much of a file has been sent."""
    digest = hashlib.sha256(f"{path.stat().st_size} {how}".encode())
    with path.open("rb") as file:
        digest.update(file.read(1_000_000))
    folder = settings.data_dir / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{digest.hexdigest()[:32]}.json"


def _rows_done(note: Path) -> int:
    return int(json.loads(note.read_text("utf-8"))["rows"]) if note.exists() else 0
