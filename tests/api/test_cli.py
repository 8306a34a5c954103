from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.console import Console

from taximeter_api.cli import app
from taximeter_api.commands.budgets import LISTED
from taximeter_api.commands.reprice import COLUMNS as REPRICED
from taximeter_api.commands.table import Column, Table

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def taximeter(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command with settings of the service; those of apps have their whole names."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TAXIMETER_")
    }
    variables = {
        name if name.startswith("TAXIMETER_") else f"TAXIMETER_SERVER_{name}": value
        for name, value in settings.items()
    }
    return subprocess.run(
        [sys.executable, "-m", "taximeter_api", *arguments],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_setting_that_does_not_exist_stops_the_start_with_one_line() -> None:
    refused = taximeter("serve", PROT="1")

    assert refused.returncode == 2
    assert refused.stderr.startswith("taximeter: TAXIMETER_SERVER_PROT is not a setting")
    assert refused.stderr.count("\n") == 1


def test_a_channel_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    variables = {"PORT": "0", "OTLP_PORT": "0", "DATA_DIR": str(tmp_path), "NOTICES": "nope"}

    refused = taximeter("serve", **variables)

    assert refused.returncode == 2
    assert "nope" in refused.stderr


@pytest.mark.parametrize("name", ["PORT", "OTLP_PORT", "OTLP_GRPC_PORT"])
def test_an_occupied_port_stops_the_start_and_is_named(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        ports = {"PORT": "0", "OTLP_PORT": "0", name: port}
        refused = taximeter("serve", DATA_DIR=str(tmp_path), **ports)

    assert refused.returncode == 2
    assert f"TAXIMETER_SERVER_{name}={port}: Address already in use" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_one_port_for_both_stops_the_start(tmp_path: Path) -> None:
    refused = taximeter("serve", PORT="4318", OTLP_PORT="4318", DATA_DIR=str(tmp_path))

    assert refused.returncode == 2
    assert "are both 4318: give two" in refused.stderr


def test_a_data_directory_that_can_not_be_made_is_named() -> None:
    refused = taximeter("serve", PORT="0", OTLP_PORT="0", DATA_DIR="/proc/nope")

    assert refused.returncode == 2
    assert "TAXIMETER_SERVER_DATA_DIR=/proc/nope: " in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_state_database_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("not a database, but long enough to be looked at" * 50)

    refused = taximeter("serve", PORT="0", OTLP_PORT="0", DATA_DIR=str(tmp_path))

    assert refused.returncode == 2
    assert "state.db" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_out_of_reach_stops_the_start_and_is_named(tmp_path: Path) -> None:
    refused = taximeter(
        "serve",
        PORT="0",
        OTLP_PORT="0",
        DATA_DIR=str(tmp_path),
        STORE="clickhouse://default:hunter2@127.0.0.1:9",
    )

    assert refused.returncode == 2
    assert "the store at 127.0.0.1:9 does not answer (Connection refused)" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_copy_to_a_server_out_of_reach_says_which_in_one_line(tmp_path: Path) -> None:
    address = "clickhouse://default:hunter2@127.0.0.1:9"
    taximeter("migrate", DATA_DIR=str(tmp_path))

    refused = taximeter("copy", address, DATA_DIR=str(tmp_path))

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "taximeter: the store at 127.0.0.1:9 does not answer (Connection refused): "
        "start it, or give another address\n"
    )


def test_a_malformed_budgets_file_stops_the_start_with_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_text("budgets:\n  - name: a\n    amount: ten\n")

    refused = taximeter("serve", PORT="0", OTLP_PORT="0", DATA_DIR=str(tmp_path), BUDGETS=str(path))

    assert refused.returncode == 2
    assert f"{path}:3: amount: 'ten'" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_budgets_can_be_checked_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_text("budgets:\n  - {name: Search, amount: 20, scope: {feature: search}}\n")

    checked = taximeter("budgets", "check", str(path))
    missing = taximeter("budgets", "check", str(tmp_path / "nothing.yaml"))

    assert checked.returncode == 0
    for word in ("Search", "$20", "month, UTC", "feature=search", "50% 75% 90% 100%"):
        assert word in checked.stdout
    by_setting = taximeter("budgets", "check", BUDGETS=str(path))
    assert "Search" in by_setting.stdout
    assert (missing.returncode, missing.stderr.count("no such file")) == (2, 1)


def test_a_prices_file_can_be_checked_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        """
hosts: {llm.internal: openai}
rates:
  - {model: gpt-5, since: 2026-11-01, usd_per_million_tokens: {input: 1}}
discounts: [{percent: 5}]
deployments: {prod: {type: data zone, region: East US}}
"""
    )

    checked = taximeter("prices", "check", str(path))
    missing = taximeter("prices", "check", str(tmp_path / "nothing.yaml"))

    assert checked.returncode == 0
    for word in ("llm.internal", "2026-11-01", "$1 per", "5%", "data_zone/eastus"):
        assert word in checked.stdout
    assert (missing.returncode, missing.stderr.count("no such file")) == (2, 1)


def test_a_malformed_prices_file_stops_the_start_with_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("discounts:\n  - percent: 101\n")

    refused = taximeter("serve", PORT="0", OTLP_PORT="0", DATA_DIR=str(tmp_path), PRICES=str(path))

    assert refused.returncode == 2
    assert f"{path}:2: percent: '101'" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_the_price_of_a_model_is_shown_with_the_teams_own(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("discounts: [{percent: 20, model: gpt-5}]")

    shown = taximeter("prices", "show", "gpt-5", "--on", "2026-11-01", "--json", PRICES=str(path))
    unknown = taximeter("prices", "show", "gpt-9", PRICES=str(path))
    misspelt = taximeter("prices", "show", "gpt-5", "--on", "soon")
    azure = ("--provider=azure.ai.openai", "--place=data_zone/eastus", "--on=2026-11-01")
    of_azure = taximeter("prices", "show", "gpt-5", *azure, "--json")

    default = json.loads(shown.stdout)[0]
    # 1.25 and 0.125 less a fifth
    assert default["tier"] == "default"
    assert default["usd_per_unit"]["input"] == "0.000001000000"
    assert default["usd_per_unit"]["cached_input"] == "0.000000100000"
    assert json.loads(of_azure.stdout)[0]["usd_per_unit"]["input"] == "0.000001375000"
    assert (unknown.returncode, misspelt.returncode) == (2, 2)
    assert "no price for 'gpt-9' of openai" in unknown.stderr
    assert "--on 'soon': give a day like 2026-11-01" in misspelt.stderr


def test_calls_are_priced_from_a_file_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    call = {"endpoint": "chat.completions", "timestamp": "2026-11-01"}
    usage = {"prompt_tokens": 1_000, "completion_tokens": 500}
    known, unknown = ({**call, "model": name, "usage": usage} for name in ("gpt-5", "gpt-9"))
    path.write_text(f"{json.dumps(known)}\n\n{json.dumps(unknown)}\n")

    told = taximeter("prices", "test", str(path), "--json")
    table = taximeter("prices", "test", str(path))
    path.write_text("{")
    broken = taximeter("prices", "test", str(path))
    missing = taximeter("prices", "test", str(tmp_path / "nothing.jsonl"))

    exact, unpriced = json.loads(told.stdout)
    assert exact["usd"] == "0.006250000000"
    assert exact["components"] == {"input": "0.001250000000", "output": "0.005000000000"}
    assert (unpriced["usd"], unpriced["status"]) == (None, "unpriced")
    assert "unknown" in table.stdout
    assert (broken.returncode, missing.returncode) == (2, 2)
    assert f"{path}:1: not JSON" in broken.stderr
    assert "nothing.jsonl" in missing.stderr


BUDGETS = """
budgets:
  - {name: Search of the web team, amount: 1234.56, each: user, zone: Europe/Berlin,
     scope: {feature: [search, suggest], team: web}, channels: [slack, on-call]}
"""
PRICES = """
hosts: {llm.internal.example.com: openai}
rates:
  - {model: gpt-5.5-2026-04-01, since: 2026-11-01,
     usd_per_million_tokens: {input: 1.2345, cached_input: 0.125, output: 10.5}}
"""
CALL = {
    "endpoint": "chat.completions",
    "timestamp": "2026-11-01",
    "model": "gpt-5",
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 500},
}


@pytest.mark.parametrize("columns", [40, 50, 80, 120])
@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        (("budgets", "check", "budgets.yaml"), ["$1,234.56", "Search of the web team"]),
        (("prices", "check", "prices.yaml"), ["$1.2345", "$10.5", "gpt-5.5-2026-04-01"]),
        (("prices", "test", "calls.json"), ["0.006250000000", "0.001250000000"]),
        (("prices", "show", "gpt-5.5"), ["priority", "272,000", "22.5", "not published"]),
        (("prices", "show", "gpt-realtime"), ["default", "0.5", "64"]),
    ],
)
def test_tables_cut_neither_money_nor_names_at_any_width(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    arguments: tuple[str, ...],
    whole: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    Path("budgets.yaml").write_text(BUDGETS)
    Path("prices.yaml").write_text(PRICES)
    Path("calls.json").write_text(json.dumps(CALL))

    told = taximeter(*arguments)

    assert told.returncode == 0, told.stderr
    assert max(map(len, told.stdout.splitlines())) <= columns
    assert "…" not in told.stdout
    assert [text for text in whole if text not in told.stdout] == []


LISTED_ROW = (
    "Search of the web (paused)",
    "$1,234.56",
    "$1,300",
    "",
    "u0001",
    "month, Europe/Berlin",
    "file",
    "12 0a1b2c3d4e5f",
    "grace",
)
REPRICED_ROW = (
    "2026-11-01",
    "gpt-5-2025-08-07",
    "1,234",
    "12",
    "$69.20",
    "$70.20",
    "+$1.00",
)


@pytest.mark.parametrize("width", [40, 50, 80, 120])
@pytest.mark.parametrize(
    ("columns", "row", "whole"),
    [
        (LISTED, LISTED_ROW, ["$1,234.56", "$1,300"]),
        (REPRICED, REPRICED_ROW, ["2026-11-01", "gpt-5-2025-08-07", "+$1.00"]),
    ],
)
def test_tables_of_the_service_cut_neither_money_nor_names(
    width: int, columns: Sequence[Column], row: tuple[str, ...], whole: list[str]
) -> None:
    drawn = Console(file=StringIO(), width=width)

    drawn.print(Table(columns=columns, sections=[[row]]))

    assert isinstance(drawn.file, StringIO)
    text = drawn.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert [one for one in whole if one not in text] == []
    assert all(one in text for one in row) or width < 120


def commands(group: typer.core.TyperGroup, name: str) -> Iterator[str]:
    context = typer.Context(group)
    for own in group.list_commands(context):
        command = group.get_command(context, own)
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{name} {own}")
        else:
            yield f"{name} {own}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nope",), "No such command 'nope': see taximeter --help"),
        (("forget",), "Missing argument 'user': see taximeter forget --help"),
        (("alerts", "test", "nope"), "nope is not set up; none is"),
        (("copy", "http://x"), "TO: give an address like clickhouse://user:password@host:port"),
        (("import", "/nonexistent.csv"), "/nonexistent.csv: No such file or directory"),
        (("restore", "/nonexistent"), "/nonexistent: No such file or directory"),
        (("budgets", "check", "/"), "/: Is a directory"),
        (
            ("export", "--from", "2026-11-01", "--out", "/nonexistent/x.csv"),
            "--out=/nonexistent/x.csv: No such file or directory",
        ),
    ],
)
def test_what_is_not_understood_is_one_line_that_names_what_was_typed(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    refused = taximeter(*arguments, PORT="9", DATA_DIR=str(tmp_path))

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"taximeter: {says}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup",),
        ("export", "--from", "2026-11-01", "--out", "november.csv"),
        ("forget", "u0001"),
        ("reconcile",),
        ("reprice", "--from", "2026-11-01"),
    ],
)
def test_a_question_to_no_service_and_no_store_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)

    refused = taximeter(*arguments, PORT="9")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "taximeter: no service answers at http://127.0.0.1:9, and there is no store "
        f"{tmp_path}/taximeter-data/store: start the service, or give its "
        "TAXIMETER_SERVER_PORT or TAXIMETER_SERVER_DATA_DIR\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_group_without_a_command_shows_its_help() -> None:
    shown = taximeter("budgets")

    assert (shown.returncode, shown.stderr) == (2, "")
    assert "apply" in shown.stdout


def test_the_documented_commands_are_those_that_there_are() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    row = re.compile(r"^\| `(taximeter [\w ]+)` \| .+ \| .*\|$", re.MULTILINE)
    documented = row.findall(DOCS.read_text("utf-8"))

    assert documented == sorted(commands(group, "taximeter"))


def test_words_are_completed_in_a_shell(tmp_path: Path) -> None:
    bin_ = str(Path(sys.executable).parent)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{bin_}:{os.environ['PATH']}"}
    typed = "COMP_WORDS=(taximeter re) COMP_CWORD=1"
    say = f"{typed}; _taximeter_completion taximeter; echo ${{COMPREPLY[@]}}"

    installed, completed = (
        subprocess.run(
            ["bash", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        # Which shell it is, is told by what runs it: two commands keep bash there.
        for script in ("taximeter --install-completion && true", f". ~/.bashrc; {say}")
    )

    assert "bash completion installed" in installed
    assert sorted(completed.split()) == ["reconcile", "report", "reprice", "restore"]


def test_a_bar_is_on_a_terminal_and_nowhere_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        command = [sys.executable, "-m", "taximeter_api", "report", "--json"]
        environment = {**os.environ, "TAXIMETER_SERVER_PORT": str(port), "TERM": "xterm"}
        ours, its = pty.openpty()
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=its) as one:
            os.close(its)
            shown = b""
            while b"asking the service" not in shown:
                shown += os.read(ours, 1000)
            silent.accept()[0].close()
            assert one.stdout is not None
            told = one.stdout.read()
        os.close(ours)

    assert told == b""
    piped = taximeter("report", PORT="9")
    assert piped.stderr == "taximeter: no service answers at http://127.0.0.1:9\n"


@pytest.mark.parametrize("command", ["--help", "version"])
def test_help_and_version_need_no_settings(command: str) -> None:
    assert taximeter(command, PROT="1").returncode == 0


def test_a_command_does_not_wait_for_what_others_need() -> None:
    code = (
        "import atexit, sys; sys.argv[1:] = ['version']; heavy = {'fastapi', 'sqlalchemy'}; "
        "atexit.register(lambda: print(heavy & sys.modules.keys())); "
        "from taximeter_api.cli import main; main()"
    )

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert told.stdout.splitlines()[1:] == ["set()"]


def test_the_demo_says_what_to_install_first() -> None:
    code = (
        "import sys; sys.modules['openai'] = None; from taximeter_api.cli import app; app(['demo'])"
    )

    refused = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert refused.returncode == 2
    assert refused.stderr == "taximeter: first pip install 'taximeter-server[demo]'\n"
