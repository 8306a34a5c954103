"""What people do on the pages, in a real browser: light and dark, by keyboard, within the rules."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright

from builders import alert, costing
from receivers import Receiver, listening
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.channels import Channel, SlackWebhook
from taximeter_alerts.outbox import Outbox
from taximeter_alerts.periods import month_at
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import State
from taximeter_api.answers import alerts_page, answers_page
from taximeter_api.app import refusals
from taximeter_api.budget_pages import budget_pages
from taximeter_api.call_pages import call_pages
from taximeter_api.demo.fake_openai import serving
from taximeter_api.explore import explore_pages
from taximeter_api.insight_pages import findings_pages, health_page
from taximeter_api.routes import page as overview_page
from taximeter_api.snapshot import Snapshots
from taximeter_collector.journal import Journal
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.settings import Settings
from taximeter_collector.store import Store

PICTURES = os.environ.get("TAXIMETER_PICTURES", "")
"""A folder for screenshots, kept as artefacts where a run has one."""
PAGES = ("/", "/features", "/models", "/users", "/prompts", "/budgets", "/findings", "/calls")
MORE = ("/alerts", "/health", "/calls/chatcmpl-dear")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as listens:
        yield listens


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with closing(State(f"sqlite:///{tmp_path / 'state.db'}")) as opened:
        yield opened


@pytest.fixture
def site(store: Store, state: State, receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    now = datetime.now(UTC)
    hour_ago = now - timedelta(hours=1)
    rows = [
        costing("6", ts=hour_ago, feature="chat", user_id="ada", call_id="chatcmpl-dear"),
        costing("1", ts=hour_ago, feature="search", user_id="bob", model="gpt-5"),
        costing("0", ts=hour_ago, feature="search", error_type="RateLimitError", http_status=429),
    ]
    store.add(rows, token=f"browser-{now}", book_version="b1", now=now)
    register = Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)
    channels = {"slack": Channel(sender=SlackWebhook(url=receiver.url))}
    journal = Journal(tmp_path / "journal", max_bytes=1_000_000)
    snapshots = Snapshots(
        store, state, register.in_force, PriceBook.shipped, fresh_for=timedelta(seconds=2)
    )
    app = FastAPI()
    refusals(app)
    app.include_router(overview_page(snapshots, otlp_url="http://127.0.0.1:4318"))
    app.include_router(explore_pages(store))
    app.include_router(call_pages(store))
    app.include_router(budget_pages(store, state, register, channels))
    app.include_router(findings_pages(Savings(store, PriceBook.shipped)))
    app.include_router(health_page(store, state, journal, Settings(data_dir=tmp_path), lambda: ""))
    app.include_router(alerts_page(state, channels, "http://meter.test"))
    app.include_router(answers_page(state, channels))
    with serving(app) as url:
        told = alert(
            90,
            period=month_at(now, ZoneInfo("UTC")),
            at=now,
            spent=Decimal(9),
        )
        state.add(told)
        Outbox(state, channels, lambda: datetime.now(UTC), page_url=url).tick()
        yield url
    journal.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield opened
        opened.close()


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give a page that fails the test for anything it complains of."""
    opened = browser.new_page(color_scheme=request.param, viewport={"width": 1340, "height": 900})
    complaints: list[str] = []
    opened.on("console", lambda line: complaints.append(line.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    if PICTURES:
        name = re.sub(r"\W+", "-", request.node.name)
        opened.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)
    opened.close()
    assert complaints == []


def test_the_dearest_feature_is_followed_to_its_dearest_call(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("navigation").get_by_role("link", name="Features").click()
    first = page.get_by_role("row").nth(1)
    expect(first.get_by_role("rowheader")).to_have_text("chat")
    first.get_by_role("link", name="$6.00").click()
    expect(page.get_by_text("feature: chat")).to_be_visible()
    page.get_by_role("row").nth(1).get_by_role("rowheader").get_by_role("link").click()

    expect(page.get_by_text("chatcmpl-dear")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("chat with gpt-4o")


def test_a_budget_is_made_and_paused(page: Page, site: str) -> None:
    page.goto(f"{site}/budgets")
    page.get_by_label("Name").fill("Chat of all")
    page.get_by_label("US dollars").fill("8")
    page.get_by_role("textbox", name="Feature").fill("chat")
    page.get_by_role("button", name="Make it").click()

    expect(page.get_by_role("status")).to_have_text("Chat of all is watched from now on.")
    row = page.get_by_role("row").filter(has_text="Chat of all")
    expect(row).to_contain_text("75 %")
    row.locator("summary").click()
    row.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("row").filter(has_text="Chat of all")).to_contain_text("paused")


def test_a_test_alert_is_sent(page: Page, site: str, receiver: Receiver) -> None:
    before = len(receiver.arrived)
    page.goto(f"{site}/alerts")
    page.get_by_role("button", name="Send a test").click()

    expect(page.get_by_role("status")).to_have_text("slack took the test.")
    assert len(receiver.arrived) == before + 1


def test_an_alert_is_acknowledged_by_its_link_and_the_keyboard(
    page: Page, site: str, receiver: Receiver
) -> None:
    (link,) = set(re.findall(rf"{site}/a/[^\"]+", receiver.arrived[0].body.decode()))
    page.goto(link)
    page.get_by_label("Your name").fill("Ada")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text("Ada takes care of it.")
    page.goto(f"{site}/alerts")
    expect(page.get_by_role("row").filter(has_text="90% of search")).to_contain_text("Ada")


@pytest.mark.parametrize("path", [*PAGES, *MORE])
def test_a_page_is_accessible_and_fits_a_phone(page: Page, site: str, path: str) -> None:
    page.goto(site + path)

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
