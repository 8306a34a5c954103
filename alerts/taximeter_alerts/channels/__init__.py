"""Channels: the only place from which anything is sent."""

from __future__ import annotations

from taximeter_alerts.channels.post import Channel, ChannelGone, DeliveryError
from taximeter_alerts.channels.slack import SlackWebhook
from taximeter_alerts.channels.webhook import Webhook, key_of

__all__ = [
    "Channel",
    "ChannelGone",
    "DeliveryError",
    "SlackWebhook",
    "Webhook",
    "channels_of",
    "key_of",
]


def channels_of(
    *,
    slack_webhook_url: str | None,
    webhook_url: str | None,
    webhook_secret: str | None,
    page_url: str,
) -> dict[str, Channel]:
    """Return the channels that are set up, by the name that budgets use."""
    channels: dict[str, Channel] = {}
    if slack_webhook_url:
        channels["slack"] = SlackWebhook(slack_webhook_url, page_url=page_url)
    if webhook_url and webhook_secret:
        channels["webhook"] = Webhook(webhook_url, webhook_secret, page_url=page_url)
    return channels
