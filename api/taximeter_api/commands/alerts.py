"""`taximeter alerts`: channels, tried out."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

import typer

from taximeter_alerts.state import IN_MEMORY, State
from taximeter_api.alerting import NOT_DELIVERED, test_channel
from taximeter_api.channels import channels_of_settings
from taximeter_api.commands.service import ServiceAway, ServiceRefused, ask
from taximeter_api.commands.terminal import working
from taximeter_collector.settings import Settings, read_settings

alerts_app = typer.Typer(help="Channels, tried out.", no_args_is_help=True, add_completion=False)


@alerts_app.callback()
def alerts() -> None:
    """Channels, tried out."""


@alerts_app.command("test")
def send_test(
    channel: Annotated[str, typer.Argument(help="Its name in channels.yaml, slack or webhook")],
) -> None:
    """Send an alert of a made-up budget, and say what the channel answered."""
    settings = read_settings(os.environ)
    with working("sending"):
        try:
            ask(settings, "POST", f"/api/channels/{channel}/test")
        except ServiceAway:
            _send_from_here(settings, channel)
        except ServiceRefused as error:
            if error.status != NOT_DELIVERED:
                raise
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
    typer.echo(f"{channel} took it")


def _send_from_here(settings: Settings, name: str) -> None:
    with closing(State(IN_MEMORY)) as state:
        channels = channels_of_settings(settings, os.environ, state)
        if problem := test_channel(state, channels, name, settings.page_url):
            typer.echo(f"not delivered: {problem}", err=True)
            raise typer.Exit(1)
