"""The files for systemd and Kubernetes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.codecs import from_dict

from taximeter_collector.settings import Settings, SettingsError, read_settings

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = DEPLOY / "taximeter.service"
MANIFEST: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
)
SYSTEMD = shutil.which("systemd-analyze")
TOKEN = "0123456789abcdef"

with_systemd = pytest.mark.skipif(SYSTEMD is None, reason="there is no systemd-analyze here")

# systemd.unit(5), systemd.service(5), systemd.exec(5): for machines without systemd.
KNOWN = {
    "Unit": "Description Wants After",
    "Install": "WantedBy",
    "Service": """
        Type User Group StateDirectory StateDirectoryMode WorkingDirectory Environment
        EnvironmentFile ExecStart Restart RestartSec TimeoutStopSec LimitNOFILE
        CapabilityBoundingSet AmbientCapabilities NoNewPrivileges ProtectSystem ProtectHome
        PrivateTmp PrivateDevices PrivateUsers ProtectClock ProtectControlGroups ProtectHostname
        ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc RemoveIPC
        RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID
        LockPersonality SystemCallArchitectures SystemCallFilter SystemCallErrorNumber UMask
    """,
}


def unit() -> dict[str, dict[str, list[str]]]:
    """Return the values of each key of each section."""
    sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in UNIT.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections[section][key].append(value)
    return sections


def analysed(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # It looks for the program that the unit starts.
    installed = UNIT.read_text("utf-8").replace(
        "/opt/taximeter/bin", f"{Path(sys.executable).parent}"
    )
    (folder / UNIT.name).write_text(installed)
    return subprocess.run(
        ["systemd-analyze", *command, folder / UNIT.name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@with_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    done = analysed(tmp_path, "verify")

    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
def test_systemd_would_name_a_misspelt_key(tmp_path: Path) -> None:
    (tmp_path / "x.service").write_text("[Service]\nExecStart=/bin/true\nProtektHome=true\n")

    done = analysed(tmp_path, "verify", str(tmp_path / "x.service"))

    assert "Unknown key" in done.stderr


@with_systemd
def test_systemd_says_that_the_unit_is_well_confined(tmp_path: Path) -> None:
    done = analysed(tmp_path, "security", "--offline=yes", "--threshold=20")

    assert done.returncode == 0, done.stdout


def test_the_unit_uses_keys_that_are_known_and_an_ordinary_user() -> None:
    service = unit()["Service"]

    for section, values in unit().items():
        assert set(values) == set(KNOWN[section].split())
    assert service["User"] == ["taximeter"]
    assert service["EnvironmentFile"] == ["-/etc/taximeter/taximeter.env"]


def test_the_service_understands_every_setting_of_the_unit() -> None:
    given = dict(line.split("=", 1) for line in unit()["Service"]["Environment"])

    assert read_settings(given).data_dir == Path(unit()["Service"]["WorkingDirectory"][0])


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in MANIFEST if one["kind"] == kind]


def stateful_set() -> dict[str, Any]:
    (one,) = of_kind("StatefulSet")
    spec: dict[str, Any] = one["spec"]
    return spec


def container() -> dict[str, Any]:
    (one,) = stateful_set()["template"]["spec"]["containers"]
    values: dict[str, Any] = one
    return values


@pytest.mark.parametrize(
    "resource", MANIFEST, ids=lambda one: f"{one['kind']} {one['metadata']['name']}"
)
def test_kubernetes_has_a_place_for_every_field(resource: dict[str, Any]) -> None:
    # What a model has no field for does not come back, and a value of another type is refused.
    assert from_dict(resource).to_dict() == resource  # type: ignore[no-untyped-call]


def test_kubernetes_models_would_find_a_misspelt_field() -> None:
    resource = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"selektor": {}}}

    assert from_dict(resource).to_dict() != resource  # type: ignore[no-untyped-call]


def test_one_pod_holds_the_embedded_store_on_a_volume_of_its_own() -> None:
    (claim,) = stateful_set()["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}

    assert stateful_set()["replicas"] == 1
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert mounts[claim["metadata"]["name"]] == str(settings().data_dir)


def test_the_pod_may_do_nothing_that_it_does_not_need() -> None:
    pod = stateful_set()["template"]["spec"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)


def test_the_pod_is_alive_while_it_runs_and_ready_while_it_takes_calls() -> None:
    probes = {name: container()[f"{name}Probe"]["httpGet"] for name in ("readiness", "liveness")}

    assert probes == {
        "readiness": {"path": "/readyz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
    }


def test_apps_reach_the_journal_also_while_the_store_takes_nothing() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    services = {one["metadata"]["name"]: one["spec"] for one in of_kind("Service")}
    labels = stateful_set()["template"]["metadata"]["labels"]

    assert ports == {"http": settings().port, "otlp-http": settings().otlp_port}
    assert [port["targetPort"] for port in services["taximeter"]["ports"]] == ["http"]
    assert [port["targetPort"] for port in services["taximeter-otlp"]["ports"]] == ["otlp-http"]
    assert services["taximeter-otlp"]["publishNotReadyAddresses"]
    assert all(one["selector"] == labels for one in services.values())


def test_secrets_come_from_a_secret_alone() -> None:
    secret = {variable["name"] for variable in container()["env"] if "valueFrom" in variable}

    assert secret == {
        "TAXIMETER_SERVER_INGEST_TOKEN",
        "TAXIMETER_SERVER_READ_TOKEN",
        "TAXIMETER_SERVER_SLACK_WEBHOOK_URL",
    }


def test_the_pod_does_not_start_before_it_is_said_where_people_reach_the_page() -> None:
    with pytest.raises(SettingsError, match="PUBLIC_URL='SET-ME': give an address like"):
        settings({})


HERE = {"TAXIMETER_SERVER_PUBLIC_URL": "https://taximeter.example.com"}


def settings(own: dict[str, str] = HERE) -> Settings:
    """Read the settings of the pod."""
    given = {
        one["name"]: one.get("value", f"https://{TOKEN}/{one['name']}")
        for one in container()["env"]
    }
    return read_settings(given | own)
