"""Channels: the only place from which anything is sent."""

from taximeter_alerts.channels.channel import (
    Channel,
    ChannelGone,
    Channels,
    DeliveryError,
    QuietHours,
    Sender,
)
from taximeter_alerts.channels.setup import read_channels
from taximeter_alerts.channels.slack import SlackWebhook
from taximeter_alerts.channels.webhook import Webhook

__all__ = [
    "Channel",
    "ChannelGone",
    "Channels",
    "DeliveryError",
    "QuietHours",
    "Sender",
    "SlackWebhook",
    "Webhook",
    "read_channels",
]
