from __future__ import annotations

from api.test_cli import taximeter
from taximeter_api.commands.token import TOKENS
from taximeter_collector.settings import Settings, read_settings


def test_all_tokens_are_lines_of_an_env_file_that_the_settings_take() -> None:
    made = taximeter("token")

    lines = dict(line.split("=", 1) for line in made.stdout.splitlines())
    settings = read_settings({**lines, "TAXIMETER_SERVER_HOST": "0.0.0.0"})
    assert settings.ingest_token is not None
    assert len(settings.ingest_token.get_secret_value()) == 43
    assert len(set(lines.values())) == len(lines) == len(TOKENS)


def test_a_token_is_made_for_one_setting_and_never_the_same() -> None:
    first, second = (taximeter("token", "--read").stdout for _ in range(2))

    assert first.startswith("TAXIMETER_SERVER_READ_TOKEN=")
    assert first.count("\n") == 1
    assert first != second


def test_each_setting_that_is_a_token_can_be_made() -> None:
    settings = {name for name in Settings.model_fields if name.endswith("_token")}

    assert {f"{name}_token" for name in TOKENS} == settings
