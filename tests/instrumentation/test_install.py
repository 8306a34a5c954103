"""What `pip install taximeter` brings into an app, measured on the wheel in a new environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


class Installed(NamedTuple):
    scripts: Path
    openai_alone: set[str]
    """Names of the distributions before taximeter."""
    all: set[str]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    built, environment = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    hatchling = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built)
    output(*hatchling, folder=ROOT / "instrumentation")
    (wheel,) = built.glob("*.whl")
    output(UV, "venv", "--quiet", "--clear", "--python", sys.executable, environment)
    alone = distributions_after_installing("openai", into=environment)
    return Installed(
        environment / "bin",
        openai_alone=alone,
        all=distributions_after_installing(wheel, into=environment),
    )


def distributions_after_installing(wanted: object, *, into: Path) -> set[str]:
    """Install the versions of the lock, which are in uv's cache already."""
    python = ("--python", into / "bin" / "python")
    output(UV, "pip", "install", "--quiet", *python, "-c", ROOT / "requirements.lock", wanted)
    return {one["name"] for one in json.loads(output(UV, "pip", "list", *python, "--format=json"))}


def output(*command: object, folder: Path = ROOT) -> str:
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    ).stdout


def test_the_base_install_adds_at_most_six_distributions_to_openai(installed: Installed) -> None:
    added = installed.all - installed.openai_alone

    assert "taximeter" in added
    assert len(added) <= 6, added
    assert not [name for name in added if name.startswith("opentelemetry-sdk")]


def test_importing_the_installed_package_starts_no_thread_and_loads_nothing_heavy(
    installed: Installed,
) -> None:
    code = (
        "import _thread, json, sys, threading, taximeter; "
        "print(json.dumps([taximeter.__file__, threading.active_count(), _thread._count(), "
        "sorted(name for name in sys.modules if name.split('.')[0] in ('openai', 'opentelemetry'))"
        "]))"
    )

    told = output(installed.scripts / "python", "-I", "-W", "error", "-c", code)

    place, threads, other_threads, heavy = json.loads(told)
    assert place.startswith(str(installed.scripts.parent))
    assert (threads, other_threads, heavy) == (1, 0, [])


def test_the_installed_script_meters_a_program(installed: Installed) -> None:
    code = "import openai; print(hasattr(openai._base_client.SyncAPIClient.request, '__wrapped__'))"
    launcher, python = installed.scripts / "taximeter-instrument", installed.scripts / "python"

    assert output(launcher, python, "-c", code) == "True\n"
