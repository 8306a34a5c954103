"""Alerts over HTTP: what became of each, channels, and silences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from taximeter_alerts.alert import Alert, Outgoing, Told
from taximeter_alerts.channels import ChannelGone, Channels, DeliveryError
from taximeter_alerts.message import made_up, taken_back
from taximeter_alerts.state import Delivery, Silence, State
from taximeter_api.checks.channels import of_channels
from taximeter_api.questions import Refused, moment_of
from taximeter_api.security import who
from taximeter_collector.labels import label

LOGGED: Final = 200
NOT_DELIVERED: Final = 502


class WantedSilence(BaseModel):
    """No messages of a budget until a moment; of all budgets with an empty name."""

    model_config = ConfigDict(extra="forbid")

    budget: str
    value: str = ""
    until: str
    reason: Annotated[str, Field(max_length=200)] = ""


def alerts_api(state: State, channels: Channels, page_url: str) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["alerts"])

    @router.get("/alerts")
    def log_of_deliveries() -> dict[str, Any]:
        """List the newest alerts and what became of each delivery."""
        taken = state.acknowledgements.all()
        newest = state.deliveries.newest(LOGGED)
        return {"deliveries": [_delivery(one, taken.get(one.number)) for one in newest]}

    @router.get("/channels")
    def list_channels() -> dict[str, Any]:
        found = of_channels(state, channels)
        return {
            "channels": [
                {"name": name, "problem": one.state if one.advice else None}
                for name, one in found.items()
            ]
        }

    @router.post("/channels/{name}/test")
    def send_test(name: str) -> dict[str, str]:
        """Send an alert of a made-up budget; a channel that takes it is back in use."""
        if problem := test_channel(state, channels, name, page_url):
            raise HTTPException(NOT_DELIVERED, f"not delivered: {problem}")
        return {"channel": name, "status": "took it"}

    @router.get("/silences")
    def list_silences() -> dict[str, Any]:
        return {"silences": [_silence(one) for one in state.silences.at(datetime.now(UTC))]}

    @router.post("/silences")
    def silence(request: Request, wanted: WantedSilence) -> dict[str, Any]:
        """Send nothing of a budget, or of all, for a while; what still matters is sent then."""
        now = datetime.now(UTC)
        until = moment_of("until", wanted.until)
        if until <= now:
            raise Refused(f"until={wanted.until!r}: give a moment to come")
        known = {one.budget for one in state.budgets.newest()}
        if wanted.budget and wanted.budget not in known:
            raise Refused(f'budget={wanted.budget!r}: there is none; give "" for all')
        state.silences.add(
            Silence(
                budget=wanted.budget,
                value=label(wanted.value),
                until=until,
                made_by=who(request.headers),
                made_at=now,
                reason=wanted.reason,
            )
        )
        return list_silences()

    @router.delete("/silences/{number}")
    def end(number: int) -> dict[str, Any]:
        state.end_silence(number, datetime.now(UTC))
        return list_silences()

    return router


def test_channel(state: State, channels: Channels, name: str, page_url: str) -> str:
    """Send an alert of a made-up budget; return why it was not taken, "" when it was."""
    if name not in channels:
        known = f"give one of {', '.join(channels)}" if channels else "none is"
        raise Refused(f"{name} is not set up; {known}", status=404)
    sender = channels[name].sender
    alert = made_up(datetime.now(UTC))
    try:
        # What follows up must not keep an incident of a test.
        for told in (alert, taken_back(alert)) if sender.follows_up else (alert,):
            sender.send(Outgoing(told=(told,), id=told.key.digest, page_url=page_url))
    except (DeliveryError, ChannelGone) as error:
        return str(error)
    state.channels.is_back(name)
    state.deliveries.revive(datetime.now(UTC))
    return ""


def _delivery(one: Delivery, taken_by: str | None) -> dict[str, Any]:
    return {
        "alert": one.number,
        "taken_by": taken_by,
        "channel": one.channel,
        "state": one.state,
        "attempts": one.attempts,
        "error": one.error,
        **_told(one.alert),
    }


def _told(told: Told) -> dict[str, Any]:
    key = {"kind": told.key.kind, "at": told.at.isoformat(), "budget": told.key.budget}
    if not isinstance(told, Alert):
        return key | {"title": told.title, "text": told.text}
    return key | {
        "value": told.key.value,
        "percent": told.key.percent,
        "spent": f"{told.spent:f}",
        "limit": f"{told.limit:f}",
        "spent_is_complete": told.unpriced_calls == 0,
    }


def _silence(one: Silence) -> dict[str, Any]:
    return {
        "id": one.id,
        "budget": one.budget,
        "value": one.value,
        "until": one.until.isoformat(),
        "made_by": one.made_by,
        "reason": one.reason,
    }
