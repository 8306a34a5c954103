"""`channels.yaml`: where alerts go. Secrets are named, not written: `${SLACK_URL}`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from taximeter_alerts.budgets import CHECKED, ChannelName
from taximeter_alerts.channels.apprise import AppriseChannel
from taximeter_alerts.channels.channel import Channel, Sender
from taximeter_alerts.channels.email import Email
from taximeter_alerts.channels.pagerduty import PagerDuty
from taximeter_alerts.channels.slack import SlackWebhook
from taximeter_alerts.channels.slack_bot import SlackBot
from taximeter_alerts.channels.teams import Teams
from taximeter_alerts.channels.webhook import Webhook
from taximeter_alerts.state import State
from taximeter_collector.accepted import accepted
from taximeter_collector.yaml_file import Source, text_of

KINDS: Final[Mapping[str, Callable[..., Sender]]] = {
    "slack": SlackWebhook,
    "slack_bot": SlackBot,
    "email": Email,
    "webhook": Webhook,
    "pagerduty": PagerDuty,
    "teams": Teams,
    "apprise": AppriseChannel,
}
NAMED: Final = re.compile(r"\$\{(\w+)\}")
SECTION: Final = "channels"
OURS: Final = ("state", "templates")
"""What a channel gets from the service, and nobody writes."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Named(Channel):
    name: ChannelName


_NAMED = TypeAdapter(Named)
_COMMON: Final = frozenset(Named.__dataclass_fields__) - {"sender"}


def read_channels(
    path: Path,
    environment: Mapping[str, str],
    state: State,
    templates: Path | None,
    others: Collection[str] = (),
) -> dict[str, Channel]:
    """Read the file; a missing one means no channels. Raises Mistake.

    A fallback may also be one of the `others`, which are set up elsewhere.
    """
    text = text_of(path)
    source = Source(text or "", str(path))
    if source.content is None:
        return {}
    content = source.content
    if not isinstance(content, dict) or list(content) != [SECTION]:
        raise source.mistake((), f"give one list under the name `{SECTION}:`")
    if not isinstance(content[SECTION], list):
        raise source.mistake((SECTION,), "give a list of channels")
    channels: dict[str, Channel] = {}
    for place, written in enumerate(content[SECTION]):
        where = (SECTION, place)
        if not isinstance(written, dict):
            raise source.mistake(where, "give a name, a kind and what the kind needs")
        try:
            channel = channel_of(_filled(written, environment), state, templates)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            kind = KINDS.get(str(written.get("kind"))), OURS
            entry, ours = (Named, ("sender",)) if first["loc"][0] in _COMMON else kind
            # The value is not told: it may be a secret.
            told = f"{field}: {accepted(first, first['loc'], entry, ours)}"
            parts = [written["name"], told] if "name" in written else [told]
            raise source.mistake((*where, *first["loc"]), ": ".join(parts)) from None
        except (ValueError, ModuleNotFoundError) as error:
            raise source.mistake(where, str(error)) from None
        if channel.name in channels:
            raise source.mistake(where, f"name: {channel.name!r} is taken; give each its own")
        channels[channel.name] = channel
    _check_fallbacks(source, channels, others)
    return channels


def channel_of(definition: Mapping[str, Any], state: State, templates: Path | None) -> Named:
    """Return a channel; raises ValueError, which may be pydantic's."""
    kind = KINDS.get(str(definition.get("kind", "")))
    if kind is None:
        raise ValueError(f"kind: give one of {', '.join(sorted(KINDS))}")
    own = {
        name: value for name, value in definition.items() if name not in _COMMON and name != "kind"
    }
    known = inspect.signature(kind).parameters
    for name in own:
        if name not in known or name in OURS:
            raise ValueError(f"{name}: not a field of a {definition['kind']} channel")
    ours = {"state": state, "templates": templates}
    sender = kind(**own, **{name: value for name, value in ours.items() if name in known})
    common = {name: value for name, value in definition.items() if name in _COMMON}
    return _NAMED.validate_python({**common, "sender": sender})


def _filled(written: Any, environment: Mapping[str, str]) -> Any:
    """Put in what `${NAME}` stands for; raises ValueError."""
    if isinstance(written, dict):
        return {name: _filled(value, environment) for name, value in written.items()}
    if isinstance(written, Sequence) and not isinstance(written, str):
        return [_filled(value, environment) for value in written]
    for name in NAMED.findall(written):
        if name not in environment:
            raise ValueError(f"${{{name}}}: the environment has no such variable")
    return NAMED.sub(lambda found: environment[found[1]], written)


def _check_fallbacks(
    source: Source, channels: Mapping[str, Channel], others: Collection[str]
) -> None:
    possible = [*channels, *others]
    for place, (name, channel) in enumerate(channels.items()):
        if channel.fallback and (channel.fallback not in possible or channel.fallback == name):
            known = ", ".join(one for one in possible if one != name) or "none is"
            raise source.mistake(
                (SECTION, place, "fallback"),
                f"fallback: {channel.fallback!r} is not another channel; {known}",
            )
