from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from overview_sample import NOVEMBER, burn_up, days
from taximeter_api.overview import AlertMark, BurnUp
from taximeter_api.page import burn_up as burn_ups
from taximeter_api.page import charts
from taximeter_api.page.charts import round_up, ticks
from taximeter_api.page.labels import overlap

UTC_ZONE = ZoneInfo("UTC")
FIRST_HOUR = NOVEMBER.start + timedelta(minutes=59)
LAST_HOUR = NOVEMBER.end - timedelta(minutes=1)
COLOURS = {"support-chat": "s0", "code-review-bot": "s1"}


def alert(percent: int, at: datetime, spent: str) -> AlertMark:
    return AlertMark(at=at, percent=percent, spent=Decimal(spent))


SAME_HOUR = tuple(alert(p, datetime(2026, 11, 9, 12, tzinfo=UTC), f"{p}0") for p in (50, 75, 90))
SHAPES = {
    "over budget": burn_up(),
    "far over budget": burn_up(spent="1800", forecast="2400", alerts=(50, 75, 90, 100)),
    "under budget": burn_up(spent="300", forecast="410", alerts=()),
    "far under budget": burn_up(spent="30", forecast="41", alerts=()),
    "exactly on budget": burn_up(spent="620", forecast="850"),
    "used up to the cent": burn_up(spent="850", forecast="850", alerts=(50, 75, 90, 100)),
    "no budget": burn_up(limit=None),
    "no forecast": burn_up(forecast=None),
    "first hour": burn_up(spent="0.42", forecast=None, now=FIRST_HOUR, alerts=()),
    "first hour with a forecast": burn_up(spent="1", forecast="880", now=FIRST_HOUR, alerts=()),
    "last hour": burn_up(spent="849", forecast="850", now=LAST_HOUR, alerts=(50, 75, 90)),
    "last hour, over": burn_up(
        spent="883", forecast="884", now=LAST_HOUR, alerts=(50, 75, 90, 100)
    ),
    "three alerts in one hour": replace(burn_up(spent="950", limit="1000"), alerts=SAME_HOUR),
    "nothing spent": burn_up(spent="0", forecast=None, limit=None),
    "no points yet": burn_up(points=(), forecast=None, alerts=()),
    "a forecast without its way": burn_up(forecast_points=()),
    "millions": burn_up(spent="6496931", forecast="8836200", limit="8500000.50"),
}


def drawn(view: BurnUp, unpriced_calls: int = 0) -> ElementTree.Element:
    svg = burn_ups.drawn(
        view, zone=UTC_ZONE, description="a <b> & c", unpriced_calls=unpriced_calls
    )
    return ElementTree.fromstring(str(svg))


def labels(svg: ElementTree.Element, group: str) -> dict[str, ElementTree.Element]:
    return {
        "".join(text.itertext()): text
        for text in svg.findall(f"./g[@class='{group}']/text[@class]")
    }


def box(text: ElementTree.Element, plot_width: int) -> tuple[float, float, float, float]:
    shift = re.fullmatch(r"translate\((-?\d+)\)", text.attrib["transform"])
    assert shift is not None
    start = float(text.attrib["x"].rstrip("%")) / 100 * plot_width + float(shift[1])
    length = len("".join(text.itertext())) * 7.2
    left = start - length if text.attrib["text-anchor"] == "end" else start
    baseline = float(text.attrib["y"])
    return left, baseline - 11, left + length, baseline + 3


@pytest.mark.parametrize(
    ("group", "plot_width"),
    [
        ("narrow", 214),
        ("narrow", 284),
        ("narrow", 400),
        ("wide", 440),
        ("wide", 640),
        ("wide", 680),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_label_of_the_burn_up_covers_another(shape: str, group: str, plot_width: int) -> None:
    for unpriced_calls in (0, 1):
        texts = labels(drawn(SHAPES[shape], unpriced_calls), group)

        for (one, first), (other, second) in itertools.combinations(texts.items(), 2):
            assert not overlap(box(first, plot_width), box(second, plot_width)), (one, other)


@pytest.mark.parametrize("group", ["wide", "narrow"])
@pytest.mark.parametrize("shape", SHAPES)
def test_spend_forecast_and_budget_are_always_named(shape: str, group: str) -> None:
    view = SHAPES[shape]

    kinds = {text.split()[0] for text in labels(drawn(view), group)}

    assert "Today" in kinds
    assert ("Forecast" in kinds) == (view.forecast is not None)
    assert ("Budget" in kinds) == (view.budget is not None)


def test_the_burn_up_names_what_happened_when() -> None:
    svg = drawn(burn_up())

    assert set(labels(svg, "wide")) == {
        "Forecast $884",
        "Budget $850",
        "Today $650",
        "75 % alert, 21 Nov",
        "50 % alert, 16 Nov",
    }
    assert svg.findtext("title") == "Spend of the month"
    assert svg.findtext("desc") == "a <b> & c"
    assert svg.attrib["role"] == "img"


def test_the_dates_below_the_burn_up_are_those_of_the_zone() -> None:
    zone = ZoneInfo("America/New_York")
    start = datetime(2026, 11, 1, tzinfo=zone).astimezone(UTC)
    end = datetime(2026, 12, 1, tzinfo=zone).astimezone(UTC)
    view = burn_up(period=replace(NOVEMBER, start=start, end=end))

    svg = ElementTree.fromstring(str(burn_ups.drawn(view, zone=zone, description="")))

    dates = [text.text for text in svg.findall("text") if text.attrib["x"].endswith("%")]
    assert dates == ["1 Nov", "8 Nov", "15 Nov", "22 Nov", "30 Nov"]


def test_a_lower_bound_is_marked_in_the_burn_up() -> None:
    texts = labels(drawn(burn_up(), unpriced_calls=3), "wide")

    assert {"Today ≥ $650", "Forecast ≥ $884"} <= set(texts)


def test_a_limit_far_above_the_spend_is_named_and_not_drawn() -> None:
    svg = drawn(burn_up(spent="30", forecast="41", alerts=()))

    assert "Budget $850 ↑" in labels(svg, "wide")
    assert svg.find(".//path[@class='limit']") is None


def test_a_month_of_hours_stays_small() -> None:
    svg = burn_ups.drawn(burn_up(now=LAST_HOUR), zone=UTC_ZONE, description="")

    assert len(svg) < 16_000


def test_features_without_a_colour_are_drawn_as_others() -> None:
    svg = ElementTree.fromstring(str(charts.columns(days(), COLOURS)))

    assert [path.attrib["class"] for path in svg.iter("path")] == ["s0", "s1", "other"]


def test_a_day_tells_its_spend_when_pointed_at() -> None:
    spend = {"a": Decimal("1.50"), "<b>": Decimal("2.25"), "free": Decimal(0)}

    svg = ElementTree.fromstring(str(charts.columns([(date(2026, 11, 16), spend)], {"a": "s0"})))

    assert svg.findtext("rect/title") == "Mon 16 Nov: $3.75\n<b> $2.25\na $1.50"


def test_a_column_is_as_high_as_its_share_of_the_axis() -> None:
    spend = {"a": Decimal(10), "b": Decimal(30)}

    svg = ElementTree.fromstring(
        str(charts.columns([(date(2026, 11, 16), spend)], {"a": "s0", "b": "s1"}))
    )

    # An axis of $40 is 216 high, $10 of it 54, with a hairline of 1 above.
    paths = {path.attrib["class"]: path.attrib["d"] for path in svg.iter("path")}
    assert paths == {"s0": "M1 216.0v-53.0h8v53.0z", "s1": "M1 162.0v-161.0h8v161.0z"}


@pytest.mark.parametrize("count", [0, 1, 30])
def test_days_without_spend_draw_an_empty_chart(count: int) -> None:
    empty = [(date(2026, 11, 1) + timedelta(days=n), {"a": Decimal(0)}) for n in range(count)]

    svg = ElementTree.fromstring(str(charts.columns(empty, {"a": "s0"})))

    assert not list(svg.iter("path"))
    assert len(list(svg.iter("rect"))) == count


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (["1", "2", "1"], "0 10.0 48 1.0 96 10.0"),
        (["0", "0"], "0 19.0 96 19.0"),
    ],
)
def test_a_sparkline_fills_its_height(values: list[str], shape: str) -> None:
    svg = ElementTree.fromstring(str(charts.sparkline([Decimal(value) for value in values])))

    (path,) = svg.findall("path")
    _, _, drawn = path.attrib["d"].partition("L")
    assert drawn == f"{shape}H98V22z"


def test_a_sparkline_of_many_days_shows_the_means_of_a_few() -> None:
    spark = charts.sparkline([Decimal(one) for one in [0, 3, 6, 0, 1, 2] * 15])

    assert "<title>$0 to $6.00 a day</title>" in spark
    assert "L0 1.0 3 13.0 7 1.0 10 13.0 " in spark
    assert len(re.findall(r" (?:1|13)\.0", spark)) == 30


@pytest.mark.parametrize("values", [[], [Decimal(1)]])
def test_a_sparkline_needs_two_values(values: list[Decimal]) -> None:
    assert charts.sparkline(values) == ""


@pytest.mark.parametrize(
    ("parts", "spans"),
    [
        ([("s0", 0.25)], [("0.00%", "25.00%")]),
        ([("s0", 0.5), ("s1", 0.25)], [("0.00%", "50.00%"), ("50.00%", "25.00%")]),
        ([("s0", 1.3)], [("0.00%", "100.00%")]),
        ([("s0", 0.0)], []),
    ],
)
def test_the_parts_of_a_bar_lie_side_by_side_and_inside_it(
    parts: list[tuple[str, float]], spans: list[tuple[str, str]]
) -> None:
    svg = ElementTree.fromstring(str(charts.bar("shares", *parts)))

    assert [(rect.attrib["x"], rect.attrib["width"]) for rect in svg.findall("rect")] == spans


@pytest.mark.parametrize(
    ("top", "marks", "rounded"),
    [
        ("954", ["0", "200", "400", "600", "800"], "1000"),
        ("47.3", ["0", "10", "20", "30", "40"], "50"),
        ("0.0046", ["0", "0.001", "0.002", "0.003", "0.004"], "0.005"),
        ("40", ["0", "10", "20", "30", "40"], "40"),
        ("1", ["0", "0.2", "0.4", "0.6", "0.8", "1.0"], "1.0"),
    ],
)
def test_axes_have_round_steps(top: str, marks: list[str], rounded: str) -> None:
    assert ticks(Decimal(top)) == [Decimal(mark) for mark in marks]
    assert round_up(Decimal(top)) == Decimal(rounded)
