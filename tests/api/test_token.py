from __future__ import annotations

import pytest

from api.test_cli import taximeter
from taximeter_collector.settings import Settings, read_settings

OPEN = {"TAXIMETER_SERVER_HOST": "0.0.0.0"}
SERVER = {"TAXIMETER_SERVER_STORE": "clickhouse://user:password@db:8123"}


@pytest.mark.parametrize("store", [{}, SERVER], ids=["embedded", "server"])
def test_tokens_are_lines_of_an_env_file_that_every_service_takes(store: dict[str, str]) -> None:
    made = taximeter("token")

    lines = dict(line.split("=", 1) for line in made.stdout.splitlines())
    settings = read_settings({**lines, **OPEN, **store})
    assert settings.ingest_token is not None
    assert len(settings.ingest_token.get_secret_value()) == 43
    assert len(set(lines.values())) == len(lines) == 2


def test_a_token_is_made_for_one_setting_and_never_the_same() -> None:
    first, second = (taximeter("token", "--read").stdout for _ in range(2))

    assert first.startswith("TAXIMETER_SERVER_READ_TOKEN=")
    assert first.count("\n") == 1
    assert first != second


def test_each_setting_that_is_a_token_can_be_made() -> None:
    names = sorted(name for name in Settings.model_fields if name.endswith("_token"))

    made = taximeter("token", *(f"--{name.removesuffix('_token')}" for name in names)).stdout

    told = [line.partition("=")[0] for line in made.splitlines()]
    assert sorted(told) == [f"TAXIMETER_SERVER_{name.upper()}" for name in names]
