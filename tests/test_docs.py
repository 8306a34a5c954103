"""The documentation and what it describes say the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from taximeter.tags import NAMES, OTHER
from taximeter_collector.store import Store

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
WIRE = yaml.safe_load((DOCS / "wire.yaml").read_text("utf-8"))
COLUMNS = {name: one["column"] for name, one in (WIRE["attributes"] | WIRE["resource"]).items()}
CODE = re.compile(r"```.*?```", re.DOTALL)
PRINT_ROUTES = """
import json, sys
from taximeter_api.app import Service
from taximeter_collector.settings import read_settings

def routes_of(routes):
    for route in routes:
        inside = getattr(route, "original_router", None)
        yield from routes_of(inside.routes) if inside else [route]

service = Service(read_settings({"TAXIMETER_SERVER_DATA_DIR": sys.argv[1]}))
told = [
    (method, route.path, [one.alias for one in getattr(route, "dependant").query_params]
     if hasattr(route, "dependant") else [])
    for route in routes_of(service.app.routes) for method in route.methods - {"HEAD"}
]
service.close()
print(json.dumps(told))
"""


def text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def rows(page: str) -> list[list[str]]:
    """Return the cells of every row of every table of a page, without the headings."""
    lines = re.findall(r"^\|(.+)\|$(?!\n\|-)", text(page), re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines if line[0] != "-"]


# Parameters that a route reads from the address itself.
BY_HAND = {
    "GET /api/calls": {"response_id", "request_id", "trace_id", "user"},
    "GET /calls": {"only", "order"},
}


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def anchors(page: Path) -> set[str]:
    """Return the headings as a browser of Markdown names them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text("utf-8")))

    for link in links:
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme_or_from_one_that_is() -> None:
    reached = {ROOT / "README.md"}
    for _ in PAGES:
        links = {
            (page.parent / link.partition("#")[0]).resolve()
            for page in reached
            for link in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", page.read_text("utf-8"))
            if "://" not in link
        }
        reached |= links

    assert set(PAGES) <= reached


def asked(path: str) -> str:
    """Return a route whose parameters have no names."""
    return re.sub(r"{[^}]*}", "{}", path)


def test_the_api_page_has_every_route_and_its_parameters(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PRINT_ROUTES, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    routes: dict[str, list[str]] = {
        asked(f"{method} {path}"): parameters for method, path, parameters in json.loads(told)
    }

    # Values stand in brackets.
    documented = {
        asked(names(route)[0]): names(re.sub(r"\([^)]*\)", "", cell))
        for route, cell, *_ in rows("api.md")
    }

    assert sorted(documented) == sorted(routes)
    for route, parameters in routes.items():
        assert set(documented[route]) == {*parameters, *BY_HAND.get(route, ())}, route


def described() -> dict[str, list[str]]:
    """Return the tables of the data model and their columns, with the sums spelled out."""
    (sums,) = re.findall(r"\*sums\* are (.*?)\. The four", text("data-model.md"), re.DOTALL)
    return {
        names(table)[0]: [*names(columns), *(names(sums) if "*sums*" in columns else [])]
        for table, *_, columns in (row for row in rows("data-model.md") if len(row) == 3)
    }


def columns_of(store: Store, table: str) -> list[str]:
    answer = store._connection.read(f"describe table taximeter.{table}")
    return [row[0] for row in answer.result_rows]


@pytest.mark.parametrize("table", described())
def test_a_table_of_the_data_model_has_the_columns_that_are_told(store: Store, table: str) -> None:
    assert described()[table] == columns_of(store, table)


def test_every_column_of_a_call_is_on_the_wire_or_in_the_data_model(store: Store) -> None:
    (own, _), *others = [row for row in rows("data-model.md") if len(row) == 2]
    explained = [*names(own), *(name for cell, _ in others for name in names(cell))]

    assert sorted({*explained, *COLUMNS.values()}) == sorted(columns_of(store, "calls"))


@pytest.mark.parametrize("sql", re.findall(r"```sql\n(.*?)```", text("data-model.md"), re.DOTALL))
def test_a_question_of_the_data_model_is_answered(store: Store, sql: str) -> None:
    assert store._connection.read(sql).result_rows == []


def test_the_guide_to_tags_names_each_tag_as_the_code_does() -> None:
    told: dict[str, Any] = {
        names(keyword)[0]: (names(header)[0], names(column)[-1])
        for _, keyword, header, _, column in (row for row in rows("tagging.md") if len(row) == 5)
        if keyword
    }

    assert told.pop("plan") == ("x-taximeter-tag-plan", "tags['plan']")
    assert COLUMNS[f"{OTHER}*"] == "tags"
    assert told == {
        name: (f"x-taximeter-{name.replace('_', '-')}", COLUMNS[attribute])
        for name, attribute in NAMES.items()
    }
