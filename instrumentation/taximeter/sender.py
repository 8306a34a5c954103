"""One POST to the collector, and what its answer means in OTLP's own terms."""

from __future__ import annotations

import email.utils
import time
from email.message import Message
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from taximeter.destination import Destination

LONGEST_WAIT_S = 300.0
_ANSWER = 65_536
_TOO_LARGE = 413
# These speak of the collector's state or our settings, not of the batch: it is kept for later.
_LATER = {401, 403, 404, 407, 408, 425, 429, 502, 503, 504}


class Taken(NamedTuple):
    rejected: int = 0


class Refused(NamedTuple):
    """The collector will never take this batch."""

    reason: str


class TooLarge(NamedTuple):
    """A smaller batch may be taken."""


class Later(NamedTuple):
    reason: str
    after_s: float | None = None
    """As the collector asked; None leaves it to the sender."""
    answered: bool = True


Verdict = Taken | Refused | TooLarge | Later


class Sender:
    def __init__(self, destination: Destination) -> None:
        self._to = destination
        self._opener = destination.opener()
        self._headers = {
            "User-Agent": "taximeter",
            **destination.headers,
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
        }

    def post(self, body: bytes) -> Verdict:
        """Send one gzipped request; whatever goes wrong is a verdict, not an exception."""
        try:
            request = Request(self._to.url, body, self._headers)  # noqa: S310 - http(s) by settings
            with self._opener.open(request, timeout=self._to.timeout_s) as answer:
                return _taken(answer.headers, answer.read(_ANSWER))
        except HTTPError as error:
            with error:
                return _declined(error.code, error.headers)
        except HTTPException:
            return Later("it does not speak HTTP", answered=False)
        except (OSError, ValueError) as error:
            return Later(_cause(error), answered=False)


def _taken(headers: Message, content: bytes) -> Verdict:
    if (headers.get("Content-Type") or "").startswith("text/html"):
        return Later("it answered with a web page")
    try:
        answer = ExportTraceServiceResponse.FromString(content)
    except DecodeError:
        return Taken()
    return Taken(max(0, answer.partial_success.rejected_spans))


def _declined(status: int, headers: Message) -> Verdict:
    if status == _TOO_LARGE:
        return TooLarge()
    if status in _LATER or 300 <= status < 400:
        return Later(f"it answered {status}", _asked_wait_s(headers.get("Retry-After") or ""))
    return Refused(f"it answered {status}")


def _asked_wait_s(text: str) -> float | None:
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), LONGEST_WAIT_S)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, at - time.time()), LONGEST_WAIT_S)


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    text = reason.strerror if isinstance(reason, OSError) else None
    return (text or type(reason).__name__).lower()
