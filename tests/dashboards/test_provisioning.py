from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from taximeter_dashboards.build import FOLDER, dashboards
from taximeter_dashboards.clickhouse import PLUGIN, PLUGIN_VERSION

ROOT = Path(__file__).parents[2]
PROVISIONING = FOLDER.parent / "provisioning"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


DATASOURCE = read(PROVISIONING / "datasources" / "clickhouse.yaml")["datasources"][0]
PROVIDER = read(PROVISIONING / "dashboards" / "taximeter.yaml")["providers"][0]
GRAFANA = read(ROOT / "docker-compose.yml")["services"]["grafana"]


def inside_the_container(path: Path) -> PurePosixPath:
    """Return where Grafana finds a file of this repository."""
    mounts = (mount.split(":") for mount in GRAFANA["volumes"])
    for source, target, *_ in mounts:
        folder = (ROOT / source).resolve()
        if path.is_relative_to(folder):
            return PurePosixPath(target) / path.relative_to(folder)
    raise AssertionError(f"Grafana does not see {path}")


def test_whatever_asks_reads_the_provisioned_datasource() -> None:
    named = {"type": DATASOURCE["type"], "uid": DATASOURCE["uid"]}

    for name in dashboards():
        spec = json.loads((FOLDER / name).read_text(encoding="utf-8"))
        panels = [panel for panel in spec["panels"] if panel["type"] != "row"]
        variables = [one for one in spec["templating"]["list"] if one["type"] == "query"]
        asking = [*panels, *variables, *spec["annotations"]["list"]]
        assert panels
        assert all(part["datasource"] == named for part in asking)


def test_the_datasource_is_read_from_the_environment_that_compose_gives_to_grafana() -> None:
    settings = DATASOURCE["jsonData"] | DATASOURCE["secureJsonData"]
    variables = [value[1:] for value in settings.values() if value.startswith("$")]

    assert len(variables) == 6
    assert set(variables) <= set(GRAFANA["environment"])
    assert DATASOURCE["secureJsonData"] == {"password": "$TAXIMETER_CLICKHOUSE_PASSWORD"}


def test_compose_installs_the_plugin_that_the_dashboards_are_written_for() -> None:
    assert DATASOURCE["type"] == PLUGIN
    assert DATASOURCE["jsonData"]["version"] == PLUGIN_VERSION
    assert GRAFANA["environment"]["GF_PLUGINS_PREINSTALL_SYNC"] == f"{PLUGIN}@{PLUGIN_VERSION}"


def test_grafana_finds_the_committed_dashboards_where_its_provider_looks() -> None:
    looked_in = PurePosixPath(PROVIDER["options"]["path"])

    for name in dashboards():
        assert inside_the_container(FOLDER / name) == looked_in / name


def test_grafana_finds_the_provisioning_where_it_looks_by_default() -> None:
    assert inside_the_container(PROVISIONING) == PurePosixPath("/etc/grafana/provisioning")


def test_grafana_opens_on_the_overview() -> None:
    home = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert inside_the_container(FOLDER / "spend-overview.json") == PurePosixPath(home)


def test_dashboards_can_not_drift_from_the_repository() -> None:
    assert (PROVIDER["allowUiUpdates"], DATASOURCE["editable"]) == (False, False)


def test_no_password_stands_in_the_provisioning() -> None:
    for path in PROVISIONING.rglob("*.yaml"):
        secrets = re.findall(r"(?i)(?:password|token|secret): *(.+)", path.read_text("utf-8"))
        assert all(secret.startswith("$") for secret in secrets)
