from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft202012Validator

from taximeter_collector.settings import read_settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
CLICKHOUSE = ROOT / "docker" / "clickhouse"

REFERENCE = re.compile(r"\$\{(\w+)(?::\?([^}]+)|:-([^}]*))?\}")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|WEBHOOK")
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*")

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def environment(service: str) -> dict[str, str | None]:
    variables: dict[str, str | None] = SERVICES[service]["environment"]
    return variables


def example() -> set[str]:
    """Return the variables that `.env.example` names, optional ones commented out."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^#?([A-Z_]+)=", text, flags=re.MULTILINE))


def problems(compose: dict[str, Any]) -> list[str]:
    # Of the package check-jsonschema, which ships the specification's schema.
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    return [error.message for error in validator.iter_errors(compose)]


def test_the_compose_file_follows_the_compose_specification() -> None:
    assert problems(COMPOSE) == []


def test_the_specification_would_find_a_misspelt_key() -> None:
    assert problems({"services": {"taximeter": {"imaje": "taximeter"}}}) != []


@every_service
def test_every_image_is_pinned_to_one_release(service: dict[str, Any]) -> None:
    assert PINNED.fullmatch(service["image"])


@every_service
def test_every_service_has_a_health_check_and_comes_back(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


@every_service
def test_only_this_machine_reaches_the_ports(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@every_service
def test_data_lies_in_named_volumes_and_configuration_is_read_only(service: dict[str, Any]) -> None:
    for mount in service["volumes"]:
        if isinstance(mount, dict):
            assert mount["read_only"]
            continue
        source, _, *mode = mount.split(":")
        assert source in COMPOSE["volumes"] or mode == ["ro"]
        assert source in COMPOSE["volumes"] or (ROOT / source).exists()


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_has_a_value_in_the_file_or_a_default(service: str) -> None:
    secrets = {name: value for name, value in environment(service).items() if SECRET.search(name)}

    # A key without a value is passed on from .env, or absent.
    assert all(
        value is None or re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secrets.values()
    )
    assert secrets


def test_no_url_holds_a_password_of_its_own() -> None:
    passwords = re.findall(r"://[^:/\s]+:(.+?)@\w", TEXT)

    assert passwords == ["${CLICKHOUSE_PASSWORD:?set it in .env}"]


def test_the_env_example_has_every_variable_that_compose_asks_for_and_no_other() -> None:
    asked = {name for name, *_ in REFERENCE.findall(TEXT)}
    passed_on = {
        name
        for service in SERVICES
        for name, value in environment(service).items()
        if value is None
    }

    assert example() == asked | passed_on


def test_the_env_example_holds_no_secret() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert re.findall(r"^[A-Z_]+=(.+)$", text, flags=re.MULTILINE) == []


def test_the_service_understands_every_setting_that_compose_gives_it() -> None:
    given = {
        name: REFERENCE.sub(lambda reference: reference[3] or "0123456789abcdef", value)
        for name, value in environment("taximeter").items()
        if value is not None
    }

    settings = read_settings(given)

    assert settings.store_url == "clickhouse://taximeter:0123456789abcdef@clickhouse:8123"
    assert settings.ingest_token is not None
    assert settings.read_token is not None


def test_links_in_alerts_lead_to_the_published_port_unless_told_otherwise() -> None:
    assert environment("taximeter")["TAXIMETER_SERVER_PUBLIC_URL"] == (
        "${TAXIMETER_SERVER_PUBLIC_URL:-http://localhost:8787}"
    )


def test_the_image_is_built_on_a_pinned_release_and_runs_as_an_ordinary_user() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    user = re.findall(r"^USER (\d+)", DOCKERFILE, flags=re.MULTILINE)

    assert all(PINNED.fullmatch(base) for base in bases)
    assert [int(number) > 0 for number in user] == [True]
    assert 'ENTRYPOINT ["taximeter"]\nCMD ["serve"]\n' in DOCKERFILE


def test_the_image_installs_nothing_whose_hash_is_not_in_the_lock_file() -> None:
    commands = re.split(r"&&|\n", DOCKERFILE.replace("\\\n", " "))
    installs = [command for command in commands if "pip install" in command]

    assert len(installs) == 3
    assert all(re.search(r"--require-hashes|constraint requirements\.lock", it) for it in installs)


def test_docker_may_read_what_the_image_is_made_of_and_nothing_else() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {rule[1:].split("/")[0] for rule in rules if rule.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)

    assert let_in == {source for line in copies for source in line.split()}
    assert "*" in rules


def test_clickhouse_keeps_none_of_its_own_logs_for_ever() -> None:
    logs = ElementTree.parse(CLICKHOUSE / "system-logs.xml").getroot()

    kept = {log.tag: log.findtext("ttl") for log in logs if log.get("remove") != "1"}

    assert kept == {
        "query_log": "event_date + INTERVAL 7 DAY DELETE",
        "part_log": "event_date + INTERVAL 7 DAY DELETE",
        "error_log": "event_date + INTERVAL 7 DAY DELETE",
        "backup_log": "event_date + INTERVAL 30 DAY DELETE",
    }


def test_grafana_s_user_may_only_read_the_tables_of_taximeter() -> None:
    root = ElementTree.parse(CLICKHOUSE / "users.xml").getroot()
    (user,) = root.findall("users/*")
    (profile,) = root.findall("profiles/*")

    assert [grant.text for grant in user.findall("grants/query")] == ["GRANT SELECT ON taximeter.*"]
    assert (user.findtext("profile"), profile.findtext("readonly")) == (profile.tag, "1")
    assert [constraint.tag for constraint in profile.findall("constraints/*")] == [
        "max_execution_time"
    ]


def test_grafana_s_password_comes_from_the_environment_of_both_containers() -> None:
    root = ElementTree.parse(CLICKHOUSE / "users.xml").getroot()
    password = root.find("users/grafana/password")

    assert password is not None
    variable = password.get("from_env", "")
    assert (
        environment("clickhouse")[variable]
        == environment("grafana")["TAXIMETER_CLICKHOUSE_PASSWORD"]
    )
    assert environment("grafana")["TAXIMETER_CLICKHOUSE_USER"] == "grafana"
