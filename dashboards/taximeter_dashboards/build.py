"""Write the dashboards' JSON: `python -m taximeter_dashboards.build [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from taximeter_dashboards.boards.budgets import budgets
from taximeter_dashboards.boards.feature import feature
from taximeter_dashboards.boards.models import models
from taximeter_dashboards.boards.overview import spend_overview
from taximeter_dashboards.boards.reliability import reliability
from taximeter_dashboards.boards.savings import savings
from taximeter_dashboards.boards.trust import trust
from taximeter_dashboards.boards.users import users

PAGE: Final = Path(__file__).parents[2] / "docs" / "dashboards.md"
INTRODUCTION: Final = """\
Which panel answers which question; generated with them. The pictures show the demo's month, which
is made up: the committed JSON with the answers of a store that holds it, drawn by
`make dashboards-picture` with @grafana/ui.

Environment, team, feature, model and user narrow a dashboard where its numbers are kept by them;
one that is not offered is not known there. Any number of values may be chosen. Over charts stand
alerts and the first calls of a prompt's new version; both can be switched off."""
FOLDER: Final = Path(__file__).parents[1] / "grafana" / "dashboards"


def dashboards() -> Mapping[str, Dashboard]:
    """Return each dashboard by the name of its file."""
    boards = {
        "spend-overview.json": spend_overview(),
        "budgets.json": budgets(),
        "feature.json": feature(),
        "models.json": models(),
        "users.json": users(),
        "reliability.json": reliability(),
        "savings.json": savings(),
        "trust.json": trust(),
    }
    return {name: board.build() for name, board in boards.items()}


def text_of(dashboard: Dashboard) -> str:
    text = json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return text + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m taximeter_dashboards.build")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when stale")
    only_check = parser.parse_args().check
    stale = [path for path, text in _files().items() if not _holds(path, text)]
    if only_check and stale:
        names = ", ".join(path.name for path in stale)
        sys.stderr.write(f"stale: {names}; run python -m taximeter_dashboards.build\n")
        return 1
    for path in stale:
        path.write_text(_files()[path], encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
    return 0


def questions_of(boards: Mapping[str, Dashboard]) -> str:
    """Return the page that lists which panel answers which question."""
    lines = ["# Dashboards", "", INTRODUCTION]
    for name, board in boards.items():
        spec = json.loads(text_of(board))
        title = spec["title"].removeprefix("Taximeter: ").capitalize()
        picture = f"![{title}](dashboards/{name.removesuffix('.json')}.png)"
        lines += ["", f"## {title}", "", spec["description"], "", picture, ""]
        lines += ["| panel | question |", "|---|---|"]
        lines += [
            f"| {panel['title']} | {panel['description']} |"
            for panel in spec["panels"]
            if panel["type"] != "row"
        ]
    return "\n".join(lines) + "\n"


def _files() -> dict[Path, str]:
    boards = dashboards()
    files = {FOLDER / name: text_of(board) for name, board in boards.items()}
    return files | {PAGE: questions_of(boards)}


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
