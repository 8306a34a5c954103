"""Who is compared: what is installed, as found on the package index on 2026-11-22."""

from __future__ import annotations

from dataclasses import dataclass

OPENAI = "3.54.0"
OPENAI_2 = "2.54.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    name: str
    requirement: str
    """As for pip; several are separated by a space."""
    openai: str = OPENAI
    """Its set-up in meters.py is found by the name."""
    note: str = ""


PEERS = (
    Peer(name="taximeter", requirement="./instrumentation"),
    Peer(
        name="taximeter-given",
        requirement="./instrumentation",
        note="with the SDK's own tracer instead of our spans",
    ),
    Peer(
        name="genai-openai",
        requirement="opentelemetry-instrumentation-genai-openai==1.3b0",
        note="OpenTelemetry's own, the successor of openai-v2",
    ),
    Peer(
        name="openai-v2",
        requirement="opentelemetry-instrumentation-openai-v2==2.4b0 "
        "opentelemetry-util-genai==0.4b0",
        openai=OPENAI_2,
        note="does not import with openai 3, nor with a newer util-genai",
    ),
    Peer(name="traceloop", requirement="opentelemetry-instrumentation-openai==0.62.4"),
    Peer(name="openinference", requirement="openinference-instrumentation-openai==0.1.66"),
    Peer(name="logfire", requirement="logfire==5.2.0"),
    Peer(name="langfuse", requirement="langfuse==5.0.4"),
    Peer(
        name="openlit",
        requirement="openlit==1.45.0",
        openai=OPENAI_2,
        note="does not resolve with openai 3",
    ),
)
