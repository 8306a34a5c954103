from __future__ import annotations

import copy
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import urllib3
import yaml
from jsonschema import Draft202012Validator

from clickhouse import running
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
OURS = ("taximeter", "taximeter-embedded")
FILES = ("BUDGETS", "CHANNELS", "PRICES")
OWN_SETTINGS = (ROOT / "docker" / "service.env.example").read_text(encoding="utf-8")
TOKEN = "0123456789abcdef"


def environment(service: str) -> dict[str, str]:
    variables: dict[str, str] = SERVICES[service]["environment"]
    return variables


def started_by(profile: str) -> set[str]:
    return {name for name, service in SERVICES.items() if service["profiles"] == [profile]}


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


def test_a_profile_starts_one_container_or_three() -> None:
    assert started_by("embedded") == {"taximeter-embedded"}
    assert started_by("clickhouse") == {"taximeter", "clickhouse", "grafana"}


def test_the_two_containers_of_the_service_differ_by_their_store_alone() -> None:
    served, embedded = (copy.deepcopy(SERVICES[name]) for name in OURS)
    depends_on = served.pop("depends_on")
    store = served["environment"].pop("TAXIMETER_SERVER_STORE")
    profiles = served.pop("profiles"), embedded.pop("profiles")

    assert served == embedded
    assert (depends_on, store.rpartition("@")[2], profiles) == (
        {"clickhouse": {"condition": "service_healthy"}},
        "clickhouse:8123",
        (["clickhouse"], ["embedded"]),
    )


@every_service
def test_every_image_is_pinned_to_one_release(service: dict[str, Any]) -> None:
    assert PINNED.fullmatch(service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_and_comes_back(name: str) -> None:
    # That of the image follows the port that the service's own settings say.
    assert ("healthcheck" in SERVICES[name]) is (name not in OURS)
    assert "%s/healthz' % os.environ.get('TAXIMETER_SERVER_PORT', 8787)" in DOCKERFILE
    assert SERVICES[name]["restart"] == "unless-stopped"


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

    assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secrets.values())
    assert bool(secrets) is (service not in OURS)


def test_no_url_holds_a_password_of_its_own() -> None:
    passwords = re.findall(r"://[^:/\s]+:(.+?)@\w", TEXT)

    assert passwords == ["${CLICKHOUSE_PASSWORD:?set it in .env}"]


def test_the_env_example_has_every_variable_that_compose_asks_for_and_no_other() -> None:
    assert example() == {name for name, *_ in REFERENCE.findall(TEXT)}


def test_the_env_example_holds_no_secret() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert re.findall(r"^[A-Z_]+=(.+)$", text, flags=re.MULTILINE) == []


def test_the_service_understands_every_setting_that_compose_gives_it() -> None:
    given = {
        name: REFERENCE.sub(lambda reference: reference[3] or TOKEN, value)
        for name, value in environment("taximeter").items()
    }

    settings = read_settings(own_settings() | given)

    assert settings.store_url == "clickhouse://taximeter:0123456789abcdef@clickhouse:8123"
    assert settings.ingest_token is not None
    assert settings.read_token is not None


def test_what_the_team_writes_lies_in_the_one_folder_that_is_mounted() -> None:
    (mount,) = (one for one in SERVICES["taximeter"]["volumes"] if isinstance(one, dict))
    files = {environment("taximeter")[f"TAXIMETER_SERVER_{name}"] for name in FILES}

    assert files == {f"{mount['target']}/{name.lower()}.yaml" for name in FILES}


def own_settings() -> dict[str, str]:
    """Return what `docker/set-up` makes of the example of the team's own file."""
    lines = (line.split("=", 1) for line in OWN_SETTINGS.splitlines() if re.match("[A-Z]", line))
    return {name: value or TOKEN + name for name, value in lines}


def test_no_setting_of_compose_hides_one_of_the_team_s_own_file() -> None:
    # What compose sets wins over that of an env_file, also without a value.
    assert all(SERVICES[name]["env_file"] == "config/service.env" for name in OURS)
    assert [name for name in own_settings() if any(name in environment(one) for one in OURS)] == []


def test_links_in_alerts_lead_to_the_published_port_unless_told_otherwise() -> None:
    assert own_settings()["TAXIMETER_SERVER_PUBLIC_URL"] == "http://localhost:8787"


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


def settings_of_memory() -> dict[str, str]:
    """Return the settings of memory.xml; those of tables after a slash."""
    root = ElementTree.parse(CLICKHOUSE / "memory.xml").getroot()
    tables = {f"/{one.tag}": one.text or "" for one in root.findall("merge_tree/*")}
    return {one.tag: one.text or "" for one in root if one.tag != "merge_tree"} | tables


def test_the_engine_takes_every_setting_of_memory(tmp_path: Path) -> None:
    asked = """
    select name, value from system.server_settings
    union all
    select '/' || name, value from system.merge_tree_settings
    """

    with running(tmp_path / "clickhouse", CLICKHOUSE / "memory.xml") as (_, url):
        address = url.replace("clickhouse://default@", "http://")
        told = urllib3.request("POST", address, body=asked, timeout=60).data.decode()

    taken = dict(line.split("\t") for line in told.splitlines())
    assert settings_of_memory().items() <= taken.items()


def test_clickhouse_leaves_half_of_a_machine_to_the_others() -> None:
    memory = settings_of_memory()
    caches = sum(int(size) for name, size in memory.items() if name.endswith("_cache_size"))

    assert memory["max_server_memory_usage_to_ram_ratio"] == "0.5"
    assert caches < 0.2 * 0.5 * 4e9


def test_clickhouse_has_as_many_places_for_merges_as_its_tables_ask_for() -> None:
    # Otherwise it refuses to start.
    memory = settings_of_memory()
    ratio = int(memory["background_merges_mutations_concurrency_ratio"])
    places = int(memory["background_pool_size"]) * ratio
    wanted = [int(value) for name, value in memory.items() if name.startswith("/number_of_free")]

    assert len(wanted) == 3
    assert max(wanted) < places


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
