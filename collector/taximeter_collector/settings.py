"""The service's settings: one frozen class, read once, from `TAXIMETER_SERVER_...` variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from taximeter_collector.refusal import Refusal
from taximeter_collector.store import Retention

PREFIX = "TAXIMETER_SERVER_"
Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Refusal):
    """A setting is not understood; the message names variable, value and accepted form."""


class Settings(BaseModel):
    """Defaults work on a laptop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """Address to listen on; any other than loopback only with both tokens set."""
    port: Port = 8787
    """Port of the page and the API."""
    otlp_port: Port = 4318
    """Port of OTLP/HTTP."""
    otlp_grpc_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of OTLP/gRPC, mostly 4317; unset: not served."""
    data_dir: Path = Path("taximeter-data")
    """Where the journal, the state and the embedded store lie."""
    store: str = ""
    """`chdb:///path` or `clickhouse://user:password@host:port`; empty: in the data directory."""
    state: SecretStr | None = None
    """`postgresql://user:password@host/database`; unset: SQLite in the data directory."""
    cluster: Annotated[str, Field(pattern=r"^\w*$")] = ""
    """Name of the ClickHouse cluster, as its servers call it; empty: one server."""
    budgets: Path = Path("budgets.yaml")
    """Budgets as code; a missing file means no budgets."""
    channels: Path = Path("channels.yaml")
    """Where alerts go, beside the two channels below; a missing file means nowhere else."""
    templates: Path | None = None
    """A folder with the team's own texts of messages."""
    notices: str = ""
    """Channels that are told of trouble with the meter itself, by commas; empty: the first one."""
    prices: Path = Path("prices.yaml")
    """The team's own prices and discounts; a missing file means none."""
    public_url: str = ""
    """Where people reach the page, for links in messages; empty: the listening address."""
    ingest_token: SecretStr | None = None
    """Bearer token that apps must send with their spans."""
    read_token: SecretStr | None = None
    """Token for the page and the API: Bearer, or the password of a browser's sign-in."""
    sql_token: SecretStr | None = None
    """Password of `/clickhouse`, where SQL reads the embedded store; unset: not served."""
    slack_webhook_url: SecretStr | None = None
    """Slack incoming webhook of the channel `slack`."""
    webhook_url: SecretStr | None = None
    """Address of the channel `webhook`, which gets alerts in signed JSON."""
    webhook_secret: SecretStr | None = None
    """What they are signed with, by the Standard Webhooks scheme: `whsec_...`."""
    heartbeat_url: SecretStr | None = None
    """Asked for every minute while all is well, for a watch that alarms when it stops."""
    openai_admin_key: SecretStr | None = None
    """Admin key of the organisation that reads usage and costs, for `taximeter reconcile`."""
    openai_url: str = "https://api.openai.com/v1"
    """Where the admin API is."""
    openai_keys: str = ""
    """Our names of API keys and OpenAI's ids, like `wxyz=key_abc, 9f3k-1a2b3c4d=key_def`."""
    tick_seconds: Annotated[float, Field(ge=0.2, le=300)] = 2.0
    """How often budgets are evaluated and due alerts sent."""
    refresh_seconds: Annotated[float, Field(ge=0.2, le=3600)] = 30.0
    """How often the rollups of changed hours are recomputed, once they are quiet."""
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 20
    """Largest OTLP request, decompressed, in megabytes."""
    journal_mb: Annotated[int, Field(ge=10)] = 10_000
    """How much the journal may hold while the store does not take it, in megabytes."""
    keep_days: Annotated[int, Field(ge=2, le=36_500)] = Retention().calls
    """How old a stored call may get; also how late one may come."""
    keep_id_days: Annotated[int, Field(ge=1, le=36_500)] = Retention().ids
    """After how many days the ids of requests and spans are cleared, whole weeks at a time."""
    keep_rollup_days: Annotated[int, Field(ge=2, le=36_500)] = Retention().rollups
    """How old the sums by hour and day may get."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("store")
    @classmethod
    def _store_is_known(cls, value: str) -> str:
        parts = _split(value)
        embedded = parts.scheme == "chdb" and parts.netloc == "" and len(parts.path) > 1
        if value and not embedded and not (parts.scheme == "clickhouse" and parts.hostname):
            raise ValueError("give chdb:///absolute/path or clickhouse://user:password@host:port")
        return value

    @field_validator("state")
    @classmethod
    def _state_is_known(cls, value: SecretStr | None) -> SecretStr | None:
        parts = _split(value.get_secret_value() if value else "")
        if value and not (parts.scheme in ("postgresql", "postgres") and parts.hostname):
            raise ValueError("give postgresql://user:password@host:port/database")
        return value

    @field_validator(
        "public_url", "slack_webhook_url", "webhook_url", "heartbeat_url", "openai_url"
    )
    @classmethod
    def _is_a_web_address(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and not (text.startswith(("http://", "https://")) and _split(text).hostname):
            raise ValueError("give an address like https://host/path")
        return value

    @field_validator("openai_keys")
    @classmethod
    def _names_keys(cls, value: str) -> str:
        for pair in value.split(",") if value else ():
            ours, equals, theirs = pair.partition("=")
            if not (ours.strip() and equals and theirs.strip()):
                raise ValueError("give pairs like wxyz=key_abc, 9f3k-1a2b3c4d=key_def")
        return value

    @field_validator("ingest_token", "read_token", "sql_token")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        token = value.get_secret_value() if value else ""
        if value is not None and not (
            len(token) >= 16 and token.isascii() and token == token.strip()
        ):
            raise ValueError("give at least 16 characters of ASCII without a space at either end")
        return value

    @field_validator("data_dir")
    @classmethod
    def _can_stand_in_an_address(cls, value: Path) -> Path:
        if set("?#%") & set(str(value)):
            raise ValueError("give a path without ?, # and %")
        return value

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> Self:
        for contradiction in (*self._token_contradictions(), *self._other_contradictions()):
            raise ValueError(contradiction)
        return self

    def _token_contradictions(self) -> Iterator[str]:
        for name in ("ingest_token", "read_token"):
            if not self.is_loopback and getattr(self, name) is None:
                yield (
                    f"{PREFIX}HOST={self.host} is reachable by others: "
                    f"set {PREFIX}{name.upper()} (see taximeter token), or listen on 127.0.0.1"
                )
        for name in ("read_token", "sql_token"):
            if self.ingest_token and getattr(self, name) == self.ingest_token:
                yield f"{PREFIX}{name.upper()} is {PREFIX}INGEST_TOKEN, which apps have: give two"
        if self.sql_token and self.is_server:
            yield (
                f"{PREFIX}SQL_TOKEN is for the embedded store: ask the ClickHouse server itself, "
                "as a user who may only read"
            )

    def _other_contradictions(self) -> Iterator[str]:
        if self.port == self.otlp_port != 0:
            yield f"{PREFIX}PORT and {PREFIX}OTLP_PORT are both {self.port}: give two"
        if self.cluster and not self.is_server:
            yield (
                f"{PREFIX}CLUSTER={self.cluster}: give the address of one of its servers "
                f"in {PREFIX}STORE, like clickhouse://user:password@host:port"
            )
        if self.keep_rollup_days <= self.keep_days:
            yield (
                f"{PREFIX}KEEP_ROLLUP_DAYS={self.keep_rollup_days}: give more than the "
                f"{self.keep_days} days of {PREFIX}KEEP_DAYS, as sums must not end before calls do"
            )

    @property
    def max_body_bytes(self) -> int:
        return self.max_body_mb * 1_000_000

    @property
    def retention(self) -> Retention:
        return Retention(calls=self.keep_days, ids=self.keep_id_days, rollups=self.keep_rollup_days)

    @property
    def is_loopback(self) -> bool:
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    @property
    def key_ids(self) -> Mapping[str, str]:
        """OpenAI's ids of keys by our names, where the setting says so."""
        pairs = (pair.split("=", 1) for pair in self.openai_keys.split(",") if pair)
        return {ours.strip(): theirs.strip() for ours, theirs in pairs}

    @property
    def store_url(self) -> str:
        return self.store or f"chdb://{(self.data_dir / 'store').resolve()}"

    @property
    def is_server(self) -> bool:
        return self.store.startswith("clickhouse:")

    @property
    def state_url(self) -> str:
        ours = f"sqlite:///{(self.data_dir / 'state.db').resolve()}"
        return self.state.get_secret_value() if self.state else ours

    @property
    def journal_dir(self) -> Path:
        return self.data_dir / "journal"

    @property
    def page_url(self) -> str:
        return (self.public_url or self.local_url).rstrip("/")

    @property
    def local_url(self) -> str:
        return f"http://{self.address(self.port)}"

    @property
    def otlp_url(self) -> str:
        return f"http://{self.address(self.otlp_port)}"

    def address(self, port: int) -> str:
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raise SettingsError on the first that is not understood."""
    try:
        return Settings.model_validate(dict(_values(environment)))
    except ValidationError as error:
        raise SettingsError(_in_one_line(error)) from None


def _values(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable, value in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        secret = name.removesuffix("_file")
        if secret != name and secret in SECRETS:
            if environment.get(variable.removesuffix("_FILE")):
                raise SettingsError(f"{variable} and the same without _FILE are set: give one")
            yield secret, _content(variable, value)
        elif value or name not in SECRETS:  # A token of no characters would let everybody in.
            yield name, value


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{variable}={path}: {error.strerror}; give a readable file") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}={path}: not UTF-8; give a text file") from None


def _split(address: str) -> SplitResult:
    """Split an address; raise ValueError when its port is none."""
    parts = urlsplit(address)
    if parts.port == 0:
        raise ValueError("give a port from 1 to 65535")
    return parts


def _in_one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    variable = PREFIX + name.upper()
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(Settings.model_fields)).upper()
        return f"{variable} is not a setting; after {PREFIX} comes one of {known}"
    shown = "(secret)" if name in SECRETS else repr(first["input"])
    return f"{variable}={shown}: {message}"


# The store's address may hold a password.
SECRETS = frozenset({"store"}) | {
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
}
