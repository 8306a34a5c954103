"""`taximeter doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Annotated

import typer

from taximeter_api.checks import Finding, traffic
from taximeter_api.commands.terminal import working
from taximeter_collector.settings import SettingsError, read_settings


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at settings, files, databases, the service and its calls; 1 when something is wrong."""
    with working("looking"):
        findings = list(_findings())
    if as_json:
        told = [{"ok": not one.advice, **one._asdict()} for one in findings]
        typer.echo(json.dumps(told, indent=2))
    for what, state, advice in () if as_json else findings:
        typer.echo(f"{'wrong' if advice else 'ok':6}{what}: {state}")
        if advice:
            typer.echo(f"      -> {advice}")
    if any(finding.advice for finding in findings):
        raise typer.Exit(1)


def _findings() -> Iterator[Finding]:
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        advice = "set it right, then look again: nothing else can be looked at before"
        yield Finding("settings", str(error), advice)
        return
    where = f"{settings.host}, page on {settings.port}, OTLP on {settings.otlp_port}"
    yield Finding("settings", where)
    yield from traffic.service(settings)
    yield from traffic.exporter(settings)
