"""`taximeter report`, asked of a service over HTTP."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from api.test_cli import taximeter
from builders import costing, unpriced
from receivers import Mailbox, mail_server
from taximeter_api.commands.report import sparks
from taximeter_api.demo.fake_openai import serving
from taximeter_api.routes import spend_api
from taximeter_collector.labels import label
from taximeter_collector.store import Store


@pytest.fixture
def port(store: Store) -> Iterator[str]:
    now = datetime.now(UTC)
    rows = [
        costing("6", ts=now, feature="chat"),
        costing("2", ts=now, feature="chat", error_type="x"),
        costing("0.000000000001", ts=now, feature="search"),
        unpriced(ts=now, feature="new"),
    ]
    store.add(rows, token=f"report-{now}", book_version="b", now=now)
    app = FastAPI()
    app.include_router(spend_api(store))
    with serving(app) as url:
        yield str(urlsplit(url).port)


def test_a_month_is_a_table_with_the_dearest_first(port: str) -> None:
    told = taximeter("report", PORT=port)

    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert "at least $8.00, 4 calls" in lines[0]
    assert "per 1,000 calls is of those with a known cost" in " ".join(told.stdout.split())
    chat = next(line for line in lines if "chat" in line)
    assert all(word in chat for word in ("$8.00", ">99 %", "50.0 %", "█"))
    assert "unknown" in next(line for line in lines if "new" in line)


def test_a_name_that_begins_like_a_formula_is_text_in_csv_and_money_is_not(
    port: str, store: Store
) -> None:
    now = datetime.now(UTC)
    rows = [costing("1", ts=now, feature="=cmd|x"), costing("-2.5", ts=now, feature="-less")]
    store.add(rows, token=f"formulas-{now}", book_version="b", now=now)

    told = list(csv.DictReader(taximeter("report", "--csv", PORT=port).stdout.splitlines()))

    costs = {row["feature"]: row["cost"] for row in told}
    assert costs["'=cmd|x"] == "1.000000000000"
    assert costs["'-less"] == "-2.500000000000"


OCTOBER = datetime(2025, 10, 20, 12, tzinfo=UTC)
LONG = "contract-summary-of-weeks"


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        ("120", ["Feature", "Cost", "Share", "Calls", "Per", "1,000", "Errors", "Days"]),
        ("80", ["Feature", "Cost", "Share", "Calls", "Per", "1,000", "Errors"]),
        ("50", ["Feature", "Cost", "Share", "Calls"]),
        ("40", ["Feature", "Cost"]),
    ],
)
def test_on_a_narrow_terminal_columns_leave_and_money_and_names_stay_whole(
    port: str,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    headings: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = [costing("1234.56", ts=OCTOBER, feature=LONG), unpriced(ts=OCTOBER, feature="chat")]
    store.add(rows, token="narrow", book_version="b", now=OCTOBER)

    told = taximeter("report", "--month", "2025-10", PORT=port)
    lines = told.stdout.splitlines()

    assert told.returncode == 0, told.stderr
    assert max(map(len, lines)) <= int(columns)
    heading = next(line for line in lines if "Feature" in line)
    assert heading.split() == headings
    row = next(line for line in lines if LONG in line)
    assert "$1,234.56" in row


def test_every_digit_is_in_json_and_csv(port: str) -> None:
    as_json = json.loads(taximeter("report", "--by", "feature", "--json", PORT=port).stdout)
    rows = list(csv.DictReader(taximeter("report", "--csv", PORT=port).stdout.splitlines()))

    assert [row["feature"] for row in as_json["rows"]] == ["chat", "search", "new"]
    assert {row["feature"]: (row["cost"], row["cost_is_complete"]) for row in rows} == {
        "chat": ("8.000000000000", "True"),
        "search": ("0.000000000001", "True"),
        "new": ("", "False"),
    }


def test_dimensions_may_be_repeated_or_told_by_commas(port: str) -> None:
    repeated = taximeter("report", "--by", "feature", "--by", "model", "--json", PORT=port)
    by_commas = taximeter("report", "--by", "feature,model", "--json", PORT=port)

    assert repeated.stdout == by_commas.stdout
    assert json.loads(repeated.stdout)["rows"][0].keys() >= {"feature", "model"}


def test_versions_are_of_their_prompts(port: str, store: Store) -> None:
    now = datetime.now(UTC)
    prompts = {"answer": "3", "summary": "4"}
    rows = [
        costing(cost, ts=now, prompt_name=prompt, prompt_version="v1")
        for prompt, cost in prompts.items()
    ]
    store.add(rows, token=f"prompts-{now}", book_version="b", now=now)
    for by in ("prompt_version", "prompt_name,prompt_version"):
        shown = taximeter("report", "--by", by, PORT=port)
        assert shown.returncode == 0, shown.stderr
        told = shown.stdout
        assert "Prompt name, prompt version" in told
        assert ["$3.00" in line for line in told.splitlines() if "answer, v1" in line] == [True]
        assert ["$4.00" in line for line in told.splitlines() if "summary, v1" in line] == [True]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--by", "colour"), "--by=colour: give some of api_key"),
        (("--json", "--csv"), "--json and --csv: give one of them"),
        (("--bogus",), "No such option: --bogus: see taximeter report --help"),
        (("--month", "soon"), "month='soon': give a month like 2026-11"),
        ((), "no service answers"),
    ],
)
def test_what_can_not_be_told_says_why(options: tuple[str, ...], says: str) -> None:
    refused = taximeter("report", *options, PORT="9")

    assert refused.returncode == 2
    assert says in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_days_are_drawn_as_high_as_their_spend() -> None:
    by_day = {f"2026-01-{day + 1:02}": Decimal(day) for day in range(8)}

    assert sparks(by_day, list(by_day)) == "▁▂▃▄▅▆▇█"
    assert sparks({}, list(by_day)) == ""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as taking:
        yield taking


def channels(tmp_path: Path, mailbox: Mailbox) -> str:
    path = tmp_path / "channels.yaml"
    path.write_text(
        "channels:\n  - {name: mail, kind: email, host: 127.0.0.1, "
        f"port: {mailbox.port}, tls: none, sender: meter@example.com, to: [oncall@example.com]}}\n"
    )
    return str(path)


def parts(mailbox: Mailbox) -> tuple[EmailMessage, str, str]:
    mail = message_from_bytes(mailbox.mails[-1], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    plain, html = (mail.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    return mail, plain.get_content(), html.get_content()


def test_a_month_is_mailed_to_those_named_and_nobody_else(
    port: str, mailbox: Mailbox, tmp_path: Path
) -> None:
    to = ("--email", "cfo@example.com", "--email", "Ada <ada@example.com>")
    sent = taximeter("report", *to, PORT=port, CHANNELS=channels(tmp_path, mailbox))

    assert (sent.returncode, sent.stderr) == (0, "")
    assert sent.stdout == "sent to cfo@example.com, Ada <ada@example.com>\n"
    assert mailbox.recipients == [["cfo@example.com", "ada@example.com"]]
    mail, plain, html = parts(mailbox)
    month = datetime.now(UTC).strftime("%B %Y")
    assert mail["Subject"] == f"Taximeter: {month} so far: at least $8.00, 4 calls"
    assert mail["From"] == "meter@example.com"
    for text in (plain, html):
        assert "$8.00" in text
        assert "1 call has no known cost" in text
        assert not re.search(r"\$0(\.0*)?(?![.\d])", text)
    assert re.search(r"new +unknown ", plain)
    assert "<bdi>new</bdi></th> <td" in html
    assert ">unknown</td>" in html


def test_what_no_mail_server_takes_says_why(port: str, mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.answers = ["554 never"]
    to = ("report", "--email", "cfo@example.com")
    refused = taximeter(*to, PORT=port, CHANNELS=channels(tmp_path, mailbox))
    nowhere = taximeter(*to, PORT=port, CHANNELS=str(tmp_path / "none.yaml"))
    malformed = taximeter("report", "--email", "cfo", PORT=port)
    both = taximeter(*to, "--csv", PORT=port)

    assert (refused.returncode, refused.stderr) == (
        1,
        "not sent: the mail server refuses the message: 554\n",
    )
    assert nowhere.returncode == 2
    assert (
        f"TAXIMETER_SERVER_CHANNELS={tmp_path}/none.yaml sets up no mail server" in nowhere.stderr
    )
    assert "kind email" in nowhere.stderr
    assert (malformed.returncode, both.returncode) == (2, 2)
    assert "--email=cfo: give an address" in malformed.stderr
    assert "leave out --json and --csv" in both.stderr


HOSTILE = ["</td><script>x</script>", "[/bold]:smile:", "\u202eabc", "x" * 3000, "🙂" * 200]


def test_no_name_breaks_a_report(port: str, store: Store, mailbox: Mailbox, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rows = [costing("6", ts=now, feature=label(name)) for name in HOSTILE]
    store.add(rows, token=f"hostile-{now}", book_version="b", now=now)

    shown = taximeter("report", PORT=port)
    sent = taximeter(
        "report", "--email", "a@example.com", PORT=port, CHANNELS=channels(tmp_path, mailbox)
    )

    assert (shown.returncode, sent.returncode) == (0, 0)
    assert "[/bold]:smile:" in shown.stdout
    _, plain, html = parts(mailbox)
    assert "[/bold]:smile:" in plain
    assert "</td><script>" not in html
    assert "\u202e" not in shown.stdout + plain + html
    assert len(html) < 8_000


def test_a_mail_of_many_rows_shows_the_dearest_and_says_so(
    port: str, store: Store, mailbox: Mailbox, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    rows = [costing("1", ts=now, user_id=f"u{number}") for number in range(60)]
    store.add(rows, token=f"many-{now}", book_version="b", now=now)
    options = ("--by", "user", "--email", "a@example.com")
    taximeter("report", *options, PORT=port, CHANNELS=channels(tmp_path, mailbox))

    _, plain, html = parts(mailbox)
    assert html.count('<th scope="row"') == 50
    assert "Only the 50 dearest of 61 are shown." in plain
