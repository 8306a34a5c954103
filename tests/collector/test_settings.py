from __future__ import annotations

from pathlib import Path

import pytest

from taximeter_collector.settings import (
    PREFIX,
    SECRETS,
    Settings,
    SettingsError,
    read_settings,
)

LONG = "a-token-of-24-characters"


def test_an_empty_environment_gives_a_service_for_a_laptop() -> None:
    settings = read_settings({})

    assert (settings.host, settings.port, settings.otlp_port) == ("127.0.0.1", 8787, 4318)
    assert settings.store_url.startswith("chdb:///")
    assert settings.is_loopback


def test_variables_of_others_and_of_the_apps_side_are_left_alone() -> None:
    assert read_settings({"TAXIMETER_FEATURE": "x", "PATH": "/bin"}) == read_settings({})


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TAXIMETER_SERVER_PROT": "1"}, ["TAXIMETER_SERVER_PROT", "not a setting", "PORT"]),
        ({"TAXIMETER_SERVER_PORT": "http"}, ["TAXIMETER_SERVER_PORT='http'", "integer"]),
        ({"TAXIMETER_SERVER_PORT": "70000"}, ["TAXIMETER_SERVER_PORT='70000'", "65535"]),
        ({"TAXIMETER_SERVER_STORE": "mysql://x"}, ["STORE=(secret)", "chdb:///absolute/path"]),
        ({"TAXIMETER_SERVER_STORE": "chdb://relative"}, ["chdb:///absolute/path"]),
        ({"TAXIMETER_SERVER_READ_TOKEN": "short"}, ["(secret)", "at least 16 characters"]),
        ({"TAXIMETER_SERVER_SLACK_WEBHOOK_URL": "slack"}, ["(secret)", "https://host/path"]),
        ({"TAXIMETER_SERVER_READ_TOKEN": " a-token-of-24-characters"}, ["without a space"]),
        ({"TAXIMETER_SERVER_STORE": "clickhouse://u:p@h:abc"}, ["STORE=(secret)", "abc"]),
        ({"TAXIMETER_SERVER_STORE": "clickhouse://u:p@h:99999"}, ["STORE=(secret)", "0-65535"]),
        ({"TAXIMETER_SERVER_SLACK_WEBHOOK_URL": "https://h:x/"}, ["(secret)"]),
        ({"TAXIMETER_SERVER_DATA_DIR": "a#b"}, ["DATA_DIR='a#b'", "without ?, # and %"]),
        ({"TAXIMETER_SERVER_LOG_LEVEL": "loud"}, ["LOG_LEVEL='loud'", "'debug'"]),
        ({"TAXIMETER_SERVER_READ_TOKEN_FILE": "/nowhere"}, ["_FILE=/nowhere", "readable file"]),
        ({"TAXIMETER_SERVER_READ_TOKEN_FILE": "/dev/null"}, ["at least 16 characters"]),
        (
            {
                "TAXIMETER_SERVER_HOST": "0.0.0.0",
                "TAXIMETER_SERVER_INGEST_TOKEN": "",
                "TAXIMETER_SERVER_READ_TOKEN": "",
            },
            ["set TAXIMETER_SERVER_INGEST_TOKEN"],
        ),
        ({"TAXIMETER_SERVER_CLUSTER": "x"}, ["CLUSTER=x", "TAXIMETER_SERVER_STORE"]),
        ({"TAXIMETER_SERVER_CLUSTER": "a'b"}, ["CLUSTER=", "pattern"]),
        ({"TAXIMETER_SERVER_KEEP_DAYS": "1"}, ["KEEP_DAYS='1'", "2"]),
        ({"TAXIMETER_SERVER_KEEP_ROLLUP_DAYS": "400"}, ["KEEP_ROLLUP_DAYS=400", "KEEP_DAYS"]),
        ({"TAXIMETER_SERVER_HOST": "0.0.0.0"}, ["INGEST_TOKEN", "127.0.0.1"]),
        (
            {"TAXIMETER_SERVER_READ_TOKEN": LONG, "TAXIMETER_SERVER_INGEST_TOKEN": LONG},
            ["READ_TOKEN is", "give two"],
        ),
        (
            {"TAXIMETER_SERVER_HOST": "0.0.0.0", "TAXIMETER_SERVER_INGEST_TOKEN": LONG},
            ["READ_TOKEN"],
        ),
        (
            {"TAXIMETER_SERVER_READ_TOKEN": LONG, "TAXIMETER_SERVER_READ_TOKEN_FILE": "/nowhere"},
            ["TAXIMETER_SERVER_READ_TOKEN_FILE and the same without _FILE are set: give one"],
        ),
    ],
)
def test_a_setting_that_is_not_understood_is_refused_in_one_line(
    variables: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(variables)

    assert "\n" not in str(refused.value)
    for word in words:
        assert word in str(refused.value)


def test_a_secret_never_shows_in_an_error_or_in_the_settings() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"TAXIMETER_SERVER_READ_TOKEN": "hunter2"})

    assert "hunter2" not in str(refused.value)
    assert LONG not in repr(read_settings({"TAXIMETER_SERVER_READ_TOKEN": LONG}))


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{LONG}\n")

    settings = read_settings({"TAXIMETER_SERVER_READ_TOKEN_FILE": str(file)})

    assert settings.read_token is not None
    assert settings.read_token.get_secret_value() == LONG


def test_beyond_loopback_both_tokens_are_enough() -> None:
    tokens = {f"TAXIMETER_SERVER_{name}_TOKEN": f"{LONG}-{name}" for name in ("INGEST", "READ")}

    assert not read_settings({"TAXIMETER_SERVER_HOST": "0.0.0.0", **tokens}).is_loopback


def test_the_documentation_names_every_setting_its_default_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    documented = {row[1].split("`")[1]: row for row in rows}

    names = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    assert documented.keys() == names.keys()
    for variable, row in documented.items():
        name = names[variable]
        assert ("(secret)" in row[1]) == (name in SECRETS), variable
        default = Settings.model_fields[name].default
        if default not in (None, ""):
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert row[2].strip() == f"`{shown}`", variable


def test_an_ipv6_address_is_shown_as_one_can_open_it() -> None:
    assert read_settings({"TAXIMETER_SERVER_HOST": "::1"}).page_url == "http://[::1]:8787"


def test_a_secret_that_is_set_to_nothing_is_not_set(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(LONG)
    empty = {f"TAXIMETER_SERVER_{name.upper()}": "" for name in SECRETS}
    beside = {"TAXIMETER_SERVER_READ_TOKEN_FILE": str(file), "TAXIMETER_SERVER_READ_TOKEN": ""}

    assert read_settings(empty) == read_settings({})
    token = read_settings(beside).read_token
    assert token is not None
    assert token.get_secret_value() == LONG
