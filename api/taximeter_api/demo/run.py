"""`taximeter demo`: the whole way from a call to a chart and a Slack message, on this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import urllib3
from rich.console import Console
from rich.panel import Panel

from taximeter_alerts.channels.slack import plain
from taximeter_api.commands.service import ServiceAway, ServiceRefused, ask
from taximeter_api.commands.terminal import working
from taximeter_api.demo import history
from taximeter_api.demo.books import FORGOTTEN_KEY, ServedBooks
from taximeter_api.demo.fake_account import admin_routes
from taximeter_api.demo.fake_openai import Answer, Answering, Body, fake_openai, serving
from taximeter_api.demo.processes import environment_with, running, script, taken
from taximeter_api.demo.slack import fake_slack
from taximeter_api.imports.rows import ImportRefused
from taximeter_api.imports.sending import Receiver
from taximeter_api.page.format import money
from taximeter_collector.settings import PREFIX, Settings, read_settings

PATIENCE_S: Final = 60.0
FIRST_DAY_USD: Final = Decimal("1.5")
"""More than twice half of what the sample app spends, and less than twice all."""
SAMPLE_APP: Final = Path(__file__).with_name("sample_app.py")


class DemoFailed(Exception):
    """Something that the demo shows did not happen."""


@dataclass
class Demo:
    """One run: what it talks to and what it has seen."""

    settings: Settings
    """Of the service."""
    openai_url: str
    messages: list[dict[str, Any]]
    books: ServedBooks
    console: Console

    def spend(self, **words: str) -> Mapping[str, Any]:
        return ask(self.settings, "GET", "/api/spend", list(words.items()))

    def page(self, path: str = "") -> bytes:
        return urllib3.request("GET", f"{self.settings.page_url}{path}", timeout=10).data


def run_demo(*, once: bool) -> int:
    """Run the demo; return the exit status."""
    console = Console(highlight=False)
    # Ended from outside it must end its service, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            demo = _start(stack, console)
            _show(demo)
            if once:
                return 0
            console.print(f"\n  Open [bold]{demo.settings.page_url}[/]\n")
            console.print("Running until Ctrl-C; a sample app keeps calling.")
            with _sample_app(demo, "--endless") as app:
                app.wait()
    except (DemoFailed, ServiceAway, ServiceRefused, ImportRefused) as failure:
        console.print(f"[bold red]The demo failed:[/] {failure}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
    return 0


def _show(demo: Demo) -> None:
    began = time.monotonic()
    sent = _back_fill(demo)
    history_total = _until("the history to be priced", lambda: _total_of(demo, calls=sent))
    _say(
        demo,
        "history",
        f"{sent:,} calls of {history.DAYS} days, {money(Decimal(history_total['cost']))}",
    )
    limit = _set_budgets(demo)
    with _sample_app(demo) as app:
        output, _ = app.communicate(timeout=60)
    if app.returncode:
        raise DemoFailed(f"the sample app ended with {app.returncode}")
    calls = int(output)
    total = _until("its calls", lambda: _total_of(demo, calls=sent + calls))
    live = Decimal(total["cost"]) - Decimal(history_total["cost"])
    errors = total["errors"] - history_total["errors"]
    _say(demo, "live calls", f"{calls} through the real SDK, {money(live)}, {errors} errors")
    _until("the Slack message", lambda: demo.messages)
    _say(demo, "Slack", f"{len(demo.messages)} message: 50 % of the {money(limit)} budget")
    demo.console.print(Panel("\n".join(plain(demo.messages[0])), title="#llm-costs", width=90))
    for row in demo.spend(group_by="feature")["rows"][:4]:
        _say(demo, row["feature"], f"{money(Decimal(row['cost']))} this month")
    _reconcile(demo)
    # Whoever looks at it from the start sees what was known a moment before.
    page = _until("the features on the page", lambda: _page_with_features(demo))
    seconds = time.monotonic() - began
    _say(demo, "page", f"{len(page) / 1000:.0f} KB, {seconds:.1f} s from the first call")


def _page_with_features(demo: Demo) -> bytes:
    page = demo.page()
    return page if b"code-review-bot" in page else b""


def _start(stack: ExitStack, console: Console) -> Demo:
    """Start the fakes and the service; everything ends with the stack."""
    folder = Path(tempfile.mkdtemp(prefix="taximeter-demo-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    messages: list[dict[str, Any]] = []
    books = ServedBooks(datetime.now(UTC))
    openai = fake_openai(_answering(books), admin_routes(books))
    openai_url = stack.enter_context(serving(openai))
    slack_url = stack.enter_context(serving(fake_slack(messages)))
    settings = {
        "DATA_DIR": str(folder / "data"),
        "BUDGETS": str(folder / "budgets.yaml"),
        "PRICES": str(folder / "prices.yaml"),
        "SLACK_WEBHOOK_URL": f"{slack_url}/services/T000/B000/demo",
        "OPENAI_URL": f"{openai_url}/v1",
        "OPENAI_ADMIN_KEY": "sk-admin-demo",
        "LOG_LEVEL": "warning",
    }
    # The fake of OpenAI stands where a gateway of a company would.
    (folder / "prices.yaml").write_text("hosts: {127.0.0.1: openai}\n", encoding="utf-8")
    variables = taken() | {f"{PREFIX}{name}": value for name, value in settings.items()}
    demo = Demo(read_settings(variables), openai_url, messages, books, console)
    command = [sys.executable, "-m", "taximeter_api", "serve"]
    service = stack.enter_context(running(command, environment_with(variables)))
    with demo.console.status("starting the service"):
        _until("the service", lambda: _is_ready(demo, service))
    return demo


def _back_fill(demo: Demo) -> int:
    """Send the history through the same door as live calls; return the number of calls."""
    now = datetime.now(UTC)
    bodies = list(history.requests(now))
    receiver = Receiver(demo.settings)
    with working(f"sending {history.DAYS} days of history", "requests") as tell:
        for number, (body, _) in enumerate(bodies, 1):
            receiver.take(body)
            demo.books.serve_history(body)
            tell(number, len(bodies))
    receiver.take(history.too_old(now))
    return sum(spans for _, spans in bodies)


def _set_budgets(demo: Demo) -> Decimal:
    """Write budgets of which the first one's half lies just above what is spent; return it."""
    rows = {row["feature"]: Decimal(row["cost"]) for row in demo.spend(group_by="feature")["rows"]}
    spent = sum(rows.values(), Decimal(0))
    # As a month begins, what the sample app spends would pass three quarters of a round amount.
    limit = Decimal(round(2 * spent) + 1 if spent > 2 else round(2 * spent, 2) + FIRST_DAY_USD)
    reviews, support = rows.get("code-review-bot", Decimal(0)), rows.get("support-chat", Decimal(0))
    text = f"""\
budgets:
  - name: Everything
    amount: {limit}
  - name: Code review bot
    amount: {int(reviews / Decimal("0.8")) + 10}
    scope: {{feature: code-review-bot}}
    thresholds: [90, 100]
  - name: Support chat
    amount: {int(support / Decimal("0.6")) + 10}
    scope: {{feature: support-chat}}
    thresholds: [75, 90, 100]
"""
    demo.settings.budgets.write_text(text, encoding="utf-8")
    return limit


def _reconcile(demo: Demo) -> None:
    """Compare with the fake's bill, in the month of the newest day that is final."""
    month = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m}"
    told = ask(demo.settings, "POST", "/api/reconciliation", [("month", month)])
    unseen = [cause for cause in told["causes"] if cause["kind"] == "unseen"]
    if not unseen or FORGOTTEN_KEY.name.encode() not in demo.page("/reconciliation"):
        raise DemoFailed("the reconciliation does not name the key that was not metered")
    usd = sum((Decimal(cause["usd"]) for cause in unseen), Decimal(0))
    _say(demo, "OpenAI's bill", f"{money(usd)} more: {FORGOTTEN_KEY.name} was never metered")


def _answering(books: ServedBooks) -> Answering:
    def answer(path: str, body: Body) -> Answer:
        decided = _answer(path, body)
        if decided.status < 400:
            output = 0 if path.endswith("embeddings") else decided.output_tokens
            counts = (decided.input_tokens, decided.cached_tokens, output)
            books.serve(str(body["model"]), *counts, at=datetime.now(UTC))
        return decided

    return answer


def _answer(_path: str, body: Body) -> Answer:
    """Decide for the fake OpenAI: token counts as such calls have them."""
    if body.get("max_tokens") == -1:
        return Answer(status=400)
    sizes = {
        "gpt-4o": Answer(input_tokens=4180, cached_tokens=2560, output_tokens=402, delay_s=0.05),
        "gpt-5": Answer(input_tokens=21240, output_tokens=3580, reasoning_tokens=2048),
        "gpt-4o-mini": Answer(input_tokens=9630, cached_tokens=5888, output_tokens=57),
        "text-embedding-3-small": Answer(input_tokens=236),
    }
    return sizes[str(body["model"])]


@contextmanager
def _sample_app(demo: Demo, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [script("taximeter-instrument"), sys.executable, str(SAMPLE_APP), *arguments]
    environment = environment_with(
        {
            "OPENAI_BASE_URL": f"{demo.openai_url}/v1",
            "OPENAI_API_KEY": "sk-proj-of-the-sample-app-demo",
            "TAXIMETER_ENDPOINT": demo.settings.otlp_url,
            "TAXIMETER_ENVIRONMENT": "production",
            "OTEL_SERVICE_NAME": "webapp",
        }
    )
    with running(command, environment) as process:
        yield process


def _is_ready(demo: Demo, service: subprocess.Popen[str]) -> bool:
    if service.poll() is not None:
        raise DemoFailed(f"the service ended with {service.returncode}")
    try:
        return bool(ask(demo.settings, "GET", "/readyz"))
    except (ServiceAway, ServiceRefused):
        return False


def _total_of(demo: Demo, *, calls: int) -> Mapping[str, Any] | None:
    """Return the total of history and what came since, once it has so many calls."""
    start = datetime.now(UTC) - timedelta(days=history.DAYS + 2)
    total: Mapping[str, Any] = demo.spend(**{"from": start.isoformat()})["total"]
    if total["calls"] > calls:
        raise DemoFailed(f"{total['calls']} calls were counted, {calls} were made")
    return total if total["calls"] == calls else None


def _until(what: str, look: Any) -> Any:
    """Look again and again until there is something."""
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        if time.monotonic() > end:
            raise DemoFailed(f"{what} did not come within {PATIENCE_S:.0f} s")
        time.sleep(0.1)
    return found


def _say(demo: Demo, what: str, text: str) -> None:
    demo.console.print(f"  [green]✓[/] {what:<16} {text}")
