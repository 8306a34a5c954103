"""The channels that settings and `channels.yaml` set up."""

from __future__ import annotations

from collections.abc import Mapping

from taximeter_alerts.channels import Channel, Channels, SlackWebhook, Webhook, read_channels
from taximeter_alerts.message import samples
from taximeter_alerts.state import State
from taximeter_alerts.wording import BadTemplate, check_templates
from taximeter_collector.settings import PREFIX, Settings, SettingsError


def channels_of_settings(
    settings: Settings, environment: Mapping[str, str], state: State
) -> dict[str, Channel]:
    """Return the channels of settings and file by their names; raises SettingsError or Mistake."""
    templates = settings.templates
    if templates is not None:
        if not templates.is_dir():
            raise SettingsError(f"{PREFIX}TEMPLATES={templates}: no such folder")
        try:
            check_templates(templates, samples())
        except BadTemplate as error:
            raise SettingsError(f"{PREFIX}TEMPLATES={templates}: {error}") from None
    channels: dict[str, Channel] = {}
    if settings.slack_webhook_url:
        url = settings.slack_webhook_url.get_secret_value()
        channels["slack"] = Channel(sender=SlackWebhook(url=url, templates=templates))
    if settings.webhook_url:
        if not settings.webhook_secret:
            raise SettingsError(f"{PREFIX}WEBHOOK_SECRET is not set: messages are signed")
        url, secret = (
            one.get_secret_value() for one in (settings.webhook_url, settings.webhook_secret)
        )
        try:
            channels["webhook"] = Channel(sender=Webhook(url=url, secret=secret))
        except ValueError as error:
            raise SettingsError(f"{PREFIX}WEBHOOK_SECRET=(secret): {error}") from None
    of_file = read_channels(settings.channels, environment, state, templates, list(channels))
    return channels | of_file


def notice_channels(settings: Settings, channels: Channels) -> tuple[str, ...]:
    """Return the channels that are told of trouble with the meter itself; raises SettingsError."""
    if not settings.notices:
        return tuple(channels)[:1]
    names = tuple(name.strip() for name in settings.notices.split(","))
    for name in names:
        if name not in channels:
            known = f"give one of {', '.join(channels)}" if channels else "none is"
            raise SettingsError(
                f"{PREFIX}NOTICES={settings.notices}: {name!r} is not set up; {known}"
            )
    return names
