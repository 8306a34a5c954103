"""What people do on the pages, in a real browser: light and dark, by keyboard, within the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import urllib3
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright

from builders import alert, at_once, costing, unpriced
from receivers import Receiver, listening
from taximeter_alerts.budgets import read_budgets
from taximeter_alerts.channels import Channel, SlackWebhook
from taximeter_alerts.outbox import Outbox
from taximeter_alerts.periods import month_at
from taximeter_alerts.register import Register
from taximeter_alerts.savings import Savings
from taximeter_alerts.state import State
from taximeter_api.answers import alerts_page, answers_page
from taximeter_api.budget_pages import budget_pages
from taximeter_api.call_pages import call_pages
from taximeter_api.checks.running import Running
from taximeter_api.demo.fake_openai import serving
from taximeter_api.explore import explore_pages
from taximeter_api.insight_pages import findings_pages, health_page
from taximeter_api.kept import Kept
from taximeter_api.live import script
from taximeter_api.reconciliation import reconciliation_page
from taximeter_api.refusals import refusals
from taximeter_api.routes import page as overview_page
from taximeter_api.security import LOOPBACK_NAMES, Guard, token_check
from taximeter_api.snapshot import Snapshots
from taximeter_collector.journal import Journal
from taximeter_collector.live_file import LiveFile
from taximeter_collector.prices import PriceBook
from taximeter_collector.settings import Settings
from taximeter_collector.store import Store

PICTURES = Path(__file__).parents[1] / "artefacts" / "pages"
"""How each test left its page: for people, and for a run to keep."""
PAGES = ("/", "/features", "/models", "/users", "/prompts", "/budgets", "/findings", "/calls")
PATIENCE_MS = 60_000
WIDER_THAN_SHOWN = """[...document.querySelectorAll("html, .scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => `${one.className} of ${one.scrollWidth} pixels in ${innerWidth}`)"""
MORE = ("/alerts", "/health", "/reconciliation", "/calls/chatcmpl-dear")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as listens:
        yield listens


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with closing(State(f"sqlite:///{tmp_path / 'state.db'}")) as opened:
        yield opened


@pytest.fixture
def site(
    store: Store,
    state: State,
    receiver: Receiver,
    tmp_path: Path,
) -> Iterator[str]:
    now = datetime.now(UTC)
    # Pages show this month, which may be minutes old.
    hour_ago = max(now - timedelta(hours=1), month_at(now, ZoneInfo("UTC")).start)
    rows = [
        costing("6", ts=hour_ago, feature="chat", user_id="ada", call_id="chatcmpl-dear"),
        costing(
            "1", ts=hour_ago, feature="search", user_id="bob", model="gpt-5", environment="dev"
        ),
        costing("0", ts=hour_ago, feature="search", error_type="RateLimitError", http_status=429),
        costing("0.0123", ts=hour_ago, feature="contract-summary", user_id="nightly-reports"),
        unpriced(ts=hour_ago, feature="contract-summary", user_id="nightly-reports"),
    ]
    store.add(rows, token=f"browser-{now}", book_version="b1", now=now)
    store.refresh()
    register = Register(LiveFile(tmp_path / "budgets.yaml", read_budgets), state)
    channels = {"slack": Channel(sender=SlackWebhook(url=receiver.url))}
    journal = Journal(tmp_path / "journal", max_bytes=1_000_000)
    # Taken anew for each look, however long it takes.
    kept = Kept(cheap_s=60)
    snapshots = Snapshots(kept, store, state, register.in_force, PriceBook.shipped)
    app = FastAPI()
    refusals(app)
    everyone = token_check(None)
    app.add_middleware(Guard, names=LOOPBACK_NAMES, only_these=True, may_read=everyone, otlp_port=0)
    app.include_router(overview_page(snapshots, otlp_url="http://127.0.0.1:4318"))
    app.include_router(explore_pages(store, kept))
    app.include_router(call_pages(store, Kept(cheap_s=60)))
    app.include_router(budget_pages(store, state, register, channels))
    app.include_router(findings_pages(Savings(store, PriceBook.shipped)))
    running = Running(
        store=store,
        state=state,
        channels=channels,
        register=register,
        settings=Settings(data_dir=tmp_path),
        trouble=lambda: "",
    )
    app.include_router(health_page(running, journal))
    app.include_router(alerts_page(state, channels, "http://meter.test", running.wrong_with_alerts))
    app.include_router(answers_page(state, channels))
    app.include_router(reconciliation_page(store))
    app.include_router(script())
    with serving(app) as url:
        told = alert(
            90,
            period=month_at(now, ZoneInfo("UTC")),
            at=now,
            spent=Decimal(9),
        )
        state.add(told)
        Outbox(state, channels, lambda: datetime.now(UTC), page_url=url, run=at_once).tick()
        yield url
    journal.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
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
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    opened.screenshot(path=PICTURES / f"{name}.png", full_page=True)
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


@pytest.mark.parametrize("path", ["/", "/features"])
def test_every_number_of_a_row_leads_to_its_calls(page: Page, site: str, path: str) -> None:
    page.goto(site + path)
    row = page.get_by_role("row", name="contract-summary").first
    names = page.get_by_role("columnheader").all_text_contents()

    for column in ("Calls", "Per 1,000 calls", "Share"):
        row.scroll_into_view_if_needed()
        cell = row.locator("th, td").nth(names.index(column)).bounding_box()
        assert cell
        page.mouse.click(cell["x"] + cell["width"] - 6, cell["y"] + cell["height"] / 2)
        expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
        assert page.url == f"{site}/calls?feature=contract-summary"
        page.go_back()
    row.get_by_role("link", name="contract-summary").click()
    assert page.url == f"{site}/models?feature=contract-summary"


def test_on_a_phone_filters_are_seen_and_taken_away(page: Page, site: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{site}/features?span=7d&feature=chat&user=ada")

    page.get_by_role("link", name="user: ada").click()

    expect(page.get_by_role("link", name="feature: chat")).to_be_visible()
    assert page.url == f"{site}/features?feature=chat&span=7d"


def test_on_a_phone_failures_are_told(page: Page, site: str, state: State) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    state.add(alert(75))
    failing = {"slack": Channel(sender=SlackWebhook(url=f"{site}/nothing"))}
    Outbox(state, failing, lambda: datetime.now(UTC), page_url=site, run=at_once).tick()

    page.goto(f"{site}/calls?span=7d")
    expect(page.get_by_text("RateLimitError").locator("visible=true")).to_have_count(1)
    page.goto(f"{site}/alerts")

    expect(page.get_by_text("slack: not sent: ").locator("visible=true")).to_have_count(1)


def test_where_a_budget_is_kept_is_not_cut_nor_its_button(
    page: Page, site: str, tmp_path: Path
) -> None:
    scope = "{feature: [support-chat, contract-summary, nightly-reports], team: not-yet-named}"
    text = f"budgets:\n  - {{name: All that customers read, amount: 1234.56, scope: {scope}}}\n"
    (tmp_path / "budgets.yaml").write_text(text)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{site}/budgets")
    file = page.get_by_text("budgets.yaml", exact=True).bounding_box()
    assert file
    assert file["height"] < 25

    page.get_by_label("Name").fill("Everything that everybody does")
    page.get_by_label("US dollars").fill("1234.56")
    page.get_by_role("button", name="Make it").click()
    page.set_viewport_size({"width": 390, "height": 800})
    card = page.get_by_role("region", name="Budgets").bounding_box()
    button = page.get_by_role("link", name="Change Everything").bounding_box()

    assert card
    assert button
    assert button["x"] + button["width"] <= card["x"] + card["width"] - 16


def test_a_budget_is_made_paused_and_deleted(page: Page, site: str) -> None:
    page.goto(f"{site}/budgets")
    page.get_by_label("Name").fill("Chat of all")
    page.get_by_label("US dollars").fill("8")
    page.get_by_role("textbox", name="Feature").fill("chat")
    page.get_by_role("button", name="Make it").click()

    expect(page.get_by_role("status")).to_have_text("Chat of all is watched from now on.")
    row = page.get_by_role("row").filter(has_text="Chat of all")
    expect(row).to_contain_text("75 %")
    row.get_by_role("link", name="Change Chat of all").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("is told once that it is not watched any more.")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    row = page.get_by_role("row").filter(has_text="Chat of all")
    expect(row).to_contain_text("paused")
    row.get_by_role("link", name="Change Chat of all").click()
    delete = page.get_by_role("button", name="Yes, delete Chat of all")
    expect(delete).to_be_hidden()
    page.get_by_text("Delete…").click()
    expect(page.get_by_text("told once that it is not watched any more, and")).to_be_visible()
    delete.click()

    expect(page.get_by_role("status")).to_have_text("The budget is deleted.")


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


def add(store: Store, usd: str) -> None:
    now = datetime.now(UTC)
    store.add([costing(usd, ts=now, feature="new")], token=f"new-{now}", book_version="b1", now=now)


@pytest.mark.parametrize("path", ["/", "/calls"])
def test_a_new_call_appears_without_a_reload(
    page: Page, site: str, store: Store, path: str
) -> None:
    page.set_viewport_size({"width": 600, "height": 400})
    page.goto(site + path)
    page.evaluate("window.isSame = true")
    page.evaluate("scrollTo(0, 50)")
    rows = page.get_by_role("row").filter(has_text="new")
    expect(rows).to_have_count(0)

    add(store, "2")

    expect(rows.first).to_be_attached()
    assert page.evaluate("[window.isSame, scrollY]") == [True, 50]


def test_nothing_moves_under_someone_who_types_or_marks_text(
    page: Page, site: str, store: Store
) -> None:
    asked: list[str] = []
    page.clock.install()
    page.goto(f"{site}/calls")
    page.on("request", lambda one: asked.append(one.url))

    page.get_by_role("search").get_by_role("textbox").focus()
    page.clock.run_for(60_000)
    assert asked == []
    page.get_by_role("search").get_by_role("textbox").blur()
    page.get_by_role("heading", level=1).select_text()
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate("getSelection().empty()")
    add(store, "2")
    with page.expect_response(f"{site}/calls"):
        page.clock.run_for(60_000)

    expect(page.get_by_role("row").filter(has_text="new")).to_have_count(1)


def test_a_page_that_did_not_change_is_not_sent_again(page: Page, site: str) -> None:
    page.clock.install()
    page.goto(f"{site}/features")

    statuses = []
    for _ in range(2):
        with page.expect_response(f"{site}/features") as answered:
            page.clock.run_for(60_000)
        statuses.append(answered.value.status)

    assert statuses == [200, 304]


def test_an_open_page_says_that_the_service_is_gone_and_grows_old(
    browser: Browser, site: str
) -> None:
    page = browser.new_page()
    page.clock.install()
    page.goto(f"{site}/features")
    away = page.locator("#away")
    expect(away).to_be_hidden()

    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(61_000)

    expect(away).to_be_visible()
    expect(page.locator("time[data-taken]")).to_have_text("1 min ago")
    page.unroute("**/*")
    with page.expect_response(f"{site}/features"):
        page.clock.run_for(61_000)
    expect(away).to_be_hidden()
    page.close()


def test_while_the_service_is_gone_the_overview_s_dot_is_not_green(
    browser: Browser, site: str, store: Store
) -> None:
    add(store, "1")
    page = browser.new_page(color_scheme="light")
    page.clock.install()
    page.goto(site)
    dot = page.locator(".live")
    expect(dot).to_have_css("background-color", "rgb(18, 183, 106)")

    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(61_000)

    expect(dot).to_have_css("background-color", "rgb(237, 168, 26)")
    page.close()


def test_on_a_phone_and_on_paper_the_list_of_budgets_has_what_is_read_there(
    page: Page, site: str
) -> None:
    page.goto(f"{site}/budgets")
    page.get_by_label("Name").fill("All")
    page.get_by_label("US dollars").fill("8")
    page.get_by_role("button", name="Make it").click()
    page.set_viewport_size({"width": 390, "height": 800})

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.emulate_media(media="print")
    for words in ("New budget", "Change", "as JSON"):
        expect(page.get_by_text(words, exact=True)).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_pages_are_whole_without_javascript(browser: Browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(site)

    expect(page.get_by_role("heading", level=1)).to_have_text("Spent this month")
    page.get_by_role("navigation").get_by_role("link", name="Features").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("chat")
    context.close()


@pytest.mark.parametrize("path", [*PAGES, *MORE])
def test_no_page_is_heavy(site: str, path: str) -> None:
    assert len(urllib3.request("GET", site + path, timeout=60).data) < 100_000


@pytest.mark.parametrize("path", [*PAGES, *MORE])
def test_a_page_is_accessible_and_fits_phones_and_paper(page: Page, site: str, path: str) -> None:
    page.goto(site + path)

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    for width in (320, 390, 1024, 720):
        page.emulate_media(media="print" if width == 720 else "screen")
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(WIDER_THAN_SHOWN) == []
