"""`taximeter alerts`: channels, tried out."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from taximeter_alerts.channels import ChannelGone, DeliveryError
from taximeter_alerts.evaluate import Alert, AlertKey
from taximeter_alerts.periods import month_at
from taximeter_api.app import channels_of_settings
from taximeter_collector.settings import read_settings

alerts_app = typer.Typer(help="Channels, tried out.", no_args_is_help=True)


@alerts_app.command("test")
def send_test(channel: Annotated[str, typer.Argument(help="slack or webhook")]) -> None:
    """Send an alert of a made-up budget, and say what the channel answered."""
    channels = channels_of_settings(read_settings(os.environ))
    if channel not in channels:
        known = ", ".join(channels) or "none is"
        raise typer.BadParameter(f"{channel} is not set up; {known}")
    try:
        channels[channel].send(_made_up(datetime.now(UTC)))
    except (DeliveryError, ChannelGone) as error:
        typer.echo(f"not delivered: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{channel} took it")


def _made_up(now: datetime) -> Alert:
    period = month_at(now, ZoneInfo("UTC"))
    limit, spent = Decimal(100), Decimal("50.25")
    # A key of its own, so that a receiver that knows the last test takes this one, too.
    key = AlertKey("Test of Taximeter, not real", now, "test", 50, Decimal(50))
    return Alert(
        key=key,
        period=period,
        zone="UTC",
        limit=limit,
        spent=spent,
        unpriced_calls=0,
        also_passed=(),
        next_threshold=75,
        at=now,
        channels=(),
        owner="",
        top_features=(("search", Decimal("30.25")), ("chat", Decimal(20))),
    )
