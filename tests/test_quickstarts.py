"""The quick starts do what they say: their blocks are run, but for the commands named here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from taximeter_api.demo.fake_openai import fake_openai, serving
from taximeter_api.demo.processes import free_port
from taximeter_api.demo.slack import fake_slack
from taximeter_collector.settings import read_settings
from test_end_to_end import Service, clean_environment, eventually
from walkthrough import ONLY_PARSED, RUN, Section, Walk, sections_of

ROOT = Path(__file__).parents[1]
APP, SERVER = (ROOT / "docs" / f"quickstart-{name}.md" for name in ("app", "server"))
PROMISE = re.compile(r"ounted as\s+feature\s+`([^`]+)`(?:,\s+user\s+`([^`]+)`)?")
SLACK = "https://hooks.slack.com/services/T000/B000/XXXX"

NOT_RUN: dict[str, list[str]] = {
    "1. Install": ["pip install taximeter[otlp]"],
    "With pip": ["pip install taximeter-server", "pip install taximeter[otlp]"],
    "With systemd": [
        "sudo useradd --system --home-dir /var/lib/taximeter --shell /usr/sbin/nologin taximeter",
        "sudo python3 -m venv /opt/taximeter",
        "sudo /opt/taximeter/bin/pip install taximeter-server",
        "sudo install -D --mode 600 /dev/stdin /etc/taximeter/taximeter.env",
        "sudo install --mode 644 deploy/taximeter.service /etc/systemd/system/",
        "sudo systemctl enable --now taximeter",
    ],
    "With docker compose": [
        "docker compose --profile embedded up -d --wait",
        "docker compose exec taximeter-embedded taximeter doctor",
        "docker compose --profile clickhouse up -d --wait",
        "docker compose --profile clickhouse up -d --wait clickhouse",
        "docker compose run --rm taximeter-embedded copy"
        " clickhouse://taximeter:<secret>@clickhouse:8123",
    ],
    "With Kubernetes": [
        "docker build --tag registry.example.com/taximeter-server:0.1.0 .",
        "docker push registry.example.com/taximeter-server:0.1.0",
        "kubectl create namespace taximeter",
        "kubectl --namespace taximeter create secret generic taximeter"
        " --from-literal=ingest-token=<secret> --from-literal=read-token=<secret>",
        "kubectl --namespace taximeter create configmap taximeter --from-file=budgets.yaml",
        "kubectl apply --filename taximeter.yaml",
        "kubectl --namespace taximeter rollout status statefulset/taximeter",
        "kubectl --namespace taximeter port-forward service/taximeter 8787",
    ],
}


APP_SECTIONS = [one for one in sections_of(APP) if one.blocks]
SERVER_SECTIONS = {one.title: one for one in sections_of(SERVER) if one.blocks}


@pytest.fixture(scope="module")
def openai_url() -> Iterator[str]:
    with serving(fake_openai()) as url:
        yield f"{url}/v1"


@pytest.fixture
def messages() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def walk(tmp_path: Path, openai_url: str, messages: list[dict[str, Any]]) -> Iterator[Walk]:
    """Give a terminal in a clone; its service has ports of its own and a stand-in for OpenAI."""
    page, otlp, web = (free_port() for _ in range(3))
    prices = tmp_path / "prices.yaml"
    prices.write_text("hosts: {127.0.0.1: openai}")
    environment = clean_environment(
        {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": openai_url,
            "TAXIMETER_ENDPOINT": f"http://127.0.0.1:{otlp}",
            "TAXIMETER_SERVER_JOURNAL_MB": "100",
            "TAXIMETER_SERVER_OTLP_PORT": f"{otlp}",
            "TAXIMETER_SERVER_PORT": f"{page}",
            "TAXIMETER_SERVER_PRICES": str(prices),
        }
    )
    with serving(fake_slack(messages)) as slack:
        others = {
            "127.0.0.1:8787": f"127.0.0.1:{page}",
            "127.0.0.1:4318": f"127.0.0.1:{otlp}",
            "127.0.0.1:8000": f"127.0.0.1:{web}",
            "--port 8000": f"--port {web}",
            "runserver 8000": f"runserver {web}",
            "redis://127.0.0.1:6379/0": "filesystem://",
            SLACK: f"{slack}/services/T/B/x",
        }
        walk = Walk(tmp_path, environment, others)
        for folder in ("deploy", "docker"):
            shutil.copytree(ROOT / folder, walk.work / folder)
        shutil.copy(ROOT / ".env.example", walk.work)
        # Celery's broker in a folder: what goes out comes in.
        (walk.work / "data_in").mkdir()
        (walk.work / "data_out").symlink_to("data_in")
        yield walk


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "prices.yaml").write_text("hosts: {127.0.0.1: openai}")
    started = Service(folder, "http://127.0.0.1:9/", free_port(), free_port())
    started.start()
    yield started
    assert started.stop() == 0


def send_to(service: Service, walk: Walk) -> None:
    """Make the service that runs already that of the walk."""
    ports = {"8787": service.page_port, "4318": service.otlp_port}
    here = {f"127.0.0.1:{port}": f"127.0.0.1:{its}" for port, its in ports.items()}
    walk.others = {**walk.others, **here}


def costs(service: Service, feature: str, user: str) -> bool:
    rows = service.spend("feature,user")["rows"]
    return any(
        (row["feature"], row["user"]) == (feature, user) and Decimal(row["cost"]) > 0
        for row in rows
    )


@pytest.mark.parametrize("section", APP_SECTIONS, ids=[one.title for one in APP_SECTIONS])
def test_an_app_s_calls_are_counted_as_the_page_says(
    walk: Walk, service: Service, section: Section
) -> None:
    send_to(service, walk)
    walk.prepare(APP_SECTIONS[: APP_SECTIONS.index(section)])
    promises = PROMISE.findall(section.text)

    with walk.through(section):
        for promise in promises:
            eventually(f"dollars of {promise}", partial(costs, service, *promise))

    assert walk.parsed == NOT_RUN.get(section.title, [])
    assert promises or section.title == "1. Install"


def test_lambda_s_calls_are_sent_when_the_handler_returns(walk: Walk, service: Service) -> None:
    send_to(service, walk)
    walk.prepare(APP_SECTIONS)
    # Lambda may end the process at any time after it returned; nothing of Python's end runs then.
    command = (
        "python -c 'import os, triage; "
        '[triage.handler({"user": "gil", "ticket": "Help"}, None) for _ in range(2)]; '
        "os._exit(0)'"
    )

    with walk.through(Section("", f"```sh\n{command}\n```\n")):
        pass

    def calls() -> list[int]:
        return [row["calls"] for row in service.spend("user")["rows"] if row["user"] == "gil"]

    assert eventually("two calls", lambda: calls() == [2])


@contextmanager
def followed(walk: Walk, title: str) -> Iterator[None]:
    """Follow a section of the service's page; its servers run until the end of the block."""
    walk.prepare(list(SERVER_SECTIONS.values())[: list(SERVER_SECTIONS).index(title)])
    with walk.through(SERVER_SECTIONS[title]):
        yield
    assert walk.parsed == NOT_RUN.get(title, [])


def test_on_a_laptop_there_are_dollars_a_message_and_nothing_left_to_do(
    walk: Walk, messages: list[dict[str, Any]]
) -> None:
    (walk.work / "app.py").write_text(APP_SECTIONS[1].blocks[0].text)

    # The last command, `taximeter doctor`, fails while something is left to do.
    with followed(walk, "With pip"):
        address = f"http://{walk.others['127.0.0.1:8787']}/api/spend"
        answer = urllib3.request("GET", address, timeout=60)

    assert Decimal(answer.json()["total"]["cost"]) > 0
    assert ["Test of Taximeter" in message["text"] for message in messages] == [True]


def test_the_unit_s_settings_are_understood_and_each_token_is_new(walk: Walk) -> None:
    with followed(walk, "With systemd"):
        lines = walk.given.read_text().splitlines()

    settings = read_settings(dict(line.split("=", 1) for line in lines))
    assert not settings.is_loopback
    assert settings.ingest_token != settings.read_token


def test_compose_gets_a_secret_for_each_variable_that_it_asks_for(walk: Walk) -> None:
    with followed(walk, "With docker compose"):
        lines = (walk.work / ".env").read_text().splitlines()

    given = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    asked = re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text())
    assert given.keys() == set(asked)
    assert len({value for value in given.values() if len(value) == 48}) == len(given)
    own = (walk.work / "config" / "service.env").read_text().splitlines()
    settings = read_settings(dict(line.split("=", 1) for line in own if line and line[0] != "#"))
    assert None not in (settings.ingest_token, settings.read_token)
    assert settings.ingest_token != settings.read_token


def test_compose_knows_the_profiles_and_services_of_the_commands() -> None:
    commands = "\n".join(NOT_RUN["With docker compose"])
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    profiles = {name for service in services.values() for name in service["profiles"]}

    assert set(re.findall(r"--profile (\S+)", commands)) == profiles
    assert set(re.findall(r"(?:exec|run --rm|--wait) (\S+)", commands)) <= set(services)


def test_a_cluster_pulls_the_image_from_where_it_was_pushed(walk: Walk) -> None:
    with followed(walk, "With Kubernetes"):
        manifest = (walk.work / "taximeter.yaml").read_text()

    assert re.findall("image: (.*)", manifest) == ["registry.example.com/taximeter-server:0.1.0"]


def test_apps_on_other_machines_get_an_address_and_a_token(walk: Walk) -> None:
    with followed(walk, "For the team"):
        pass


def test_every_section_of_the_service_s_page_is_followed_here() -> None:
    here = Path(__file__).read_text("utf-8")

    assert [title for title in SERVER_SECTIONS if f'followed(walk, "{title}")' not in here] == []


def test_every_command_that_is_run_or_only_parsed_is_in_a_page() -> None:
    texts = [
        block.text for page in (APP, SERVER) for one in sections_of(page) for block in one.blocks
    ]
    words = set(re.findall(r"[\w.-]+", "\n".join(texts)))

    assert {*RUN, *ONLY_PARSED} <= words
