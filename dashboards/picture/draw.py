"""Draw the eight dashboards as Grafana does, from the committed JSON and the demo's month.

    PYTHONPATH=tests python dashboards/picture/draw.py

The store is asked what Grafana would ask it; @grafana/ui draws the answers in headless Chromium.
`make dashboards-picture` installs what is missing first.
"""
# ruff: noqa: S603, S607  It runs node, as installed.

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from playwright.sync_api import Browser, Route, sync_playwright

from demo_month import NOW, live_through
from grafana import ALL, View
from stores import keep_for_ever
from taximeter_collector.store import Store

HERE: Final = Path(__file__).parent
BOARDS: Final = HERE.parent / "grafana" / "dashboards"
PICTURES: Final = HERE.parents[1] / "docs" / "dashboards"
WIDTH: Final = 1600
PAGE: Final = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="main.css">
<div id="root"></div><script>window.board = {board}</script><script src="main.js"></script>"""
ADDRESS: Final = "http://dashboards/"
ICONS: Final = HERE / "node_modules" / "@grafana" / "ui" / "dist" / "public"


def main() -> None:
    with TemporaryDirectory() as folder:
        with closing(Store(f"chdb://{folder}/store")) as store:
            keep_for_ever(store)
            live_through(store, every=timedelta(hours=6))
        draw(Path(folder))


def draw(folder: Path) -> None:
    """Draw every dashboard from the store in a folder, which also takes what is made for it."""
    subprocess.run(["node", "build.mjs", folder], cwd=HERE, check=True)
    reader = clickhouse_connect.get_client(interface="chdb", path=str(folder / "store"))
    with (
        closing(reader),
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=_chromium())) as browser,
    ):
        for path in sorted(BOARDS.glob("*.json")):
            spec = json.loads(path.read_text(encoding="utf-8"))
            page = folder / f"{path.stem}.html"
            answered = json.dumps(_answered(spec, reader)).replace("</", "<\\/")
            page.write_text(PAGE.replace("{board}", answered), encoding="utf-8")
            _photograph(browser, page, PICTURES / f"{path.stem}.png")
            sys.stdout.write(f"drew {path.stem}\n")
    subprocess.run(["node", "shrink.mjs", *PICTURES.glob("*.png")], cwd=HERE, check=True)


def _chromium() -> str:
    return shutil.which("chromium") or sys.exit("there is no chromium: see tests/install-browser")


def _photograph(browser: Browser, page: Path, picture: Path) -> None:
    with closing(browser.new_page(viewport={"width": WIDTH, "height": 300})) as opened:
        opened.on("pageerror", lambda error: sys.exit(f"{page.stem}: {error}"))
        opened.route(f"{ADDRESS}**", lambda route: _serve(route, page.parent))
        opened.goto(f"{ADDRESS}{page.name}")
        opened.wait_for_selector("main")
        height = opened.evaluate("document.documentElement.scrollHeight")
        opened.set_viewport_size({"width": WIDTH, "height": height})
        opened.wait_for_timeout(1500)  # charts and bars grow into their place
        picture.parent.mkdir(exist_ok=True)
        opened.screenshot(path=picture)


def _serve(route: Route, folder: Path) -> None:
    """Answer the page's requests; Grafana's own server has its icons under public/build."""
    name = route.request.url.removeprefix(ADDRESS)
    _, asked_icon, icon = name.partition("public/build/")
    path = ICONS / icon if asked_icon else folder / name
    route.fulfill(path=path) if path.exists() else route.abort()


def _answered(spec: Mapping[str, Any], reader: Client) -> dict[str, Any]:
    """Return a dashboard with the answers to its questions, as the page draws it."""
    view = _view(spec)
    variables = []
    for one in spec["templating"]["list"]:
        offered = _offered(one, view, reader)
        if not one.get("includeAll"):
            offered = offered[:1]
        view = replace(view, chosen={**view.chosen, one["name"]: offered})
        shown = "All" if one.get("includeAll") else offered[0]
        variables.append({"label": one["label"], "value": shown})
    panels = _repeated(spec["panels"], view.chosen)
    at_all = {one: ALL for one in view.chosen if one not in ("budget", "what_if")}
    view = replace(view, chosen={**view.chosen, **at_all})
    return {
        "title": spec["title"].removeprefix("Taximeter: ").capitalize(),
        "theme": "dark",
        "from": view.start.timestamp() * 1000,
        "to": view.end.timestamp() * 1000,
        "range": "This month · UTC" if spec["time"]["from"] == "now/M" else "Last 30 days · UTC",
        "variables": variables,
        "toggles": [
            {"name": one["name"], "color": one["iconColor"], "enabled": one["enable"]}
            for one in spec["annotations"]["list"]
        ],
        "annotations": list(_annotations(spec, view, reader)),
        "panels": [_with_answer(panel, view, reader) for panel in panels],
    }


def _view(spec: Mapping[str, Any]) -> View:
    if spec["time"]["from"] == "now/M":
        first = NOW.replace(day=1, hour=0, minute=0)
        following = (first + timedelta(days=31)).replace(day=1)
        return View(start=first, end=following - timedelta(seconds=1))
    return View(start=(NOW - timedelta(days=29)).replace(hour=0, minute=0), end=NOW)


def _offered(variable: Mapping[str, Any], view: View, reader: Client) -> list[str]:
    if variable["type"] == "textbox":
        return [variable["query"]]
    rows = reader.query(view.expanded(variable["query"]["rawSql"])).result_rows
    return [value for (value,) in rows]


def _repeated(
    panels: Iterable[dict[str, Any]], chosen: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """Yield the panels, one that is repeated by a variable once for each of its values."""
    below = 0
    for panel in panels:
        place = {**panel["gridPos"], "y": panel["gridPos"]["y"] + below}
        if "repeat" not in panel:
            yield {**panel, "gridPos": place, "title": _titled(panel["title"], chosen)}
            continue
        values = chosen[panel["repeat"]]
        a_row = min(panel["maxPerRow"], len(values))
        for number, value in enumerate(values):
            down, across = divmod(number, a_row)
            its = {"x": across * 24 // a_row, "y": place["y"] + down * place["h"], "w": 24 // a_row}
            name = {panel["repeat"]: [value]}
            title = _titled(panel["title"], name)
            yield {**panel, "gridPos": {**place, **its}, "title": title, "scoped": name}
        below += ((len(values) - 1) // a_row) * place["h"]


def _titled(title: str, chosen: Mapping[str, Sequence[str]]) -> str:
    for name, values in chosen.items():
        title = title.replace(f"${name}", values[0] if values else "")
    return title


def _with_answer(panel: dict[str, Any], view: View, reader: Client) -> dict[str, Any]:
    if panel["type"] == "row":
        return panel
    view = replace(view, chosen={**view.chosen, **panel.get("scoped", {})})
    return {**panel, "answer": _answer(panel["targets"][0]["rawSql"], view, reader)}


def _answer(sql: str, view: View, reader: Client) -> dict[str, Any]:
    result = reader.query(view.expanded(sql), settings={"readonly": 1})
    columns = zip(*result.result_rows, strict=True) if result.result_rows else result.column_names
    return {
        "columns": [
            {
                "name": name,
                "type": _type(kind.base_type),
                "values": [_value(one) for one in values] if result.result_rows else [],
            }
            for name, kind, values in zip(
                result.column_names, result.column_types, columns, strict=True
            )
        ]
    }


def _type(name: str | None) -> str:
    name = name or ""
    if name.startswith("Date"):
        return "time"
    return "string" if "String" in name or name.startswith("Enum") else "number"


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).timestamp() * 1000
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000
    return float(value) if isinstance(value, Decimal) else value


def _annotations(spec: Mapping[str, Any], view: View, reader: Client) -> Iterator[dict[str, Any]]:
    for one in (one for one in spec["annotations"]["list"] if one["enable"]):
        for at, *_ in reader.query(view.expanded(one["target"]["rawSql"])).result_rows:
            yield {"at": _value(at), "color": one["iconColor"]}


if __name__ == "__main__":
    main()
