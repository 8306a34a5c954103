"""PagerDuty's Events API v2: an incident per budget and period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from taximeter_alerts.alert import MOST_SINGLY, Kind, Outgoing
from taximeter_alerts.channels.channel import Sender, Url, Words, checked
from taximeter_alerts.channels.post import Post
from taximeter_alerts.message import message_of
from taximeter_alerts.voice import PLAIN

EVENTS: Final = "https://events.pagerduty.com"
LONGEST_SUMMARY: Final = 1_024
ACTIONS: Final[Mapping[str, str]] = {
    Kind.ACKNOWLEDGED: "acknowledge",
    Kind.CORRECTION: "resolve",
    Kind.ENDED: "resolve",
}


class PagerDuty(Sender):
    """Events with the same `dedup_key` are one incident, however often they are sent."""

    knows_repeats = True
    follows_up = True

    @checked
    def __init__(
        self, *, routing_key: Words, url: Url = EVENTS, templates: Path | None = None
    ) -> None:
        self._post = Post("PagerDuty", f"{url}/v2/enqueue", gone=(400, 403, 404))
        self._routing_key = routing_key
        self._templates = templates

    def send(self, outgoing: Outgoing) -> None:
        opening = tuple(one for one in outgoing.told if one.key.kind not in ACTIONS)
        if len(opening) > MOST_SINGLY:
            self._post.send_json(self._trigger(replace(outgoing, told=opening), outgoing.id))
        else:
            # Each of a few is an incident of its own, which its owner acknowledges.
            for one in opening:
                alone = replace(outgoing, told=(one,))
                self._post.send_json(self._trigger(alone, one.subject_digest))
        for one in outgoing.told:
            if action := ACTIONS.get(one.key.kind):
                self._post.send_json(
                    {
                        "routing_key": self._routing_key,
                        "event_action": action,
                        "dedup_key": one.subject_digest,
                    }
                )

    def _trigger(self, outgoing: Outgoing, dedup_key: str) -> dict[str, Any]:
        first = outgoing.told[0]
        message = message_of(outgoing, PLAIN, self._templates)
        return {
            "routing_key": self._routing_key,
            "event_action": "trigger",
            "dedup_key": dedup_key,
            "client": "Taximeter",
            "client_url": outgoing.page_url,
            "links": [{"href": url, "text": label} for label, url in message.links],
            "payload": {
                "summary": message.line[:LONGEST_SUMMARY],
                "source": "taximeter",
                "severity": "critical" if message.is_over else "warning",
                "timestamp": first.at.isoformat(),
                "component": first.key.budget,
                "class": first.key.kind,
                "custom_details": dict(message.facts)
                | {str(place): text for place, text in enumerate(message.paragraphs, 1)},
            },
        }
