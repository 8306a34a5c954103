from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from overview_sample import NOVEMBER, TAKEN_AT, budget_line, burn_up, sample_overview
from taximeter_analysis.findings import Confidence, Finding
from taximeter_api.overview import Feature, Overview, Rise
from taximeter_api.page import CSP, render
from taximeter_api.page.environment import VERSION
from taximeter_collector.store import Period, SpendRow

DASH = "\N{EN DASH}"
NOW = TAKEN_AT + timedelta(seconds=3)
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "x" * 300, "ميزة البحث"]


class Document(HTMLParser):
    """Reads a page: its words, its tags and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        closed = (self.get_starttag_text() or "").endswith("/>")
        if tag not in {"meta", "link", "img", "input"} and not closed:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"} & set(self._inside):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def page(overview: Overview, **options: Any) -> str:
    return render(overview, now=NOW, **options)


def text(**fields: Any) -> str:
    return Document(page(sample_overview(**fields))).text


def test_the_page_says_what_was_spent_and_where_that_leads() -> None:
    words = text()

    assert "Spent this month $650 On course for $884 by 30 November, $34 over budget." in words
    assert "The $850 limit is reached on 29 November." in words
    for figure in (
        "of $850 budget 76 %",
        "yesterday $23.63",
        "calls this month 139k",
        "per 1,000 calls $4.68",
        "$3.21 of this is estimated, where usage was lost.",
    ):
        assert figure in words


def test_the_page_shows_features_budgets_models_users_and_the_last_day() -> None:
    words = text()

    for line in (
        "support-chat $241.59 37 % +14 % 27.0k $8.96 19 % 2.1 % 10.8 s",
        f"doc-search $0.44 <1 % {DASH} 53.6k $0.0082 {DASH} 2.1 % 239 ms",
        "Code review bot $150 of $160 93 %",
        "gpt-4o $414.54 139M tok",
        "svc-batch nightly-reports 38.1k calls $125.87",
        "calls 50.0k succeeded 98.02 % rate limited (429) 1.14 % p95 latency 28.6 s",
        "median time to first token 423 ms input tokens cached by OpenAI 9 %",
        "Last call 4 s ago November 2026",
        "Prices: book a1b2c3d4e5f6 · All times UTC · "
        "Week on week: the last 7 whole days against the 7 before Taken 3 s ago",
    ):
        assert line in words


@pytest.mark.parametrize(
    ("month", "sentence"),
    [
        (burn_up(limit=None), "On course for $884 by 30 November."),
        (
            burn_up(forecast=None, limit_reached_at=None),
            "Too early to say where it will stand on 30 November.",
        ),
        (
            burn_up(forecast="700", limit_reached_at=None),
            "On course for $700 by 30 November, $150 under budget.",
        ),
        (
            burn_up(forecast="700", forecast_high=Decimal(1900), limit_reached_at=None),
            "On course for $700 by 30 November, $150 under budget, but it may reach $1,900.",
        ),
        (
            burn_up(forecast="700", forecast_high=Decimal(850), limit_reached_at=None),
            "On course for $700 by 30 November, $150 under budget.",
        ),
        (
            burn_up(forecast="850", limit_reached_at=None),
            "On course for $850 by 30 November, exactly its budget.",
        ),
        (
            burn_up(spent="850", forecast="1100", limit_reached_at=None),
            "The $850 budget is used up. On course for $1,100 by 30 November.",
        ),
        (
            burn_up(spent="900", forecast="1100", limit_reached_at=None),
            "Already $50 over the $850 budget. On course for $1,100 by 30 November.",
        ),
        (
            burn_up(limit_reached_at=datetime(2026, 11, 22, 21, 30, tzinfo=UTC)),
            "$34 over budget. The $850 limit is reached today at 21:30.",
        ),
    ],
)
def test_the_sentence_fits_the_month(month: Any, sentence: str) -> None:
    assert sentence in text(burn_up=month)


@pytest.mark.parametrize(("high", "is_green"), [("850", True), ("850.01", False), ("1900", False)])
def test_a_month_is_under_budget_in_green_only_while_the_upper_end_of_its_range_is(
    high: str, is_green: bool
) -> None:
    month = burn_up(forecast="700", forecast_high=Decimal(high), limit_reached_at=None)

    html = page(sample_overview(burn_up=month))

    assert ('<strong class="under">' in html) == is_green
    assert "$150 under budget" in Document(html).text


def test_no_month_is_told_as_under_budget_while_another_budget_of_all_spend_is_used_up() -> None:
    month = burn_up(forecast="700", limit_reached_at=None)
    week, search = (replace(budget_line(name, "40", "40"), period="a week") for name in "WS")

    html = page(sample_overview(burn_up=month, budgets=(search, replace(week, is_of_all=True))))

    assert "$150 under its budget, but W is used up." in Document(html).text
    assert '<strong class="under">' not in html


def test_what_rose_and_what_would_save_money_is_told_before_the_details() -> None:
    week = SpendRow.nothing()
    rise = Rise(
        feature="code-review-bot",
        now=week._replace(cost=Decimal("20.58"), calls=329),
        before=week._replace(cost=Decimal("8.10"), calls=139),
    )
    saving = Finding(
        kind="batch",
        feature="nightly-reports",
        model="o4-mini",
        advice="send calls that nobody waits for through the Batch API",
        evidence="100% of its calls name no user",
        usd_a_month=Decimal("62.4"),
        confidence=Confidence.HIGH,
    )

    words = text(rise=rise, savings=(saving,))

    assert (
        "code-review-bot costs 2.5 times what it did the week before: $12.48 more in the last "
        "7 whole days. 329 calls after 139, at $0.0626 a call after $0.0583. See these days "
        "Save up to $62.40 a month counted from your own calls All findings "
        "$62.40 a month nightly-reports: send calls that nobody waits for through the Batch API "
        "100% of its calls name no user · o4-mini high confidence Spend per day by feature"
    ) in words
    assert "costs 2.5 times" not in text()
    assert "Save up to" not in text()


def test_calls_without_a_price_make_every_total_a_lower_bound() -> None:
    words = text(unpriced_calls=12)

    assert (
        "12 calls have no known cost (no price for the model, or no usage in the answer): "
        "every total is at least what is shown."
    ) in words
    assert "Spent this month at least $650 On course for at least $884 by 30 November" in words
    assert "at least $34 over budget. The $850 limit is reached by 29 November." in words
    assert "of $850 budget at least 76 %" in words
    assert "no known price" not in text()


def test_what_apps_lost_is_said_where_it_is_missing() -> None:
    words = text(lost_spans={"exports": 1200, "": 1})

    assert (
        "1,200 calls of exports, 1 call of an app without a name did not arrive: "
        "every total is at least what is shown."
    ) in words
    assert "did not arrive" not in text()


def test_a_forecast_without_all_prices_does_not_promise_what_is_left() -> None:
    month = burn_up(forecast="700", limit_reached_at=None)

    words = text(unpriced_calls=1, burn_up=month)

    assert "1 call has no known cost" in words
    assert "On course for at least $700 by 30 November, up to $150 under budget." in words
    month = burn_up(forecast="700", forecast_high=Decimal(1900), limit_reached_at=None)
    words = text(unpriced_calls=1, burn_up=month)
    assert "up to $150 under budget, but it may reach $1,900 or more." in words


def test_an_unpriced_line_is_a_lower_bound_or_unknown_but_never_0() -> None:
    some, none, *rest = sample_overview().features
    unknown = none.sums._replace(unpriced_calls=none.sums.calls, cost=Decimal(0))
    features = (
        replace(some, sums=some.sums._replace(unpriced_calls=3)),
        replace(none, sums=unknown, last_30_days=(Decimal(0),) * 30, share=0.0),
        *rest,
    )

    html = page(sample_overview(features=features, unpriced_calls=12))

    words = Document(html).text
    assert "support-chat at least $241.59 37 % +14 % 27.0k $8.96" in words
    assert f"code-review-bot unknown {DASH} {DASH} +159 % 3.2k {DASH}" in words
    assert "per 1,000 calls $4.68" in words
    assert html.count('class="spark"') == len(features) - 1


def test_a_month_without_any_price_is_unknown_and_never_0() -> None:
    month = burn_up(spent="0", forecast="0", alerts=(), limit_reached_at=None)

    words = text(
        spent=Decimal(0),
        yesterday=Decimal(0),
        yesterday_unpriced_calls=7,
        per_1000_calls=None,
        estimated_cost=Decimal(0),
        unpriced_calls=7,
        burn_up=month,
        budgets=(budget_line("All", "0", "850", unpriced_calls=7),),
    )

    assert "Spent this month unknown Too early to say where it will stand" in words
    assert "of $850 budget unknown yesterday unknown" in words
    assert "All unknown of $850 Models" in words
    assert "$0 " not in words


def test_what_is_not_known_is_a_dash_that_says_why() -> None:
    day = replace(
        sample_overview().last_24_hours,
        calls=0,
        errors=0,
        rate_limited=0,
        p95_ms=None,
        median_ttft_ms=None,
        input_tokens=0,
        cached_input_tokens=0,
    )

    html = page(sample_overview(last_24_hours=day, per_1000_calls=None))

    assert (
        f"calls 0 succeeded {DASH} rate limited (429) {DASH} p95 latency {DASH}"
        in Document(html).text
    )
    assert f"per 1,000 calls {DASH}" in Document(html).text
    assert f'<span class="none" title="no streamed calls">{DASH}</span>' in html


def test_without_a_budget_the_page_says_how_to_add_one() -> None:
    words = text(burn_up=burn_up(limit=None), budgets=())

    assert "Add one to budgets.yaml" in words
    assert "over budget" not in words
    assert "Budgets All budgets None yet. A budget in budgets.yaml" in words


def test_an_empty_store_says_how_to_meter_an_app() -> None:
    html = page(sample_overview(last_call_at=None), endpoint="http://meter:4318")

    words = Document(html).text
    assert (
        'pip install "taximeter[otlp]" export TAXIMETER_ENDPOINT=http://meter:4318'
        " taximeter-instrument python app.py"
    ) in words
    assert "$0" not in words
    assert "<table" not in html


@pytest.mark.parametrize("name", [*HOSTILE, "\u202egnp", "a\x00b", "\ud800", "{{ 7*7 }}"])
def test_names_from_users_data_stay_text(name: str) -> None:
    sample = sample_overview()
    harmless = [tag for tag, _ in Document(page(sample)).tags]

    html = page(named(sample, name))

    document = Document(html)
    assert [tag for tag, _ in document.tags] == harmless
    assert not any(key.startswith("on") for _, attrs in document.tags for key in attrs)
    assert html.encode("utf-8")


def of(name: str, row: SpendRow) -> SpendRow:
    return row._replace(key=(name,))


def called(feature: Feature, name: str, **measures: Any) -> Feature:
    return replace(feature, sums=of(name, feature.sums)._replace(**measures))


def named(overview: Overview, name: str) -> Overview:
    first, *rest = overview.features
    return replace(
        overview,
        features=(called(first, name), *rest),
        days=tuple(
            (day, {name if key == first.name else key: usd for key, usd in spend.items()})
            for day, spend in overview.days
        ),
        budgets=(replace(overview.budgets[0], name=name), *overview.budgets[1:]),
        models=(of(name, overview.models[0]), *overview.models[1:]),
        users=((of(name, overview.users[0][0]), name), *overview.users[1:]),
    )


def test_a_call_without_a_feature_is_of_no_feature() -> None:
    assert "(none) $241.59" in Document(page(named(sample_overview(), ""))).text


def overviews() -> dict[str, Overview]:
    sample = sample_overview()
    return {
        "sample": sample,
        "empty": sample_overview(last_call_at=None),
        "no budget": sample_overview(burn_up=burn_up(limit=None), budgets=()),
        "unpriced": sample_overview(unpriced_calls=12),
        "nothing this month": sample_overview(features=(), models=(), users=(), days=()),
        "hostile": named(sample, HOSTILE[1]),
    }


@pytest.mark.parametrize("name", overviews())
def test_a_page_asks_for_nothing_of_others_and_runs_nothing_but_its_refresh(name: str) -> None:
    html = page(overviews()[name])

    attributes = {key: value for _, attrs in Document(html).tags for key, value in attrs.items()}
    links = [attrs.get("href") or "" for _, attrs in Document(html).tags if "href" in attrs]
    assert "style" not in attributes
    assert re.findall("<script.*?</script>", html, re.DOTALL) == [
        f'<script src="/live.js?{VERSION}" defer></script>'
    ]
    own = ("/", "data:image/svg+xml,")
    assert all(link.startswith(own) and not link.startswith("//") for link in links)
    assert not re.findall(r"https?://(?!127\.0\.0\.1)", html)
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize("name", overviews())
def test_the_policy_allows_the_style_of_the_page_and_no_other(name: str) -> None:
    (style,) = re.findall("<style>(.*?)</style>", page(overviews()[name]), re.DOTALL)

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        f"default-src 'none'; style-src 'sha256-{digest}'; script-src 'self';"
        " connect-src 'self'; img-src 'self' data:;"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ) == CSP


def many_features(number: int) -> Overview:
    sample = sample_overview()
    names = [f"feature-{index:02}-with-a-rather-long-name" for index in range(number)]
    costs = [Decimal(60) / (index + 1) for index in range(number)]
    return replace(
        sample,
        features=tuple(
            called(sample.features[0], name, cost=cost)
            for name, cost in zip(names, costs, strict=True)
        ),
        days=tuple((day, dict(zip(names, costs, strict=True))) for day, _ in sample.days),
    )


def test_fifty_features_fold_and_the_page_stays_small() -> None:
    html = page(many_features(50))

    words = Document(html).text
    assert "42 others last 30 days" in words
    assert "feature-11-with-a-rather-long-name" in words
    assert "feature-12-with-a-rather-long-name" not in words
    assert "and 38 more features" in words
    assert len(html.encode()) < 100_000


def test_long_names_of_wide_characters_do_not_make_the_page_heavy() -> None:
    overview = many_features(50)
    wide = "\N{GRINNING FACE}" * 300
    names = {feature.name: f"{feature.name[:10]}{wide}" for feature in overview.features}

    html = page(
        replace(
            overview,
            features=tuple(called(one, names[one.name]) for one in overview.features),
            days=tuple(
                (day, {names[name]: usd for name, usd in spend.items()})
                for day, spend in overview.days
            ),
            budgets=tuple(replace(one, name=wide) for one in overview.budgets),
            models=tuple(of(wide, one) for one in overview.models),
            users=tuple((of(wide, one), wide) for one, _ in overview.users),
        )
    )

    assert len(html.encode()) < 100_000


def test_a_feature_of_last_month_is_named_beside_the_chart() -> None:
    assert "doc-search last 30 days" in text(features=sample_overview().features[:-1])


def test_the_dearest_budget_comes_first_and_what_is_not_reached_is_not_said() -> None:
    words = text(budgets=(budget_line("A", "1", "100"), budget_line("B", "99.999", "100")))

    assert "B $100.00 of $100 99 % A $1 of $100 1 %" in words


def links(html: str) -> list[tuple[str, str]]:
    """Return the words of each link and where it leads."""
    found = re.findall(r'<a[^>]* href="([^"]+)"[^>]*>(.*?)</a>', html, re.DOTALL)
    return [(Document(words).text, unescape(path)) for path, words in found]


def links_to(start: str, html: str) -> list[str]:
    hrefs = [attrs.get("href") or "" for tag, attrs in Document(html).tags if tag == "a"]
    return [href for href in hrefs if href.startswith(start)]


@pytest.mark.parametrize(("feature", "links"), [("chat", 1), ("x" * 300, 0)])
def test_a_rise_links_to_its_week_or_to_nothing(feature: str, links: int) -> None:
    row = SpendRow.nothing()._replace(calls=10, cost=Decimal(10))
    rise = Rise(feature=feature, now=row._replace(cost=Decimal(20)), before=row)

    found = links_to(f"/features?feature={feature}", page(sample_overview(rise=rise, features=())))

    assert found == [f"/features?feature={feature}&from=2026-11-15&to=2026-11-22"] * links


def test_numbers_lead_to_the_calls_behind_them() -> None:
    (line,) = budgets = (replace(budget_line("chat"), calls="?feature=chat"),)
    overview = sample_overview(features=(), models=(), users=(), budgets=budgets)
    html = page(overview)

    day = "/calls?from=2026-11-21T10%3A00%3A00%2B00%3A00"
    assert [one for one in links(html) if one[1].startswith("/calls")][1:] == [
        ("$650", "/calls"),
        ("139k", "/calls"),
        ("$4.68", "/calls"),
        ("$3.21", "/calls?only=estimated"),
        ("$650 of $850", f"/calls{line.calls}"),
        ("50.0k", day),
        ("98.02 %", day),
        ("1.14 %", f"{day}&only=rate_limited"),
        ("28.6 s", day),
        ("423 ms", day),
        ("9 %", day),
    ]


def test_the_overview_is_red_where_other_pages_are() -> None:
    feature = sample_overview().features[0]
    fine, bad = (
        replace(feature, week_on_week=change, sums=feature.sums._replace(calls=1000, errors=errors))
        for change, errors in ((0.49, 49), (0.5, 50))
    )

    html = page(sample_overview(features=(fine, bad)))

    red = re.findall(r'<td class="(?:wide )?(over|soft)">\s*<a[^>]*>([^<]+)<', html)
    assert red == [("soft", "+49 %"), ("soft", "4.9 %"), ("over", "+50 %"), ("over", "5.0 %")]


def test_it_is_said_how_many_models_are_not_shown() -> None:
    model = sample_overview().models[0]
    some = tuple(of(f"model-{number}", model) for number in range(9))

    assert ("3 more models", "/models") in links(page(sample_overview(models=some)))
    assert "more model" not in text(models=some[:6])


def test_the_share_that_succeeded_does_not_lead_to_those_that_failed() -> None:
    assert links_to("/calls?only=errors", page(sample_overview())) == []


def test_a_saving_links_to_the_two_weeks_that_it_is_counted_from() -> None:
    saving = Finding(
        kind="batch",
        feature="chat",
        model="gpt-4o",
        advice="an advice",
        evidence="an evidence",
        usd_a_month=Decimal(5),
        confidence=Confidence.LOW,
    )

    dollars, link = links_to(
        "/calls?feature=", page(sample_overview(savings=(saving,), features=()))
    )

    ends = "&from=2026-11-08T10%3A40%3A00%2B00%3A00&to=2026-11-22T10%3A40%3A00%2B00%3A00"
    assert dollars == link == f"/calls?feature=chat&model=gpt-4o{ends}"


@pytest.mark.parametrize(
    ("zone", "start", "since", "before"),
    [
        ("UTC", NOVEMBER.start, "", ("2026-10-01T00:00:00+00:00", "2026-11-01T00:00:00+00:00")),
        (
            "Europe/Berlin",
            datetime(2026, 10, 31, 23, tzinfo=UTC),
            "?from=2026-11-01T00%3A00%3A00%2B01%3A00",
            ("2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        ),
    ],
)
def test_the_month_and_the_one_before_lead_to_what_was_spent(
    zone: str, start: datetime, since: str, before: tuple[str, str]
) -> None:
    month = burn_up(period=Period(start, NOVEMBER.end))

    header = page(sample_overview(zone=zone, burn_up=month)).partition("<nav")[0]

    ends = "&".join(map("=".join, zip(("from", "to"), map(quote, before), strict=True)))
    assert links(header)[-2:] == [
        ("November 2026", f"/features{since}"),
        ("October 2026", f"/features?{ends}"),
    ]


def test_numbers_of_a_month_in_a_zone_lead_to_that_month() -> None:
    start = datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    month = burn_up(period=Period(start, datetime(2026, 11, 30, 18, 30, tzinfo=UTC)))
    html = page(sample_overview(zone="Asia/Kolkata", burn_up=month, unpriced_calls=1))

    since = "from=2026-11-01T00%3A00%3A00%2B05%3A30"
    links = [
        link
        for path in ("/calls", "/features", "/models", "/users")
        for link in links_to(path, html.partition("<main")[2].partition("Last 24 hours")[0])
        if "&to=" not in link
    ]
    assert {"/calls?only=unpriced&" + since, f"/features?{since}"} < set(links)
    assert [link for link in links if since not in link] == []


def test_the_page_can_be_read_aloud() -> None:
    document = Document(page(sample_overview(unpriced_calls=2)))

    tags = [tag for tag, _ in document.tags]
    assert (tags.count("h1"), tags.count("main"), tags.count("header"), tags.count("footer")) == (
        1,
    ) * 4
    assert all("scope" in attrs for tag, attrs in document.tags if tag == "th")
    ids = {attrs["id"] for _, attrs in document.tags if "id" in attrs}
    for tag, attrs in document.tags:
        if tag == "section":
            assert {"aria-label", "aria-labelledby"} & attrs.keys()
        assert set((attrs.get("aria-labelledby") or "").split()) <= ids


def test_times_are_told_in_the_zone_of_the_month() -> None:
    words = text(zone="Asia/Kolkata")

    assert "Month and times in Asia/Kolkata, days in UTC" in words
