"""The team's own prices: `prices.yaml`, read once into values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic.dataclasses import dataclass as checked

from taximeter_collector.prices.rows import TOKENS, rounded
from taximeter_collector.yaml_file import Mistake, Source, text_of

AZURE: Final = "azure.ai.openai"
GLOBAL: Final = "global"
PLACE_OF_TYPE: Final = {
    GLOBAL: GLOBAL,
    "globalstandard": GLOBAL,
    "datazone": "data_zone",
    "datazonestandard": "data_zone",
    "standard": "regional",
    "regional": "regional",
    "regionalstandard": "regional",
}
"""Azure's deployment types that are billed by the token."""

OverridesError = Mistake

_FORBID = ConfigDict(extra="forbid")
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


def place_of(deployment_type: str, region: str) -> str | None:
    """Return the book's place of a deployment; None for a type that is not billed by the token."""
    letters = _letters(deployment_type).removesuffix("batch")
    place = PLACE_OF_TYPE.get(letters or GLOBAL)
    return f"{place}/{_letters(region)}" if place and place != GLOBAL and region else place


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _type(value: str) -> str:
    if place_of(value, "") is None:
        raise ValueError("give global, data zone or regional; others are not billed by the token")
    return value


def _region(value: str, deployment: ValidationInfo) -> str:
    kind = deployment.data.get("type")
    if kind is not None and not value and place_of(kind, "") != GLOBAL:
        raise ValueError(f"give the region: the price of {kind!r} depends on it")
    return value


def _amounts(value: Any) -> Any:
    if isinstance(value, Mapping) and (unknown := set(value) - set(TOKENS)):
        raise ValueError(f"{min(unknown)}: not a class of tokens; give some of {', '.join(TOKENS)}")
    return value


@checked(frozen=True, kw_only=True, config=_FORBID)
class Rate:
    """US dollars per million tokens, and per unit of what is not tokens."""

    model: Annotated[str, Field(min_length=1)]
    """A name, or a pattern with `*`."""
    provider: Annotated[str, Field(min_length=1)] = "openai"
    """`openai`, `azure.ai.openai`, or the host of a compatible server."""
    tier: str = "default"
    since: date = date.min
    until: date = date.max
    """The first day on which it no longer holds."""
    usd_per_million_tokens: Annotated[dict[str, Usd], BeforeValidator(_amounts)] = field(
        default_factory=dict
    )
    usd_per_unit: dict[str, Usd] = field(default_factory=dict)


@checked(frozen=True, kw_only=True, config=_FORBID)
class Discount:
    """Percent off every rate for tokens; what tools cost stays."""

    percent: Annotated[Decimal, Field(ge=0, le=100)]
    provider: Annotated[str, Field(min_length=1)] = "openai"
    model: Annotated[str, Field(min_length=1)] = "*"
    since: date = date.min
    until: date = date.max


@checked(frozen=True, kw_only=True, config=_FORBID)
class Deployment:
    """A deployment of Azure OpenAI, whose name says nothing about its price."""

    type: Annotated[str, AfterValidator(_type)]
    region: Annotated[str, AfterValidator(_region), Field(validate_default=True)] = ""
    """Like `swedencentral` or "Sweden Central"; only a global deployment costs the same in all."""
    model: str = ""
    """The model's name and date; empty: as answered."""

    @property
    def place(self) -> str:
        return place_of(self.type, self.region) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Who bills the calls to a host: `openai`, or the host itself."""
    own: tuple[Rate, ...] = ()
    discounts: tuple[Discount, ...] = ()
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def own_hosts(self) -> set[str]:
        return {rate.provider for rate in self.own}

    def rates(self, provider: str, model: str, tier: str, day: date) -> dict[str, Decimal] | None:
        """Return the rates per unit that replace the book's; a later entry wins."""
        entries = [
            one for one in self.own if one.tier == tier and _holds(one, provider, model, day)
        ]
        if not entries:
            return None
        rates: dict[str, Decimal] = {}
        for one in entries:
            millions = one.usd_per_million_tokens.items()
            rates |= {meter: rounded(usd / 1_000_000) for meter, usd in millions}
            rates |= {meter: rounded(usd) for meter, usd in one.usd_per_unit.items()}
        return rates

    def factor(self, provider: str, model: str, day: date) -> Decimal:
        """Return what is left of a price after the discounts, which add up by multiplying."""
        left = Decimal(1)
        for one in self.discounts:
            if _holds(one, provider, model, day):
                left *= 1 - one.percent / 100
        return left


NO_OVERRIDES: Final = Overrides()

_SECTIONS: Final = ("currency", "hosts", "rates", "discounts", "deployments")


def read_overrides(path: Path) -> Overrides:
    """Read the file; a missing one means no overrides. Raises OverridesError."""
    text = text_of(path)
    return NO_OVERRIDES if text is None else parse_overrides(text, str(path))


def parse_overrides(text: str, name: str) -> Overrides:
    """Parse the YAML text that came from `name`; raises OverridesError."""
    source = Source(text, name)
    content = source.content
    if content is None:
        return NO_OVERRIDES
    if not isinstance(content, dict) or (
        unknown := [key for key in content if key not in _SECTIONS]
    ):
        what = unknown[0] if isinstance(content, dict) else ""
        raise source.mistake((what,), f"{what}: give some of {', '.join(_SECTIONS)}")
    if (currency := content.get("currency", "USD")) != "USD":
        raise source.mistake(
            ("currency",), f"currency: {currency!r}: only USD; nothing is converted"
        )
    return Overrides(
        hosts=source.read("hosts", dict[str, Literal["openai"]]),
        own=tuple(source.read("rates", list[Rate], Rate)),
        discounts=tuple(source.read("discounts", list[Discount], Discount)),
        deployments=source.read("deployments", dict[str, Deployment], Deployment),
        text=text,
    )


def _holds(entry: Rate | Discount, provider: str, model: str, day: date) -> bool:
    return (
        entry.provider == provider
        and entry.since <= day < entry.until
        and fnmatchcase(model, entry.model)
    )
